"""The scripts in examples/, run as users would."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import pytest

import aceg_ros
from aceg_ros.datasets import Dataset, write_recording
from aceg_ros.datasets.calibration import Calibration, write_calibration
from aceg_ros.maps.file import read_map, write_map

EXAMPLES = Path(__file__).resolve().parents[1] / 'examples'


@pytest.fixture(scope='module')
def folder(views, mapped, room_camera, tmp_path_factory):
    """A recording, a map of it, a calibration and a video."""
    folder = tmp_path_factory.mktemp('examples')
    write_recording(Dataset('room', views[:12], True), folder / 'recording')
    write_map(folder / 'room.aceg', mapped.code)
    write_calibration(folder / 'camera.yaml', Calibration(room_camera))
    size = (room_camera.width, room_camera.height)
    video = cv2.VideoWriter(str(folder / 'view.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, size)
    for view in views[:3]:
        video.write(cv2.cvtColor(view.image(), cv2.COLOR_RGB2BGR))
    video.release()
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run a script in this process; gives what it prints."""

    def run(script: str, *arguments: str) -> str:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, 'argv', [script, *arguments])
        runpy.run_path(str(EXAMPLES / script), run_name='__main__')
        return capsys.readouterr().out

    return run


def test_map_folder(run, folder, quick, monkeypatch):
    quickly = partial(aceg_ros.map_dataset, options=quick)
    monkeypatch.setattr(aceg_ros, 'map_dataset', quickly)
    said = run('map_folder.py', 'recording', 'new.aceg')
    assert 'quality' in said
    assert len(read_map(folder / 'new.aceg').keyframes)


def test_localize_webcam(folder):
    """In a process of its own, which has nothing but the package."""
    script = str(EXAMPLES / 'localize_webcam.py')
    command = [sys.executable, script, 'room.aceg', 'camera.yaml', 'view.avi']
    environment = os.environ | {'PYTHONPATH': str(EXAMPLES.parent), 'PATH': ''}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('standard deviation') >= 2


def test_compare_maps(run):
    said = run('compare_maps.py', 'room.aceg', 'room.aceg', 'recording')
    assert said.count('room.aceg') == 2
