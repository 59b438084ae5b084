"""Calibration from a CameraInfo: raw and rectified, parts of the sensor, other sizes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from aceg_ros.datasets.camera_info import camera_from_info, rectified_from_optical
from aceg_ros.errors import CameraError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import so3_exp

K = [500.0, 0.0, 330.0, 0.0, 510.0, 250.0, 0.0, 0.0, 1.0]
D = [0.1, -0.2, 0.001, 0.002, 0.03]
P = [450.0, 0.0, 320.0, -45.0, 0.0, 450.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def info(**changes):
    """A message of a 640x480 camera."""
    fields = {
        'width': 640,
        'height': 480,
        'distortion_model': 'plumb_bob',
        'd': np.array(D),
        'k': np.array(K),
        'r': np.eye(3).ravel(),
        'p': np.array(P),
        'binning_x': 0,
        'binning_y': 0,
        'roi': SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    }
    return SimpleNamespace(**fields | changes)


def roi(x: int, y: int, width: int, height: int):
    return SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height)


def test_raw_and_rectified():
    raw = camera_from_info(info(), False, 640, 480)
    assert raw == Camera('plumb_bob', 640, 480, np.reshape(K, (3, 3)), D)
    rectified = camera_from_info(info(), True, 640, 480)
    assert rectified == Camera.pinhole(640, 480, 450.0, 450.0, 320.0, 240.0)


@pytest.mark.parametrize(
    ('model', 'd', 'expected', 'count'),
    [
        ('rational_polynomial', [0.1] * 8 + [0.0] * 6, 'rational_polynomial', 8),
        ('equidistant', [0.1, 0.0, 0.01, 0.0], 'equidistant', 4),
        ('', [], 'pinhole', 0),
        ('plumb_bob', [], 'pinhole', 0),
    ],
)
def test_models(model, d, expected, count):
    camera = camera_from_info(info(distortion_model=model, d=d), False, 640, 480)
    assert (camera.model, len(camera.distortion)) == (expected, count)


def test_part_of_the_sensor_shows_the_same_points():
    points = np.array([[0.1, -0.05, 1.0], [-0.2, 0.1, 2.0]])
    whole = camera_from_info(info(), False, 640, 480)
    part = camera_from_info(info(roi=roi(100, 60, 400, 300)), False, 400, 300)
    np.testing.assert_allclose(part.project(points), whole.project(points) - [100, 60])


def test_binning_and_resizing_keep_the_edges():
    """A pixel of a binned image covers 2x2 of the sensor, from half a pixel before the first."""
    points = np.array([[0.1, -0.05, 1.0], [-0.2, 0.1, 2.0]])
    expected = (camera_from_info(info(), False, 640, 480).project(points) + 0.5) / 2 - 0.5
    binned = camera_from_info(info(binning_x=2, binning_y=2), False, 320, 240)
    resized = camera_from_info(info(), False, 320, 240)
    np.testing.assert_allclose(binned.project(points), expected)
    np.testing.assert_allclose(resized.project(points), expected)


def test_one_sided_binning():
    camera = camera_from_info(info(binning_x=2), False, 320, 480)
    assert camera.K[0, 0] == 250.0
    assert camera.K[1, 1] == 510.0


@pytest.mark.parametrize(
    ('changes', 'rectified', 'size', 'words'),
    [
        ({'k': np.zeros(9)}, False, (640, 480), 'not calibrated'),
        ({'p': np.zeros(12)}, True, (640, 480), 'no P'),
        ({'width': 0, 'height': 0}, False, (640, 480), 'size 0x0: the camera is not calibrated'),
        ({}, False, (640, 360), 'another shape'),
        ({}, False, (0, 0), 'another shape'),
        ({'roi': roi(400, 0, 300, 300)}, False, (300, 300), 'not within'),
        ({'distortion_model': 'cubic'}, False, (640, 480), 'cubic'),
        ({'k': [0.8, 0, 0.5, 0, 1.1, 0.5, 0, 0, 1]}, False, (640, 480), 'normalized'),
        ({'k': [4.2, 0, 2.9, 0, 4.2, 2.2, 0, 0, 1]}, False, (640, 480), 'millimeters'),
        ({'p': [4.2, 0, 2.9, 0, 0, 4.2, 2.2, 0, 0, 0, 1, 0]}, True, (640, 480), 'millimeters'),
        ({'k': [500, 9, 320, 0, 500, 240, 0, 0, 1]}, False, (640, 480), 'fix-skew'),
        ({'distortion_model': 'omni'}, False, (640, 480), "Mei's"),
    ],
)
def test_not_usable(changes, rectified, size, words):
    with pytest.raises(CameraError, match=words):
        camera_from_info(info(**changes), rectified, *size)


def test_rectification_turns_the_camera():
    turn = so3_exp([0.0, 0.01, 0.0])
    message = info(r=turn.ravel())
    np.testing.assert_allclose(rectified_from_optical(message, True), turn, atol=1e-12)
    np.testing.assert_array_equal(rectified_from_optical(message, False), np.eye(3))
    np.testing.assert_array_equal(rectified_from_optical(info(r=np.zeros(9)), True), np.eye(3))
