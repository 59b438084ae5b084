"""Depth in bags, as drivers record it: aligned to the images, or as its own camera sees it."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_messages import (
    Messages,
    camera,
    header,
    image,
    info,
    make,
    poses,
    tf,
    transform,
    write_bag,
)
from PIL import Image

from aceg_ros.cli.main import main
from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.bag_topics import BagTopics
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import intrinsic_matrix
from aceg_ros.geometry.poses import make_pose

ALIGNED = '/camera/aligned_depth_to_color/image_raw'
OWN = '/camera/depth/image_rect_raw'
ANY = BagTopics(depth='')
COLOR_FROM_DEPTH = make_pose(np.eye(3), [-0.5, 0.0, 0.0])


@pytest.fixture
def bag(tmp_path) -> Callable[..., Path]:
    """Write a bag of messages."""
    return lambda messages: write_bag(tmp_path / 'tour', messages)


def millimeters(seconds: float, frame: str = 'camera') -> Any:
    """1.5 m everywhere but in the first pixel, as realsense2_camera sends it."""
    raw = np.full((48, 64), 1500, '<u2')
    raw[0, 0] = 0
    message = image(seconds, frame=frame)
    message.encoding, message.step, message.data = '16UC1', 128, raw.view(np.uint8).ravel()
    return message


def meters(seconds: float) -> Any:
    raw = np.full((48, 64), 1.5, '<f4')
    raw[0, 0] = np.nan
    message = image(seconds)
    message.encoding, message.step, message.data = '32FC1', 256, raw.view(np.uint8).ravel()
    return message


def compressed_depth(seconds: float) -> Any:
    raw, file = np.full((48, 64), 1500, np.uint16), BytesIO()
    raw[0, 0] = 0
    Image.fromarray(raw).save(file, 'PNG')
    return make(
        'sensor_msgs/msg/CompressedImage',
        header=header(seconds, 'camera'),
        format='16UC1; compressedDepth png',
        data=np.frombuffer(bytes(12) + file.getvalue(), np.uint8),
    )


def depth(topic: str, of: Callable[[float], Any], late: float = 0.0) -> Messages:
    """Depth for the first three of the five images."""
    return Messages([(topic, 0.1 * i + 0.06, of(0.1 * i + late)) for i in range(3)])


def own_camera(frame: str = 'depth') -> Messages:
    calibration = info(frame, k=intrinsic_matrix(70.0, 70.0, 31.5, 23.5))
    return Messages([('/camera/depth/camera_info', 0, calibration)])


def own_depth(seconds: float) -> Any:
    return millimeters(seconds, 'depth')


class TestAligned:
    @pytest.mark.parametrize(
        ('topic', 'of'),
        [
            (ALIGNED, millimeters),
            (ALIGNED, meters),
            (f'{ALIGNED}/compressedDepth', compressed_depth),
        ],
    )
    def test_kinds(self, bag, topic, of):
        frames = open_dataset(bag(camera() + depth(topic, of, late=0.01) + poses()), ANY).frames
        assert len(frames) == 4
        found = np.nan_to_num(frames[0].registered_depth())
        assert found[0, 0] == 0.0
        np.testing.assert_allclose(found[1:], 1.5)
        assert frames[0].depth_camera is None
        assert frames[3].depth() is None  # the nearest is 90 ms off

    def test_rather_than_that_of_another_frame(self, bag):
        messages = camera() + depth(ALIGNED, millimeters) + depth(OWN, own_depth) + poses()
        assert open_dataset(bag(messages), ANY).frames[0].depth_camera is None

    def test_only_when_asked_for(self, bag):
        path = bag(camera() + depth(ALIGNED, millimeters) + poses())
        assert open_dataset(path).frames[0].depth() is None
        assert open_dataset(path, BagTopics(depth=ALIGNED)).frames[0].depth() is not None

    def test_none_there(self, bag):
        assert open_dataset(bag(camera() + poses()), ANY).frames[0].depth() is None


class TestOfItsOwnCamera:
    def test_is_registered_by_tf(self, bag):
        static = transform(0.0, 'camera', 'depth', COLOR_FROM_DEPTH)
        messages = camera() + depth(OWN, own_depth) + own_camera() + tf()
        frame = open_dataset(bag(messages + Messages([('/tf_static', 0, static)])), ANY).frames[0]
        assert frame.depth_camera.K[0, 0] == 70.0
        assert frame.depth_camera.model == 'pinhole'  # image_rect: P, not K and D
        np.testing.assert_allclose(frame.color_from_depth, COLOR_FROM_DEPTH, atol=1e-12)
        registered = frame.registered_depth()
        assert registered[24, 10] == pytest.approx(1.5)
        assert not registered[:, 50:].any()

    def test_without_tf(self, bag):
        path = bag(camera() + depth(OWN, own_depth) + own_camera() + poses())
        with pytest.raises(DatasetError, match=r"another camera .*'depth', 64x48.*/tf_static"):
            open_dataset(path, ANY)

    def test_without_calibration(self, bag):
        messages = camera('/camera/color/image_raw') + depth(OWN, own_depth) + poses()
        with pytest.raises(DatasetError, match='cannot be registered'):
            open_dataset(bag(messages), ANY)


def test_one_of_several_is_to_be_named(bag):
    messages = camera() + depth('/a/depth', millimeters) + depth('/b/depth', millimeters) + poses()
    path = bag(messages)
    with pytest.raises(DatasetError, match='--depth-topic /a/depth; --depth-topic /b/depth'):
        open_dataset(path, ANY)
    assert open_dataset(path, BagTopics(depth='/b/depth')).frames[0].depth() is not None
    with pytest.raises(DatasetError, match='has no depth on /c'):
        open_dataset(path, BagTopics(depth='/c'))


def test_from_the_command_line(bag, tmp_path, capsys):
    """Five equal images make no map; which depth was read is said before."""
    path = bag(camera() + depth('/a/depth', millimeters) + depth('/b/depth', millimeters) + poses())
    assert main(['map', str(path), '-o', str(tmp_path / 'm.aceg'), '--depth']) != 0
    assert 'has several topics of depth' in capsys.readouterr().err
