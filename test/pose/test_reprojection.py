"""Tangent-plane residuals: agreement with pixels, derivatives, directions off the axis."""

from __future__ import annotations

import numpy as np
import pytest
from pose_scenes import CAMERAS, matches, random_pose

from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.pose.reprojection import Reprojection, moved, tangent_frames, usable_rows


def directions(rng, count=200):
    rays = rng.normal(size=(count, 3))
    rays[:6] = np.concatenate([np.eye(3), -np.eye(3)])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


class TestTangentFrames:
    def test_are_rotations_in_every_direction(self, rng):
        frames = np.moveaxis(tangent_frames(directions(rng)), 2, 0)
        gram = frames @ np.swapaxes(frames, 1, 2)
        np.testing.assert_allclose(gram - np.eye(3), 0.0, atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(frames), 1.0)

    def test_third_axis_is_the_ray(self, rng):
        rays = directions(rng)
        np.testing.assert_array_equal(tangent_frames(rays)[:, 2].T, rays)

    def test_follow_the_image_on_the_axis(self):
        frame = tangent_frames(np.array([[0.0, 0.0, 1.0]]))[:, :, 0]
        np.testing.assert_allclose(frame, np.eye(3), atol=1e-15)


class TestResiduals:
    def test_is_the_pixel_error_near_the_axis(self, rng):
        camera = CAMERAS['pinhole']
        pixels = np.array([[320.0, 240.0], [325.0, 238.0], [300.0, 260.0]])
        offsets = np.array([[3.0, 0.0], [0.0, -2.0], [1.0, 1.0]])
        pose = random_pose(rng)
        points3d = transform_points(pose, 2.0 * camera.rays(pixels))
        problem = Reprojection(camera.rays(pixels + offsets), points3d, camera.focal)
        residuals, _ = problem.linearized(pose)
        np.testing.assert_allclose(residuals.T, -offsets, atol=0.02)
        np.testing.assert_allclose(problem.errors(pose), np.hypot(*offsets.T), atol=0.02)

    def test_is_about_a_pixel_everywhere_in_a_fisheye(self):
        camera = CAMERAS['equidistant']
        pixels = np.stack([np.linspace(30.0, 820.0, 60), np.full(60, 380.0)], axis=1)
        shifted = camera.rays(pixels + [1.0, 0.0])
        problem = Reprojection(camera.rays(pixels), 2.0 * shifted, camera.focal)
        assert camera.rays(pixels)[:, 2].min() < 0
        np.testing.assert_allclose(problem.errors(np.eye(4)), 1.0, rtol=0.15)

    def test_vanishes_at_the_true_pose_beyond_90_degrees(self, rng):
        rays, pose = directions(rng), random_pose(rng)
        problem = Reprojection(rays, transform_points(pose, 3.0 * rays), 300.0)
        np.testing.assert_allclose(problem.errors(pose), 0.0, atol=1e-9)

    def test_is_infinite_behind_the_tangent_plane(self):
        ray = np.array([[0.0, 0.0, 1.0]] * 2)
        problem = Reprojection(ray, np.array([[0.1, 0.0, -1.0], [1.0, 0.0, 0.0]]), 300.0)
        assert np.isposinf(problem.errors(np.eye(4))).all()
        residuals, jacobian = problem.linearized(np.eye(4))
        assert not residuals.any() and not jacobian.any()

    def test_unpaired_tables_are_refused(self):
        with pytest.raises(ValueError, match='both'):
            Reprojection(np.zeros((4, 3)), np.zeros((5, 3)), 300.0)

    def test_subset_is_the_same_for_its_rows(self, rng):
        view = matches(CAMERAS['pinhole'], rng, count=30)
        problem = Reprojection(view.rays, view.points3d, 500.0)
        rows = rng.random(30) < 0.5
        np.testing.assert_array_equal(
            problem.subset(rows).errors(view.world_from_cam),
            problem.errors(view.world_from_cam)[rows],
        )


class TestJacobian:
    def test_matches_differences(self, camera, rng):
        view = matches(camera, rng, count=50, noise_px=3.0)
        problem = Reprojection(view.rays, view.points3d, camera.focal)
        _, jacobian = problem.linearized(view.world_from_cam)
        for axis in range(6):
            step = np.zeros(6)
            step[axis] = 1e-6
            ahead, _ = problem.linearized(moved(view.world_from_cam, step))
            back, _ = problem.linearized(moved(view.world_from_cam, -step))
            np.testing.assert_allclose(
                jacobian[axis], (ahead - back) / 2e-6, rtol=1e-5, atol=1e-4 * camera.focal
            )


def test_moved_shifts_along_the_cameras_axes(rng):
    pose = random_pose(rng)
    change = inverse(pose) @ moved(pose, np.array([0.1, -0.2, 0.3, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(change[:3, 3], [0.1, -0.2, 0.3])


def test_usable_rows_needs_every_number():
    table = np.zeros((4, 3))
    table[1, 2] = np.nan
    assert usable_rows(table, np.array([0.0, 0.0, np.inf, 1.0])).tolist() == [
        True,
        False,
        False,
        True,
    ]
