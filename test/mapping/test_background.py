"""A fit in a process of its own: its end, whatever it is, is always reported."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from aceg_ros.datasets import RecordingWriter
from aceg_ros.mapping.background import BackgroundFit, FitJob, FitReport, FitState
from aceg_ros.mapping.options import FitOptions
from aceg_ros.maps.file import read_map, write_map


@pytest.fixture(scope='module')
def recording(tmp_path_factory, views) -> Path:
    """The first views of the room."""
    writer = RecordingWriter(tmp_path_factory.mktemp('fit') / 'room', views[0].camera)
    for index, frame in enumerate(views[:12]):
        writer.add(frame.image(), frame.world_from_cam, float(index))
    return writer.path


@pytest.fixture
def job(recording, tmp_path, quick) -> FitJob:
    options = replace(quick, tokens=256, fit=FitOptions(epochs=2, buffer_patches=4000))
    return FitJob(recording, tmp_path / 'out' / 'map.aceg', options, 'cpu')


class Listener:
    """Keeps reports and waits for them."""

    def __init__(self) -> None:
        self.reports: list[FitReport] = []
        self._queue: queue.Queue[FitReport] = queue.Queue()

    def __call__(self, report: FitReport) -> None:
        self.reports.append(report)
        self._queue.put(report)

    def wait(self, *stages: str) -> FitReport:
        """The first report of one of the stages, or the last of all."""
        while True:
            report = self._queue.get(timeout=60.0)
            if report.state is not FitState.RUNNING or report.stage in stages:
                return report


def gone(pid: int, seconds: float = 0.1) -> bool:
    """Whether a process ends in time; a zombie has ended."""
    for _ in range(round(seconds / 0.1)):
        try:
            state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
        except FileNotFoundError:
            return True
        if state == 'Z':
            return True
        time.sleep(0.1)
    return False


def test_fits_and_reports(job):
    listener = Listener()
    BackgroundFit(job, listener)
    end = listener.wait()
    assert end.state is FitState.DONE
    assert end.result.keyframes == len(read_map(job.output).keyframes)
    assert end.result.quality == read_map(job.output).info.quality
    stages = list(dict.fromkeys(report.stage for report in listener.reports))
    assert stages[:3] == ['load', 'compare', 'encode']
    assert 'fit' in stages
    fits = [report for report in listener.reports if report.stage == 'fit'][:-1]
    assert all(report.detail.startswith('loss') for report in fits)
    assert all(0 <= report.remaining <= job.options.budget for report in listener.reports)


def test_tells_what_else_there_is_to_know(job):
    listener = Listener()
    BackgroundFit(replace(job, options=replace(job.options, budget=0.5)), listener)
    (note,) = listener.wait().result.notes
    assert 'a budget of' in note


def test_joins_a_map(job, mapped, tmp_path):
    old = tmp_path / 'old.aceg'
    write_map(old, mapped.code)
    listener = Listener()
    BackgroundFit(replace(job, base=old), listener)
    assert listener.wait().state is FitState.DONE
    sessions = read_map(job.output).info.sessions
    assert [each.name for each in sessions] == [mapped.code.info.sessions[0].name, 'room']


def test_cancelled(job):
    listener = Listener()
    fit = BackgroundFit(job, listener)
    listener.wait('encode')
    fit.cancel()
    end = listener.wait()
    assert end.state is FitState.CANCELLED
    assert gone(fit.pid)
    assert not job.output.exists()


def test_closed_at_once(job):
    listener = Listener()
    fit = BackgroundFit(job, listener)
    listener.wait('load')
    fit.close()
    assert listener.wait().state is FitState.CANCELLED
    assert gone(fit.pid)


def test_killed(job):
    listener = Listener()
    fit = BackgroundFit(job, listener)
    listener.wait('load')
    os.kill(fit.pid, signal.SIGKILL)
    end = listener.wait()
    assert end.state is FitState.FAILED
    assert 'killed by SIGKILL' in end.detail
    assert 'recording is kept' in end.detail


def test_recording_that_gives_no_map(job, tmp_path, views):
    writer = RecordingWriter(tmp_path / 'two', views[0].camera)
    for index, frame in enumerate(views[:2]):
        writer.add(frame.image(), frame.world_from_cam, float(index))
    listener = Listener()
    BackgroundFit(replace(job, recording=writer.path), listener)
    end = listener.wait()
    assert end.state is FitState.FAILED
    assert 'at least 5' in end.detail


def test_broken_process_says_its_last_words(job, monkeypatch):
    monkeypatch.setattr(sys, 'executable', '/bin/false')
    listener = Listener()
    BackgroundFit(job, listener)
    end = listener.wait()
    assert end.state is FitState.FAILED
    assert 'ended with status 1' in end.detail


def test_ends_with_its_parent(job):
    """After `kill -9` of the program that fits, no fit goes on."""
    script = f"""if True:
        import time
        from pathlib import Path
        from aceg_ros.mapping.background import BackgroundFit, FitJob
        from aceg_ros.mapping.options import FitOptions, MappingOptions
        options = MappingOptions(budget=600.0, fit=FitOptions(epochs=10_000))
        job = FitJob(Path({str(job.recording)!r}), Path({str(job.output)!r}), options, 'cpu')
        fit = BackgroundFit(job, lambda report: print(fit.pid, report.stage, flush=True))
        time.sleep(600)
        """
    parent = subprocess.Popen(
        [sys.executable, '-c', script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    while True:
        pid, stage = parent.stdout.readline().split()
        if stage == 'encode':
            break
    parent.kill()
    parent.wait()
    assert gone(int(pid), 60.0)
