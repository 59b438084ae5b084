"""Reports of another process on /diagnostics."""

from __future__ import annotations

import os
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from processes import HELPERS

# Humble's diagnostic_updater leaves out the namespace.
NAME = 'diagnosed' if os.environ.get('ROS_DISTRO') == 'humble' else 'robot/diagnosed'
NODE = str(HELPERS / 'diagnosed_node.py')


@pytest.fixture(scope='module')
def arrays(ros):
    """Messages, as they come."""
    collected = ros.collect(DiagnosticArray, '/diagnostics')
    ros.start(NODE, parameters={'use_sim_time': True}, remap={'__ns': '/robot'})
    return collected


def test_reports(arrays):
    message = arrays.wait_for(lambda m: [status.message for status in m.status][0:1] == ['slow'])
    camera, place = message.status
    assert camera.name == f'{NAME}: camera'
    assert place.name == f'{NAME}: map'
    assert camera.hardware_id == 'camera 7'
    assert (camera.level, camera.message) == (DiagnosticStatus.WARN, 'slow')
    assert place.level == DiagnosticStatus.STALE
    values = {pair.key: pair.value for pair in camera.values}
    assert values['rate'] == '2.5'
    assert int(values['reports']) >= 1


def test_once_a_second(arrays):
    arrays.wait_for(lambda message: len(message.status) == 2)
    arrays.clear()
    start = time.monotonic()
    arrays.wait(3)
    assert 1.0 < time.monotonic() - start < 30.0
