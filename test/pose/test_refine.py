"""Refinement: precision, robustness, never worse, covariance that keeps its word."""

from __future__ import annotations

import time

import numpy as np
import pytest
from pose_scenes import CAMERAS, error_vector, matches, normalized_error_squared, perturbed

from aceg_ros.geometry.poses import compose, inverse, make_pose, pose_error, so3_exp
from aceg_ros.pose.ransac import ransac_pose
from aceg_ros.pose.refine import MIN_INLIERS, MIN_SCALE, refine_pose, robust_cost
from aceg_ros.pose.reprojection import Reprojection

PINHOLE = CAMERAS['pinhole']


def refined(view, start, sigma_px=1.0, **options):
    sigma = np.broadcast_to(np.float64(sigma_px), len(view.rays))
    return refine_pose(start, view.rays, view.points3d, sigma, view.camera.focal, **options)


class TestPrecision:
    def test_noiseless_pose_is_exact(self, camera, rng):
        view = matches(camera, rng, noise_px=0.0)
        result = refined(view, perturbed(view.world_from_cam, rng, 0.01, 0.003))
        np.testing.assert_allclose(result.world_from_cam, view.world_from_cam, atol=1e-5)
        assert result.inliers.all()

    @pytest.mark.parametrize('outliers', [0.0, 0.3, 0.7])
    def test_outliers_change_little(self, camera, outliers, rng):
        view = matches(camera, rng, count=800, outliers=outliers)
        result = refined(view, perturbed(view.world_from_cam, rng, 0.01, 0.003))
        offset, angle = pose_error(result.world_from_cam, view.world_from_cam)
        assert offset < 0.01 and angle < 0.2
        assert result.inliers[view.is_true].mean() > 0.97
        assert result.inliers[~view.is_true].sum() < 0.02 * len(view.rays)

    def test_improves_on_ransac_in_a_fisheye(self):
        """The virtual image of RANSAC stretches the rim, the tangent planes do not."""
        errors = []
        for seed in range(8):
            view = matches(CAMERAS['equidistant'], np.random.default_rng(seed), outliers=0.3)
            start, _ = ransac_pose(view.rays, view.points3d, view.camera.focal, 8.0)
            poses = start, refined(view, start).world_from_cam
            errors.append([pose_error(pose, view.world_from_cam)[0] for pose in poses])
        assert np.mean(errors, axis=0)[1] < 0.7 * np.mean(errors, axis=0)[0]

    def test_small_sigma_weighs_more(self):
        errors = []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            sigma = np.where(np.arange(200) < 100, 0.3, 4.0)
            noise = rng.normal(size=(200, 2)) * sigma[:, None]
            view = matches(PINHOLE, rng, count=200, offsets_px=lambda _, noise=noise: noise)
            poses = (
                refined(view, view.world_from_cam, s, threshold_px=20.0, floor_px=0.1)
                for s in (sigma, 2.0)
            )
            errors.append([pose_error(p.world_from_cam, view.world_from_cam)[0] for p in poses])
        known, unknown = np.mean(errors, axis=0)
        assert known < 0.8 * unknown

    def test_does_not_depend_on_the_worlds_frame(self, rng):
        view = matches(PINHOLE, rng, outliers=0.2)
        start = perturbed(view.world_from_cam, rng, 0.01, 0.003)
        far_from_here = make_pose(so3_exp([0.3, -1.0, 2.0]), [40.0, -7.0, 3.0])
        here = refined(view, start)
        points3d = view.points3d @ far_from_here[:3, :3].T + far_from_here[:3, 3]
        there = refine_pose(
            compose(far_from_here, start), view.rays, points3d, np.ones(len(points3d)), 525.0
        )
        np.testing.assert_allclose(
            inverse(far_from_here) @ there.world_from_cam, here.world_from_cam, atol=1e-6
        )
        turn = np.kron(np.eye(2), far_from_here[:3, :3])
        np.testing.assert_allclose(
            there.covariance, turn @ here.covariance @ turn.T, rtol=1e-3, atol=1e-9
        )


class TestInliers:
    def test_obey_the_threshold(self, rng):
        view = matches(PINHOLE, rng, noise_px=3.0)
        result = refined(view, view.world_from_cam, 3.0, threshold_px=4.0)
        errors = Reprojection(view.rays, view.points3d, 525.0).errors(result.world_from_cam)
        assert errors[result.inliers].max() < 4.0
        assert (errors[~result.inliers] > 4.0).all()

    def test_obey_what_the_other_residuals_show(self, rng):
        view = matches(PINHOLE, rng, noise_px=0.5)
        shifted = view.points3d.copy()
        shifted[:5] += 0.06 * view.world_from_cam[:3, 0]
        result = refine_pose(
            view.world_from_cam, view.rays, shifted, np.full(400, 0.5), 525.0, 40.0
        )
        assert not result.inliers[:5].any() and result.inliers[5:].mean() > 0.97

    def test_known_sigmas_are_not_narrowed_by_others_that_are_too_large(self, rng):
        view = matches(PINHOLE, rng, noise_px=0.5)
        known = np.arange(400) < 100
        sigma = np.where(known, 0.5, 4.0)
        narrowed, result = (
            refined(view, view.world_from_cam, sigma, floor_px=0.1, least_scale=least).inliers
            for least in (MIN_SCALE, np.where(known, 1.0, MIN_SCALE))
        )
        assert narrowed[known].mean() < 0.5
        assert result[known].mean() > 0.97

    def test_unusable_rows_are_outliers(self, rng):
        view = matches(PINHOLE, rng)
        sigma = np.ones(400)
        view.rays[0], view.points3d[1], sigma[2], sigma[3], sigma[4] = (
            np.nan,
            np.inf,
            np.nan,
            -1,
            np.inf,
        )
        result = refine_pose(view.world_from_cam, view.rays, view.points3d, sigma, 525.0)
        assert not result.inliers[:5].any() and result.inliers[5:].mean() > 0.97


class TestNeverWorse:
    @pytest.mark.parametrize('seed', range(12))
    def test_cost_does_not_rise(self, seed):
        rng = np.random.default_rng(seed)
        view = matches(PINHOLE, rng, count=60, outliers=0.8, noise_px=2.0)
        start = perturbed(view.world_from_cam, rng, meters=0.1 * rng.random(), radians=0.02)
        result = refined(view, start, 2.0)
        if result is None:
            return
        problem = Reprojection(view.rays, view.points3d, 525.0)
        # Truncated squares, which is what RANSAC scored the start by.
        costs = [
            np.minimum(problem.errors(pose), 10.0) @ np.minimum(problem.errors(pose), 10.0)
            for pose in (start, result.world_from_cam)
        ]
        assert costs[1] <= costs[0] * 1.02

    def test_robust_cost_saturates(self):
        cost = robust_cost(np.array([0.0, 1.0, 50.0, np.inf]), np.ones(4), 2.0, 10.0)
        assert cost == pytest.approx(0.0 + 0.8 + 4.0 + 4.0)


class TestDegenerate:
    @pytest.mark.parametrize('count', [0, 1, 3, MIN_INLIERS - 1])
    def test_too_few(self, count, rng):
        view = matches(PINHOLE, rng, count=20)
        arguments = view.rays[:count], view.points3d[:count], np.ones(count)
        assert refine_pose(view.world_from_cam, *arguments, 525.0) is None

    def test_nothing_agrees(self, rng):
        view = matches(PINHOLE, rng, outliers=1.0)
        assert refined(view, perturbed(view.world_from_cam, rng), threshold_px=0.5) is None

    @pytest.mark.parametrize('noise', [0.0, 1e-3])
    @pytest.mark.parametrize('rank', [0, 1])
    def test_points_on_a_line_or_in_a_spot(self, rank, noise, rng):
        points3d = np.outer(np.linspace(-1, 1, 50) * rank, [1.0, 0.2, 0.1]) + [0.0, 0.0, 3.0]
        rays = points3d + rng.normal(size=(50, 3)) * noise
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        assert refine_pose(np.eye(4), rays, points3d, np.ones(50), 525.0) is None

    def test_a_plane_is_enough(self, rng):
        view = matches(PINHOLE, rng)
        rays = view.rays * (3.0 / view.rays[:, 2:])
        result = refine_pose(np.eye(4), view.rays, rays, np.ones(400), 525.0)
        np.testing.assert_allclose(result.world_from_cam, np.eye(4), atol=1e-6)

    def test_start_that_is_not_finite(self, rng):
        view = matches(PINHOLE, rng)
        assert refined(view, np.full((4, 4), np.nan)) is None

    def test_absurd_coordinates_raise_nothing(self, rng):
        view = matches(PINHOLE, rng)
        view.points3d[:100] *= 1e200
        with np.errstate(all='ignore'):
            result = refined(view, view.world_from_cam)
        assert not result.inliers[:100].any()


class TestCovariance:
    """The normalized error squared of six parameters is 6 on average when all is right."""

    def average(self, camera, offsets_px, trials=60, count=300, sigma_px=2.0, **options):
        values = []
        for seed in range(trials):
            rng = np.random.default_rng(seed)
            view = matches(
                camera, rng, count, offsets_px=lambda points2d, rng=rng: offsets_px(rng, points2d)
            )
            result = refined(view, view.world_from_cam, sigma_px, threshold_px=15.0, **options)
            values.append(normalized_error_squared(result, view.world_from_cam))
        return np.mean(values)

    def test_independent_errors(self, camera):
        mean = self.average(camera, lambda rng, points2d: rng.normal(size=points2d.shape) * 2.0)
        assert 3.5 < mean < 8.0

    def test_size_of_errors_is_measured(self):
        mean = self.average(
            PINHOLE,
            lambda rng, points2d: rng.normal(size=points2d.shape) * 0.7,
            sigma_px=4.0,
            floor_px=0.0,
        )
        assert 3.5 < mean < 8.0

    def test_heavy_tails(self):
        mean = self.average(
            PINHOLE, lambda rng, points2d: rng.standard_t(3, size=points2d.shape), sigma_px=1.5
        )
        assert 3.5 < mean < 8.0

    @pytest.mark.parametrize(('reach_px', 'limit'), [(16.0, 9.0), (40.0, 11.0)])
    def test_correlated_errors(self, reach_px, limit):
        """Neighbors err together; taken as independent, the figures would be 11 and 39."""

        def smooth(rng, points2d):
            waves = rng.normal(size=(200, 2)) / reach_px
            phases = rng.uniform(0, 2 * np.pi, (200, 2))
            return 2.0 * np.sqrt(2 / 200) * np.cos((points2d @ waves.T)[..., None] + phases).sum(1)

        assert 3.5 < self.average(PINHOLE, smooth) < limit

    def test_is_about_the_worlds_axes(self):
        """Depth along the view is the loosest position; the camera looks along the world's y."""
        rotation = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
        errors, stated = [], []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            pixels = rng.uniform([280, 200], [360, 280], (200, 2))
            points3d = (PINHOLE.rays(pixels) * rng.uniform(2, 4, (200, 1))) @ rotation.T
            rays = PINHOLE.rays(pixels + rng.normal(size=(200, 2)) * 0.5)
            truth = make_pose(rotation, np.zeros(3))
            result = refine_pose(truth, rays, points3d, np.full(200, 0.5), 525.0, floor_px=0.1)
            errors.append(error_vector(result.world_from_cam, truth))
            stated.append(np.diag(result.covariance))
        real, stated = np.std(errors, axis=0), np.sqrt(np.mean(stated, axis=0))
        np.testing.assert_allclose(stated, real, rtol=0.5)
        assert real[1] > 2.0 * max(real[0], real[2])

    def test_is_symmetric_positive_and_has_a_floor(self, camera, rng):
        view = matches(camera, rng, noise_px=0.0)
        covariance = refined(view, view.world_from_cam).covariance
        np.testing.assert_allclose(covariance, covariance.T, rtol=1e-9, atol=1e-18)
        assert np.linalg.eigvalsh(covariance)[0] > 0
        # A tenth of a pixel over some hundred points at two meters is a few micrometers.
        assert np.sqrt(np.diag(covariance)[:3]).min() > 3e-6

    def test_all_points_in_one_block_or_seven_points(self, rng):
        view = matches(PINHOLE, rng, count=7, noise_px=0.3)
        covariance = refined(view, view.world_from_cam).covariance
        assert np.isfinite(covariance).all() and np.linalg.eigvalsh(covariance)[0] > 0


def test_a_thousand_points_are_quick(rng):
    view = matches(PINHOLE, rng, count=1000, outliers=0.3)
    start = perturbed(view.world_from_cam, rng, 0.01, 0.003)
    times = []
    for _ in range(15):
        begin = time.process_time()
        refined(view, start)
        times.append(time.process_time() - begin)
    # About 3 ms on an idle core; the margin is for busy machines.
    assert min(times) < 0.015
