"""Depth images that come before their images, late, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from harness import wait_until
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from aceg_ros.geometry.cameras import Camera
from aceg_ros.ros.mapper import depth as module
from aceg_ros.ros.messages import to_stamp
from aceg_ros.ros.middleware.bridge import from_depth

CAMERA = Camera.pinhole(8, 6, 10.0, 10.0, 3.5, 2.5)


@pytest.fixture(scope='module')
def depth_input(ros) -> module.DepthInput:
    return module.DepthInput(ros.node, 0.02, QoSProfile(depth=1))


def publish(ros, stamp: float, meters: float) -> None:
    header = Header(stamp=to_stamp(stamp), frame_id='camera')
    message = from_depth(np.full((6, 8), meters, np.float32), header)
    ros.publisher(Image, 'depth').publish(message)


def test_late_one_is_waited_for(ros, depth_input, monkeypatch):
    monkeypatch.setattr(module, '_PATIENCE', 60.0)
    publish(ros, 9.99, 1.0)  # near enough, but not the nearest
    with ThreadPoolExecutor() as pool:
        found = pool.submit(depth_input.find, to_stamp(10.0), CAMERA)
        publish(ros, 10.001, 2.0)
        assert found.result()[0, 0] == 2.0


def test_none_near(ros, depth_input):
    publish(ros, 20.0, 1.0)
    wait_until(lambda: depth_input.find(to_stamp(20.0), CAMERA) is not None)
    assert depth_input.find(to_stamp(20.5), CAMERA) is None
    depth_input.clear()
    assert depth_input.find(to_stamp(20.0), CAMERA) is None
