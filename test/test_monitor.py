"""Work says where it is, and stops when it is asked to."""

from __future__ import annotations

import pytest

from aceg_ros.errors import FitCancelled
from aceg_ros.monitor import Monitor


def test_without_listeners_it_is_silent_and_never_cancelled():
    monitor = Monitor()
    monitor.report('fit', 0.5, 'loss 1.00')
    monitor.check()


def test_reports_go_out_as_they_are():
    reports = []
    monitor = Monitor(lambda *report: reports.append(report))
    monitor.report('encode', 0.0, 'keyframe 1 of 9')
    monitor.report('fit', 1.0, 'loss 0.25')
    assert reports == [('encode', 0.0, 'keyframe 1 of 9'), ('fit', 1.0, 'loss 0.25')]


def test_cancelling_is_noticed_by_a_check():
    asked = []
    monitor = Monitor(cancelled=lambda: bool(asked))
    monitor.check()
    asked.append(True)
    with pytest.raises(FitCancelled, match='no map was written'):
        monitor.check()


def test_once_cancelled_nothing_is_reported():
    reports = []
    monitor = Monitor(lambda *report: reports.append(report), lambda: True)
    with pytest.raises(FitCancelled):
        monitor.report('fit', 0.5, '')
    assert not reports
