"""What the mapper says of its disk, its cameras and their workers, without any process."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from aceg_ros.recording.recorder import Refusal
from aceg_ros.ros.mapper.counters import Counters
from aceg_ros.ros.mapper.report import Reports
from aceg_ros.ros.middleware.diagnostics import Level


@pytest.fixture
def session(tmp_path) -> SimpleNamespace:
    """One that records, into a folder that is not there yet."""
    recordings = SimpleNamespace(path=tmp_path / 'new' / 'recording', problem=None)
    return SimpleNamespace(recordings=recordings, recording=True, fitting=False, count=3)


def stream(broken: str = '', trouble: str = '', idle: int = 0) -> SimpleNamespace:
    """One of a camera with so many images while nothing was recorded."""
    counters = Counters()
    for _ in range(idle):
        counters.count(Refusal.IDLE)
    return SimpleNamespace(broken=broken, trouble=trouble, counters=counters)


def report(session, *streams):
    return Reports(session, streams or [stream()], None, None).recording()


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
    session.recordings.problem = 'No space left on device'
    found = report(session)
    assert (found.level, found.message) == (Level.ERROR, 'No space left on device')


def test_a_worker_that_ended(session):
    found = report(session, stream("the thread 'record 0' ended: X; restart the node"))
    assert found.level is Level.ERROR
    assert 'restart the node' in found.message


def test_cameras_of_a_rig_count_together(session):
    found = report(session, stream(idle=2), stream(trouble='/rear: no pose', idle=1))
    assert found.values['not recording'] == 3
    assert (found.level, found.message) == (Level.WARN, '/rear: no pose')
