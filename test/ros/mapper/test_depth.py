"""Depth images that come before their images, late, or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from harness import LATCHED, wait_until
from mapper_robot import Robot, again, pose_at, until_recorded
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from aceg_ros.datasets import open_dataset
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.depth import register_depth
from aceg_ros.geometry.poses import make_pose
from aceg_ros.ros import depth_input as module
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.messages import camera_info, to_stamp
from aceg_ros.ros.middleware.bridge import from_depth
from aceg_ros.ros.middleware.tf import Transforms

CAMERA = Camera.pinhole(8, 6, 10.0, 10.0, 3.5, 2.5)


@pytest.fixture(scope='module')
def depth_input(ros) -> Iterator[module.DepthInput]:
    made = module.DepthInput(
        ros.node, Transforms(ros.node), 'depth', 0.02, ReliabilityPolicy.RELIABLE
    )
    made.start()
    yield made
    made.stop()


def image(stamp: float, frame: str = 'camera') -> CameraImage:
    """An image without pixels."""
    header = Header(stamp=to_stamp(stamp), frame_id=frame)
    return CameraImage(Image(header=header), None, False, 0.0)


def publish(ros, stamp: float, meters: float, frame: str = 'camera') -> None:
    header = Header(stamp=to_stamp(stamp), frame_id=frame)
    message = from_depth(np.full((6, 8), meters, np.float32), header)
    ros.publisher(Image, 'depth').publish(message)


def test_late_one_is_waited_for(ros, depth_input, monkeypatch):
    monkeypatch.setattr(module, '_PATIENCE', 60.0)
    publish(ros, 9.99, 1.0)  # near enough, but not the nearest
    wait_until(lambda: depth_input._messages)
    with ThreadPoolExecutor() as pool:
        found = pool.submit(depth_input.find, image(10.0), CAMERA)
        publish(ros, 10.001, 2.0)
        assert found.result()[0, 0] == 2.0


def test_of_a_camera_that_is_silent_none_is_waited_for(depth_input, monkeypatch):
    monkeypatch.setattr(module, '_PATIENCE', 60.0)
    monkeypatch.setattr(module, '_SILENT', 0.0)
    began = time.monotonic()
    assert depth_input.find(image(1000.0), CAMERA) is None
    assert time.monotonic() - began < 10.0


def test_depth_of_another_time_is_forgotten_when_stamps_go_back(ros, depth_input):
    publish(ros, 500.0, 1.0)
    wait_until(lambda: depth_input.find(image(500.0), CAMERA) is not None)
    publish(ros, 12.0, 2.0)
    wait_until(lambda: depth_input.find(image(12.0), CAMERA) is not None)
    assert depth_input.find(image(500.0), CAMERA) is None


def test_nothing_is_heard_after_the_end(ros, depth_input):
    depth_input.stop()
    wait_until(lambda: ros.node.count_subscribers('/depth') == 0)
    depth_input.start()
    wait_until(lambda: ros.node.count_subscribers('/depth') == 1)


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

    publish(ros, 30.0, 1.0, frame='other')
    words = "it is of frame 'other' and 8x6, the image of 'camera' and 8x6, and no calibration"
    wait_until(lambda: refused(30.0, CAMERA, words))
    publish(ros, 31.0, 1.0)
    words = "the image of 'camera' and 16x12, and no calibration of 'camera' came on /camera_info"
    wait_until(lambda: refused(31.0, CAMERA.scaled(16, 12), words))
    publish(ros, 32.0, 1.0, frame='/camera')
    wait_until(lambda: depth_input.find(image(32.0), CAMERA) is not None)


def test_of_its_own_camera(ros, depth_input):
    """Registered as soon as its calibration and its place are known."""
    own = Camera.pinhole(8, 6, 12.0, 12.0, 4.0, 3.0)
    infos = ros.publisher(CameraInfo, 'camera_info')

    def found() -> np.ndarray | None:
        infos.publish(camera_info(image(0.0, 'depth').header, own))
        publish(ros, 40.0, 2.0, frame='depth')
        return depth_input.find(image(40.0), CAMERA)

    wait_until(lambda: found() is None and 'lies in camera is not known' in depth_input.problem)
    place = make_pose(np.eye(3), [0.5, 0.0, 0.0])
    ros.send_transform('camera', 'depth', place)
    wait_until(lambda: found() is not None)
    expected = register_depth(np.full((6, 8), 2.0, np.float32), own, CAMERA, place)
    assert 20 < (expected > 0).sum() < 40
    np.testing.assert_allclose(found(), expected)


def test_calibration_that_was_published_once_before(ros):
    camera = camera_info(image(0.0, 'depth').header, CAMERA)
    once = ros.node.create_publisher(CameraInfo, '/once/camera_info', LATCHED)
    once.publish(camera)
    made = module.DepthInput(
        ros.node, Transforms(ros.node), '/once/depth', 0.02, ReliabilityPolicy.RELIABLE
    )
    made.start()
    depths = ros.publisher(Image, '/once/depth')
    header = image(50.0, 'depth').header

    def heard() -> bool:
        depths.publish(from_depth(np.ones((6, 8), np.float32), header))
        return 'depth' in made._infos

    wait_until(heard)
    made.stop()
    ros.node.destroy_publisher(once)


def test_recorded_with_the_keyframe(ros, depth_input, start_mapper):
    mapper = start_mapper(use_depth=True)
    robot = Robot(ros)
    publisher = ros.publisher(Image, 'depth', subscribers=2)
    assert mapper.switch('record', True)[0]

    def step(stamp: float, pose: np.ndarray, frame: str) -> None:
        depth = np.full((48, 64), 1.5, np.float32)
        publisher.publish(from_depth(depth, image(stamp, frame).header))
        robot.step(stamp, pose)

    until_recorded(mapper.folder, 10.0, lambda: step(10.0, pose_at(0), 'camera'))
    until_recorded(mapper.folder, 11.0, lambda: step(11.0, pose_at(1), 'depth_camera'))
    with_depth, without = open_dataset(mapper.folder).frames
    assert with_depth.depth_camera is None
    np.testing.assert_allclose(with_depth.depth(), 1.5)
    assert without.depth() is None
    report = mapper.wait_for_report('recording', 'an image is without depth from /depth')
    assert report.level == DiagnosticStatus.WARN

    header = image(0.0, 'depth_camera').header
    infos = ros.publisher(CameraInfo, 'camera_info')
    ros.send_transform('camera', 'depth_camera', make_pose(np.eye(3), [-0.5, 0.0, 0.0]))

    stamps = count(12)

    def of_its_own_camera() -> None:
        infos.publish(camera_info(header, Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)))
        stamp = next(stamps)
        step(float(stamp), pose_at(stamp - 10), 'depth_camera')

    def registered() -> bool:
        found = [frame.depth() for frame in open_dataset(mapper.folder).frames[2:]]
        return any(depth is not None and (depth > 0).mean() > 0.3 for depth in found)

    again(of_its_own_camera, registered, 'depth of its own camera')
    assert mapper.process.stop() == 0
