"""Errors that measurements share: what groups show, and what known ones do to a pose."""

from __future__ import annotations

import numpy as np
import pytest
from pose_scenes import CAMERAS, matches

from aceg_ros.geometry.poses import make_pose
from aceg_ros.pose.consistency import mahalanobis2, pose_residual
from aceg_ros.pose.covariance import image_blocks, pose_covariance, shared_errors
from aceg_ros.pose.refine import about_world_axes, refine_pose

PINHOLE = CAMERAS['pinhole']
GROUPS = 12


def refined(view, points3d, sigma_px=1.0):
    sigma = np.full(len(view.rays), sigma_px)
    return refine_pose(
        view.world_from_cam, view.rays, points3d, sigma, PINHOLE.focal, 60.0, floor_px=0.1
    )


def test_errors_of_groups_all_over_the_image_are_seen():
    """Groups that are not parts of the image, as points placed from one mapping image."""
    by_blocks, by_both = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        view = matches(PINHOLE, rng, 300, noise_px=0.3)
        group = rng.integers(0, GROUPS, 300)
        shift = rng.normal(size=(GROUPS, 3)) * 0.01
        found = refined(view, view.points3d + shift[group])
        blocks = image_blocks(view.rays[found.inliers], np.zeros(found.inliers.sum(), np.int64))
        error = pose_residual(view.world_from_cam, found.world_from_cam)
        for groupings, values in (
            ([blocks], by_blocks),
            ([blocks, group[found.inliers]], by_both),
        ):
            local = pose_covariance(found.fit, groupings)
            covariance = about_world_axes(local, found.world_from_cam)
            values.append(mahalanobis2(error, covariance) / 6)
    assert np.mean(by_blocks) > 2.0
    assert 0.4 < np.mean(by_both) < 1.6


def test_shared_errors_are_those_of_repeated_fits():
    """Monte Carlo: the covariance is that of poses fitted to points displaced at random."""
    rng = np.random.default_rng(0)
    view = matches(PINHOLE, rng, 200, noise_px=1.0)
    group = rng.integers(0, 4, 200)
    rotation, size = view.world_from_cam[:3, :3], np.array([0.002, 0.002, 0.004])
    found = refined(view, view.points3d)
    steps = []
    for _ in range(100):
        points3d = view.points3d + (rng.normal(size=(4, 3)) * size)[group] @ rotation.T
        step = pose_residual(refined(view, points3d).world_from_cam, found.world_from_cam)
        steps.append(np.concatenate([step[:3] @ rotation, step[3:] @ rotation]))
    displacements = np.tile(np.diag(size), (int(found.inliers.sum()), 1, 1))
    stated = shared_errors(found.fit, displacements, group[found.inliers])
    real = np.std(np.array(steps), axis=0)
    np.testing.assert_allclose(np.sqrt(np.diag(stated)), real, rtol=0.3)


def test_what_all_points_share_moves_the_camera_along(rng):
    view = matches(PINHOLE, rng, 100, noise_px=0.2)
    found = refined(view, view.points3d)
    count = int(found.inliers.sum())
    together = np.zeros(count, np.int64)
    covariance = shared_errors(found.fit, np.tile(0.05 * np.eye(3), (count, 1, 1)), together)
    expected = np.diag([0.05**2] * 3 + [0.0] * 3)
    np.testing.assert_allclose(covariance, expected, atol=1e-9)


def test_undetermined_fit_is_refused(rng):
    view = matches(PINHOLE, rng, 100, noise_px=0.2)
    fit = refined(view, view.points3d).fit
    one = type(fit)(fit.jacobian[:, :, :2], fit.residuals[:, :2], fit.weights[:2], 1.0, 0.1)
    assert pose_covariance(one, [np.zeros(2, np.int64)]) is None
    with pytest.raises(ValueError, match='does not determine'):
        shared_errors(one, np.zeros((2, 3, 1)), np.zeros(2, np.int64))


def test_about_the_worlds_axes():
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    pose = make_pose(quarter, np.zeros(3))
    turned = about_world_axes(np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), pose)
    np.testing.assert_allclose(np.diag(turned), [2.0, 1.0, 3.0, 5.0, 4.0, 6.0])
