"""Depth images that come before their images, late, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from harness import wait_until
from mapper_robot import Robot, pose_at, until_recorded
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from aceg_ros.datasets import open_dataset
from aceg_ros.geometry.cameras import Camera
from aceg_ros.ros.mapper import depth as module
from aceg_ros.ros.messages import to_stamp
from aceg_ros.ros.middleware.bridge import from_depth

CAMERA = Camera.pinhole(8, 6, 10.0, 10.0, 3.5, 2.5)


@pytest.fixture(scope='module')
def depth_input(ros) -> module.DepthInput:
    return module.DepthInput(ros.node, 0.02, ReliabilityPolicy.RELIABLE)


def image(stamp: float, frame: str = 'camera') -> Header:
    """Header of an image."""
    return Header(stamp=to_stamp(stamp), frame_id=frame)


def publish(ros, stamp: float, meters: float, frame: str = 'camera') -> None:
    header = Header(stamp=to_stamp(stamp), frame_id=frame)
    message = from_depth(np.full((6, 8), meters, np.float32), header)
    ros.publisher(Image, 'depth').publish(message)


def test_late_one_is_waited_for(ros, depth_input, monkeypatch):
    monkeypatch.setattr(module, '_PATIENCE', 60.0)
    publish(ros, 9.99, 1.0)  # near enough, but not the nearest
    with ThreadPoolExecutor() as pool:
        found = pool.submit(depth_input.find, image(10.0), CAMERA)
        publish(ros, 10.001, 2.0)
        assert found.result()[0, 0] == 2.0


def test_none_near(ros, depth_input):
    publish(ros, 20.0, 1.0)
    wait_until(lambda: depth_input.find(image(20.0), CAMERA) is not None)
    assert depth_input.problem == ''
    assert depth_input.find(image(20.5), CAMERA) is None
    assert 'there is none within 0.02 s' in depth_input.problem
    depth_input.clear()
    assert depth_input.find(image(20.0), CAMERA) is None


def test_of_another_camera_or_size(ros, depth_input):
    def refused(stamp: float, camera: Camera, words: str) -> bool:
        return depth_input.find(image(stamp), camera) is None and words in depth_input.problem

    publish(ros, 30.0, 1.0, frame='depth_camera')
    wait_until(
        lambda: refused(30.0, CAMERA, "it is of frame 'depth_camera', the image of 'camera'")
    )
    publish(ros, 31.0, 1.0)
    wait_until(lambda: refused(31.0, CAMERA.scaled(16, 12), 'it is 8x6, the image 16x12'))
    publish(ros, 32.0, 1.0, frame='/camera')
    wait_until(lambda: depth_input.find(image(32.0), CAMERA) is not None)


def test_recorded_with_the_keyframe(ros, depth_input, start_mapper):
    mapper = start_mapper(use_depth=True)
    robot = Robot(ros)
    publisher = ros.publisher(Image, 'depth', subscribers=2)
    assert mapper.switch('record', True)[0]

    def step(stamp: float, pose: np.ndarray, frame: str) -> None:
        depth = np.full((48, 64), 1.5, np.float32)
        publisher.publish(from_depth(depth, image(stamp, frame)))
        robot.step(stamp, pose)

    until_recorded(mapper.folder, 10.0, lambda: step(10.0, pose_at(0), 'camera'))
    until_recorded(mapper.folder, 11.0, lambda: step(11.0, pose_at(1), 'depth_camera'))
    with_depth, without = open_dataset(mapper.folder).frames
    assert with_depth.depth_camera is None
    np.testing.assert_allclose(with_depth.depth(), 1.5)
    assert without.depth() is None
    report = mapper.wait_for_report('recording', 'a keyframe is without depth from /depth')
    assert report.level == DiagnosticStatus.WARN
    assert mapper.process.stop() == 0
