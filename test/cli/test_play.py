"""`aceg play` where it cannot play; test/ros has it play."""

from __future__ import annotations

import sys


def test_without_ros(aceg, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    monkeypatch.delitem(sys.modules, 'aceg_ros.ros.player', raising=False)
    outcome = aceg('play', tmp_path)
    assert outcome.status == 1
    assert 'ROS 2 is needed to play a dataset' in outcome.err
    assert len(outcome.err.splitlines()) == 1
