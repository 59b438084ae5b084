"""What is drawn into images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, so3_exp
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.ros.debug_image import side_by_side
from aceg_ros.ros.localizer.drawing import draw

CAMERA = Camera.pinhole(320, 240, 260.0, 260.0, 160.0, 120.0)
POSE = make_pose(so3_exp([0.1, -0.2, 0.3]), [1.0, 2.0, 3.0])
SEEN = np.array([[80.0, 100.0], [240.0, 180.0], [160.0, 60.0]])


@pytest.fixture
def found() -> Localization:
    """Three points, the last an outlier; the map puts the second 20 px to the right."""
    at_pose = SEEN + [[0.0, 0.0], [20.0, 0.0], [50.0, 50.0]]
    points_cam = 2.0 * CAMERA.rays(at_pose)
    return Localization(
        world_from_cam=POSE,
        covariance=np.eye(6),
        points2d=SEEN,
        points3d=points_cam @ POSE[:3, :3].T + POSE[:3, 3],
        sigma=np.ones(3),
        inliers=np.array([True, True, False]),
    )


@pytest.fixture
def gray() -> np.ndarray:
    return np.full((240, 320, 3), 90, np.uint8)


def test_points_where_they_are_seen_and_expected(gray, found):
    drawn = draw(gray, CAMERA, found, good=True)
    assert (gray == 90).all()
    changed = (drawn != 90).any(axis=2)
    # The dots, the line to the right; nothing at the outlier.
    assert changed[100, 80]
    assert changed[180, 240:262].all()
    assert not changed[50:70, 150:170].any()
    red, green = drawn[180, 250, :2].astype(int)
    assert green > red


def test_refused_poses_are_red(gray, found):
    red, green = draw(gray, CAMERA, found, good=False)[180, 250, :2].astype(int)
    assert red > green


def test_failures_have_no_points(gray):
    failure = LocalizationFailure(Reason.FEW_INLIERS, 'only 3 of 800 patches agree')
    assert (draw(gray, CAMERA, failure, good=False) == 90).all()


def test_images_of_several_cameras_side_by_side(gray):
    row = side_by_side([gray, np.full((200, 100, 3), 50, np.uint8)])
    assert row.shape == (240, 420, 3)
    assert (row[:, :320] == 90).all()
    assert (row[:200, 320:] == 50).all()
    assert not row[200:, 320:].any()


def test_each_camera_of_a_rig_has_its_own_points(gray, found):
    mount = make_pose(so3_exp([0.0, 0.3, 0.0]), [0.5, 0.0, 0.0])
    of_rig = replace(found, world_from_cam=POSE @ inverse(mount), cameras=np.array([1, 0, 0]))
    second = of_rig.of_camera(1, mount)
    np.testing.assert_allclose(second.world_from_cam, POSE)
    np.testing.assert_array_equal(second.points2d, SEEN[:1])
    changed = (draw(gray, CAMERA, second, good=True) != 90).any(axis=2)
    assert changed[100, 80]
    assert not changed[180, 240:262].any()
