"""Recordings on disk, a map made of one by the command line, and a way to call commands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aceg_ros.cli.main import main
from aceg_ros.datasets import RecordingWriter


@dataclass(frozen=True)
class Outcome:
    """What a command gave."""

    status: int
    out: str
    err: str


@pytest.fixture
def aceg(capsys) -> Callable[..., Outcome]:
    """Run one command in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *capsys.readouterr())

    return run


def write(folder: Path, frames) -> Path:
    """Record frames, 0.5 s apart."""
    writer = RecordingWriter(folder, frames[0].camera)
    for index, frame in enumerate(frames):
        writer.add(frame.image(), frame.world_from_cam, 100.0 + 0.5 * index)
    return folder


@pytest.fixture
def write_recording() -> Callable[..., Path]:
    """Record other frames into a folder."""
    return write


@pytest.fixture(scope='session')
def recording(tmp_path_factory, views) -> Path:
    """The views to map; not to be changed."""
    return write(tmp_path_factory.mktemp('cli') / 'recording', views)


@pytest.fixture(scope='session')
def questions(tmp_path_factory, queries) -> Path:
    """The views between them; not to be changed."""
    return write(tmp_path_factory.mktemp('cli') / 'questions', queries)


@pytest.fixture(scope='session')
def mapping(tmp_path_factory, recording) -> Path:
    """A folder with `room.aceg` and `room.json`, made by `aceg map`; not to be changed."""
    folder = tmp_path_factory.mktemp('cli')
    command = ['map', recording, '-o', folder / 'room.aceg', '--json', folder / 'room.json']
    options = ['--tokens', 1024, '--budget', 8, '--device', 'cpu']
    assert main([str(part) for part in command + options]) == 0
    return folder


@pytest.fixture
def room_map(mapping, tmp_path) -> Path:
    """A copy of the map that a test may harm."""
    return Path(shutil.copy(mapping / 'room.aceg', tmp_path / 'room.aceg'))
