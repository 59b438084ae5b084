"""Frames of a camera that is mounted crooked, and what becomes of its covariance."""

from __future__ import annotations

import numpy as np
import pytest
from tracks import MAP_FROM_ODOM, at, disturbed

from aceg_ros.geometry.poses import inverse, make_pose, so3_exp, transform_points
from aceg_ros.pose.consistency import pose_residual
from aceg_ros.tracking.frames import BODY_FROM_OPTICAL, carry, map_from_odom

MAP_FROM_CAM = make_pose(so3_exp([1.9, 0.3, -0.8]), [2.0, 1.0, 1.4])
CAM_FROM_BASE = make_pose(so3_exp([-0.4, 1.2, 0.7]), [0.3, 1.1, -0.6])


@pytest.fixture
def covariance() -> np.ndarray:
    root = np.random.default_rng(3).normal(size=(6, 6)) * np.array([[0.02] * 3 + [0.01] * 3]).T
    return root @ root.T


def test_carried_covariance_is_that_of_carried_samples(covariance):
    rng = np.random.default_rng(0)
    map_from_base, carried = carry(MAP_FROM_CAM, covariance, CAM_FROM_BASE)
    samples = [
        pose_residual(disturbed(MAP_FROM_CAM, error) @ CAM_FROM_BASE, map_from_base)
        for error in rng.multivariate_normal(np.zeros(6), covariance, size=20_000)
    ]
    scale = np.sqrt(np.outer(np.diag(carried), np.diag(carried)))
    np.testing.assert_allclose(np.cov(np.array(samples).T) / scale, carried / scale, atol=0.03)


def test_lever_arm_lies_in_the_axes_of_the_map():
    # A camera one meter ahead of the base along the map's y; only yaw is uncertain.
    map_from_cam = make_pose(np.eye(3), [0.0, 1.0, 0.0])
    yaw = np.diag([0.0, 0.0, 0.0, 0.0, 0.0, 0.1**2])
    map_from_base, carried = carry(map_from_cam, yaw, at(0.0, -1.0))
    np.testing.assert_allclose(map_from_base[:3, 3], 0.0)
    expected = np.zeros((6, 6))
    # A positive turn of the camera swings the base, behind it, towards +x.
    expected[0, 0], expected[5, 5], expected[0, 5], expected[5, 0] = 0.01, 0.01, 0.01, 0.01
    np.testing.assert_allclose(carried, expected, atol=1e-15)


def test_there_and_back_changes_nothing(covariance):
    there = carry(MAP_FROM_CAM, covariance, CAM_FROM_BASE)
    pose, back = carry(*there, inverse(CAM_FROM_BASE))
    np.testing.assert_allclose(pose, MAP_FROM_CAM, atol=1e-12)
    np.testing.assert_allclose(back, covariance, atol=1e-12)


def test_position_of_a_turned_camera_alone_is_as_certain_as_before(covariance):
    turn = make_pose(so3_exp([0.3, -0.2, 0.9]), np.zeros(3))
    _, carried = carry(MAP_FROM_CAM, covariance, turn)
    np.testing.assert_allclose(carried, covariance, atol=1e-15)


def test_map_from_odom_places_the_whole_drive():
    odom_from_body = at(3.0, 2.0, 50.0)
    found = map_from_odom(MAP_FROM_ODOM @ odom_from_body, odom_from_body)
    np.testing.assert_allclose(found, MAP_FROM_ODOM, atol=1e-12)


def test_axes_of_a_body_that_looks_ahead():
    ahead_right_down = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    expected = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
    np.testing.assert_allclose(transform_points(BODY_FROM_OPTICAL, ahead_right_down), expected)
    assert np.linalg.det(BODY_FROM_OPTICAL[:3, :3]) == pytest.approx(1.0)
