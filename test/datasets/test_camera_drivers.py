"""Bags of camera drivers as they are: their topics, frames, encodings and calibrations.

The bags are generated. What they hold follows the drivers' documents and calibrations that people
published: usb_cam and v4l2_camera, realsense2_camera, depthai-ros, the ZED wrapper, T265.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bag_messages import (
    BASE_FROM_CAMERA,
    IMAGE,
    K,
    Messages,
    check_poses,
    header,
    info,
    make,
    odometry,
    pose_stamped,
    transform,
    world_from_cam,
    write_bag,
)
from PIL import Image

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.bag_poses import PoseChoice
from aceg_ros.datasets.bag_topics import BagTopics
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.poses import compose, inverse

CURVED = 2e-4  # a body that turns moves on a curve, which interpolation cuts short
STAMPS = [0.1 * i for i in range(5)]
POSE_STAMPS = (-0.05, 0.1, 0.25, 0.4 - 1e-3)
SMOOTH = np.asarray(
    Image.fromarray(IMAGE).resize((4, 3)).resize((64, 48), Image.Resampling.BICUBIC)
)


@pytest.fixture
def bag(tmp_path) -> Callable[[Messages], Path]:
    """Write a bag of messages."""
    return lambda messages: write_bag(tmp_path / 'bag', messages)


def stream(topic: str, of: Callable[[float], Any]) -> Messages:
    return Messages([(topic, s + 0.02, of(s)) for s in STAMPS])


def poses(topic: str, of: Callable[[float], Any]) -> Messages:
    return Messages([(topic, s + 0.01, of(s)) for s in POSE_STAMPS])


def once(topic: str, message: Any) -> Messages:
    return Messages([(topic, -0.1, message)])


def raw(seconds: float, frame: str, encoding: str, pixels: np.ndarray) -> Any:
    return make(
        'sensor_msgs/msg/Image',
        header=header(seconds, frame),
        height=48,
        width=64,
        encoding=encoding,
        is_bigendian=0,
        step=pixels.nbytes // 48,
        data=np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8),
    )


def jpeg(seconds: float, frame: str) -> Any:
    file = BytesIO()
    Image.fromarray(SMOOTH).save(file, 'JPEG', quality=95)
    data = np.frombuffer(file.getvalue(), np.uint8)
    return make(
        'sensor_msgs/msg/CompressedImage', header=header(seconds, frame), format='jpeg', data=data
    )


def calibration(frame: str, model: str, d: list[float]) -> Any:
    message = info(frame)
    message.distortion_model, message.d = model, np.array(d)
    return message


def base_pose(seconds: float) -> np.ndarray:
    """Where what the camera is bolted to is."""
    return compose(world_from_cam(seconds), inverse(BASE_FROM_CAMERA))


def close(image: np.ndarray, expected: np.ndarray, by: float) -> bool:
    return bool(np.abs(image.astype(float) - expected).mean() < by)


class TestUsbCam:
    """usb_cam and v4l2_camera: a webcam, whose frame nothing on the robot knows."""

    FRAME = 'default_cam'

    def test_yuyv(self, bag):
        yuyv = cv2.cvtColor(SMOOTH, cv2.COLOR_RGB2YUV_YUY2)
        messages = stream('/image_raw', lambda s: raw(s, self.FRAME, 'yuv422_yuy2', yuyv))
        messages += once('/camera_info', calibration(self.FRAME, 'plumb_bob', [0.1, 0, 0, 0, 0]))
        dataset = open_dataset(
            bag(messages + poses('/vio', lambda s: pose_stamped(s, world_from_cam(s))))
        )
        check_poses(dataset)
        assert close(dataset.frames[0].image(), SMOOTH, 4.0)

    def test_mjpeg_as_it_comes(self, bag):
        messages = stream('/image_raw/compressed', lambda s: jpeg(s, self.FRAME))
        messages += once('/camera_info', calibration(self.FRAME, 'plumb_bob', [0.1, 0, 0, 0, 0]))
        dataset = open_dataset(
            bag(messages + poses('/vio', lambda s: pose_stamped(s, world_from_cam(s))))
        )
        check_poses(dataset)
        assert close(dataset.frames[0].image(), SMOOTH, 4.0)


class TestRealSense:
    """realsense2_camera: color, aligned depth, raw depth and infrared, and its own odometry."""

    def messages(self) -> Messages:
        color, depth = 'camera_color_optical_frame', 'camera_depth_optical_frame'
        millimeters = np.full((48, 64), 1500, '<u2')
        gray = cv2.cvtColor(IMAGE, cv2.COLOR_RGB2GRAY)
        at = '/camera/camera'
        zeros = [0.0] * 5
        aligned = f'{at}/aligned_depth_to_color'
        return (
            stream(f'{at}/color/image_raw', lambda s: raw(s, color, 'rgb8', IMAGE))
            + stream(f'{aligned}/image_raw', lambda s: raw(s, color, '16UC1', millimeters))
            + stream(f'{at}/depth/image_rect_raw', lambda s: raw(s, depth, '16UC1', millimeters))
            + stream(f'{at}/infra1/image_rect_raw', lambda s: raw(s, 'infra1', 'mono8', gray))
            + once(f'{at}/color/camera_info', calibration(color, 'plumb_bob', zeros))
            + once(f'{aligned}/camera_info', calibration(color, 'plumb_bob', zeros))
            + once(f'{at}/depth/camera_info', calibration(depth, 'plumb_bob', zeros))
            + once(f'{at}/infra1/camera_info', calibration('infra1', 'plumb_bob', zeros))
            + once('/tf_static', transform(0.0, 'camera_link', color, BASE_FROM_CAMERA))
            + poses('/odom', lambda s: odometry(s, base_pose(s), 'camera_link'))
        )

    def test_color_is_named(self, bag):
        topics = BagTopics(image='/camera/camera/color/image_raw')
        dataset = open_dataset(bag(self.messages()), topics)
        check_poses(dataset, CURVED)
        np.testing.assert_array_equal(dataset.frames[0].image(), IMAGE)
        np.testing.assert_array_equal(dataset.frames[0].camera.K, K)

    def test_infrared_is_a_picture_too(self, bag):
        with pytest.raises(DatasetError, match='--image-topic /camera/camera/color/image_raw'):
            open_dataset(bag(self.messages()))

    def test_color_alone_is_chosen(self, bag):
        messages = Messages([e for e in self.messages().entries if 'infra1' not in e[0]])
        check_poses(open_dataset(bag(messages)), CURVED)


def test_depthai(bag):
    """depthai-ros: bgr8 and a calibration of eight coefficients, whose size says nothing."""
    frame = 'oak_rgb_camera_optical_frame'
    published = [
        -4.0934,
        9.19078,
        0.00125439,
        -0.00103044,
        -8.917246,
        -4.187957,
        9.556831,
        -9.303534,
    ]
    messages = (
        stream('/oak/rgb/image_raw', lambda s: raw(s, frame, 'bgr8', IMAGE[..., ::-1]))
        + stream(
            '/oak/stereo/image_raw', lambda s: raw(s, frame, '16UC1', np.full((48, 64), 900, '<u2'))
        )
        + once('/oak/rgb/camera_info', calibration(frame, 'rational_polynomial', published))
        + once('/oak/stereo/camera_info', calibration(frame, 'rational_polynomial', published))
        + once('/tf_static', transform(0.0, 'oak', frame, BASE_FROM_CAMERA))
        + poses('/odom', lambda s: odometry(s, base_pose(s), 'oak'))
    )
    dataset = open_dataset(bag(messages))
    check_poses(dataset, CURVED)
    camera = dataset.frames[0].camera
    assert camera.model == 'rational_polynomial'
    np.testing.assert_allclose(camera.distortion, published)
    np.testing.assert_array_equal(dataset.frames[0].image(), IMAGE)


class TestZed:
    """The ZED wrapper: rectified images with alpha, depth in meters, the pose of its body."""

    FRAME = 'zed_left_camera_optical_frame'

    def messages(self) -> Messages:
        bgra = np.dstack([IMAGE[..., ::-1], np.full((48, 64), 255, np.uint8)])
        meters = np.full((48, 64), 1.5, '<f4')
        at = '/zed/zed_node'
        zeros = [0.0] * 5
        return (
            stream(f'{at}/rgb/image_rect_color', lambda s: raw(s, self.FRAME, 'bgra8', bgra))
            + stream(f'{at}/depth/depth_registered', lambda s: raw(s, self.FRAME, '32FC1', meters))
            + once(f'{at}/rgb/camera_info', calibration(self.FRAME, 'plumb_bob', zeros))
            + once(f'{at}/depth/camera_info', calibration(self.FRAME, 'plumb_bob', zeros))
            + once('/tf_static', transform(0.0, 'zed_camera_link', self.FRAME, BASE_FROM_CAMERA))
            + poses(f'{at}/pose', lambda s: pose_stamped(s, base_pose(s)))
        )

    def test_pose_of_the_body_is_named(self, bag):
        choice = PoseChoice(frame='zed_camera_link')
        dataset = open_dataset(bag(self.messages()), BagTopics(poses=choice))
        check_poses(dataset, CURVED)
        np.testing.assert_array_equal(dataset.frames[0].image(), IMAGE)


def test_t265(bag):
    """Two fisheyes of 848x800, gray; five coefficients, of which the last is not used."""
    frames = [f'camera_fisheye{side}_optical_frame' for side in (1, 2)]
    coefficients = [-0.0074, 0.0429, -0.0418, 0.0073, 0.0]
    gray = cv2.cvtColor(IMAGE, cv2.COLOR_RGB2GRAY)
    messages = poses(
        '/camera/odom/sample', lambda s: odometry(s, base_pose(s), 'camera_pose_frame')
    )
    for side, frame in enumerate(frames, 1):
        at = f'/camera/fisheye{side}'
        messages += stream(f'{at}/image_raw', lambda s, f=frame: raw(s, f, 'mono8', gray))
        messages += once(f'{at}/camera_info', calibration(frame, 'equidistant', coefficients))
        messages += once('/tf_static', transform(0.0, 'camera_pose_frame', frame, BASE_FROM_CAMERA))
    dataset = open_dataset(bag(messages), BagTopics(image='/camera/fisheye1/image_raw'))
    check_poses(dataset, CURVED)
    camera = dataset.frames[0].camera
    assert camera.model == 'equidistant'
    np.testing.assert_allclose(camera.distortion, coefficients[:4])
    assert dataset.frames[0].image().shape == (48, 64, 3)
