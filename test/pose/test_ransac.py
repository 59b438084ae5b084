"""Pose from contaminated matches: both back ends, every camera, priors, hopeless input."""

from __future__ import annotations

import numpy as np
import pytest
from pose_scenes import CAMERAS, matches, perturbed, random_pose

from aceg_ros.geometry.poses import pose_error, validate_pose
from aceg_ros.pose import ransac
from aceg_ros.pose.ransac import ransac_pose


@pytest.fixture(params=['poselib', 'opencv'])
def backend(request, monkeypatch):
    if request.param == 'opencv':
        monkeypatch.setattr(ransac, 'poselib', None)
    elif ransac.poselib is None:
        pytest.skip('PoseLib is not installed')
    return request.param


def assert_right(found, view, meters=0.05, degrees=1.0):
    assert found is not None
    offset, angle = pose_error(found[0], view.world_from_cam)
    assert offset < meters and angle < degrees
    assert found[1][view.is_true].mean() > 0.9
    assert found[1][~view.is_true].sum() < 0.05 * len(view.rays)


@pytest.mark.usefixtures('backend')
class TestPose:
    @pytest.mark.parametrize('outliers', [0.0, 0.5, 0.7])
    def test_is_found_among_outliers(self, camera, outliers, rng):
        view = matches(camera, rng, count=600, outliers=outliers)
        assert_right(ransac_pose(view.rays, view.points3d, camera.focal, 8.0), view)

    def test_inliers_beyond_the_virtual_image_are_counted(self, rng):
        view = matches(CAMERAS['equidistant'], rng, count=600)
        _, inliers = ransac_pose(view.rays, view.points3d, view.camera.focal, 8.0)
        beyond = view.rays[:, 2] < 0
        assert beyond.any() and inliers[beyond].mean() > 0.9

    def test_repeats_itself(self, rng):
        view = matches(CAMERAS['pinhole'], rng, outliers=0.6)
        first, second = (ransac_pose(view.rays, view.points3d, 525.0, 8.0, seed=3) for _ in 'ab')
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])

    def test_rows_that_are_not_finite_are_outliers(self, rng):
        view = matches(CAMERAS['pinhole'], rng)
        view.rays[:20] = np.nan
        view.points3d[20:40] = np.inf
        pose, inliers = ransac_pose(view.rays, view.points3d, 525.0, 8.0)
        assert pose_error(pose, view.world_from_cam)[0] < 0.05
        assert not inliers[:40].any() and inliers[40:].mean() > 0.9

    def test_takes_single_precision(self, rng):
        view = matches(CAMERAS['pinhole'], rng, outliers=0.3)
        found = ransac_pose(
            view.rays.astype(np.float32), view.points3d.astype(np.float32), 525.0, 8.0
        )
        assert_right(found, view)

    def test_inputs_are_left_alone(self, rng):
        view = matches(CAMERAS['pinhole'], rng, outliers=0.3)
        rays, points3d = view.rays.copy(), view.points3d.copy()
        ransac_pose(rays, points3d, 525.0, 8.0, prior=view.world_from_cam)
        np.testing.assert_array_equal(rays, view.rays)
        np.testing.assert_array_equal(points3d, view.points3d)


@pytest.mark.usefixtures('backend')
class TestPrior:
    def test_wrong_prior_does_no_harm(self, rng):
        view = matches(CAMERAS['pinhole'], rng, outliers=0.5)
        far = random_pose(rng)
        found = ransac_pose(view.rays, view.points3d, 525.0, 8.0, prior=far)
        assert_right(found, view)

    def test_garbage_prior_is_ignored(self, rng):
        view = matches(CAMERAS['pinhole'], rng)
        found = ransac_pose(view.rays, view.points3d, 525.0, 8.0, prior=np.full((4, 4), np.nan))
        assert_right(found, view)

    def test_good_prior_helps_where_sampling_fails(self, rng, monkeypatch):
        for name in ('_find_with_poselib', '_find_with_opencv'):
            monkeypatch.setattr(ransac, name, lambda *_: None)
        view = matches(CAMERAS['pinhole'], rng, outliers=0.5)
        prior = perturbed(view.world_from_cam, rng, meters=0.1, radians=0.03)
        assert ransac_pose(view.rays, view.points3d, 525.0, 8.0) is None
        assert_right(ransac_pose(view.rays, view.points3d, 525.0, 8.0, prior=prior), view)

    def test_serves_a_view_beyond_the_virtual_image(self, rng):
        view = matches(CAMERAS['equidistant'], rng, count=900)
        rim = view.rays[:, 2] < ransac.MIN_RAY_Z
        rays, points3d = view.rays[rim], view.points3d[rim]
        prior = perturbed(view.world_from_cam, rng)
        assert ransac_pose(rays, points3d, view.camera.focal, 8.0) is None
        pose, _ = ransac_pose(rays, points3d, view.camera.focal, 8.0, prior=prior)
        assert pose_error(pose, view.world_from_cam)[0] < 0.05


@pytest.mark.usefixtures('backend')
class TestHopeless:
    @pytest.mark.parametrize('count', [0, 1, 3, 5])
    def test_too_few(self, count, rng):
        view = matches(CAMERAS['pinhole'], rng, count=20)
        assert ransac_pose(view.rays[:count], view.points3d[:count], 525.0, 8.0) is None

    def test_few_of_many_agree(self, rng):
        view = matches(CAMERAS['pinhole'], rng, count=8, outliers=1.0)
        assert ransac_pose(view.rays, view.points3d, 525.0, 1.0) is None

    @pytest.mark.parametrize('rank', [0, 1])
    def test_points_on_a_line_or_in_a_spot_raise_nothing(self, rank, rng):
        points3d = np.outer(np.linspace(-1, 1, 50) * rank, [1.0, 0.2, 0.1]) + [0.0, 0.0, 3.0]
        rays = points3d / np.linalg.norm(points3d, axis=1, keepdims=True)
        found = ransac_pose(rays, points3d, 525.0, 8.0)
        assert found is None or np.isfinite(found[0]).all()

    def test_rays_behind_the_camera_only(self, rng):
        view = matches(CAMERAS['pinhole'], rng)
        assert ransac_pose(-view.rays, view.points3d, 525.0, 8.0) is None


def test_back_ends_agree(rng, monkeypatch):
    if ransac.poselib is None:
        pytest.skip('PoseLib is not installed')
    view = matches(CAMERAS['pinhole'], rng, outliers=0.5)
    poses = [ransac_pose(view.rays, view.points3d, 525.0, 8.0)[0]]
    monkeypatch.setattr(ransac, 'poselib', None)
    poses.append(ransac_pose(view.rays, view.points3d, 525.0, 8.0)[0])
    assert pose_error(*poses)[0] < 0.02


def test_result_is_a_rigid_pose_of_the_camera():
    rng = np.random.default_rng(1)
    view = matches(CAMERAS['pinhole'], rng, noise_px=0.0)
    pose, inliers = ransac_pose(view.rays, view.points3d, 525.0, 2.0)
    np.testing.assert_allclose(pose, view.world_from_cam, atol=1e-4)
    np.testing.assert_allclose(validate_pose(pose), pose, atol=1e-9)
    assert inliers.all()
