"""What the mapper says of its disk and its worker, without any process."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from aceg_ros.ros.mapper.report import Counters, Reports
from aceg_ros.ros.middleware.diagnostics import Level


@pytest.fixture
def session(tmp_path) -> SimpleNamespace:
    """One that records, into a folder that is not there yet."""
    recorder = SimpleNamespace(path=tmp_path / 'new' / 'recording', problem=None)
    return SimpleNamespace(recorder=recorder, recording=True, fitting=False, count=3)


def report(session, broken: str = ''):
    return Reports(session, None, None, None, Counters(), None, lambda: broken).recording()


def test_a_disk_that_fills(session, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: SimpleNamespace(free=4_200_000_000))
    assert report(session).level is Level.OK
    assert report(session).values['free_mb'] == 4200
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: SimpleNamespace(free=120_000_000))
    found = report(session)
    assert found.level is Level.WARN
    assert 'the disk has 120 MB left' in found.message
    session.recording = False
    assert report(session).level is Level.OK


def test_a_full_disk(session):
    session.recorder.problem = 'No space left on device'
    found = report(session)
    assert (found.level, found.message) == (Level.ERROR, 'No space left on device')


def test_a_worker_that_ended(session):
    found = report(session, "the thread 'record' ended: X; restart the node")
    assert found.level is Level.ERROR
    assert 'restart the node' in found.message
