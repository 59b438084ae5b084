"""Poses of rigs: several cameras, sampled and refined together."""

from __future__ import annotations

import numpy as np
import pytest
from pose_scenes import CAMERAS, error_vector, random_pose
from scipy.stats import chi2

from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp, transform_points
from aceg_ros.pose import ransac
from aceg_ros.pose.covariance import image_blocks
from aceg_ros.pose.mounting import Mounting
from aceg_ros.pose.ransac import ransac_pose
from aceg_ros.pose.refine import refine_pose
from aceg_ros.pose.reprojection import Reprojection, moved

YAWS = (0.0, 100.0, 200.0)  # degrees
LENSES = ('pinhole', 'plumb_bob', 'equidistant')


class RigView:
    """Points that the cameras of a rig see with noise, some of them wrong."""

    def __init__(self, seed, counts=(150, 150, 150), outliers=(0.3, 0.3, 0.3), baseline=0.3):
        rng = np.random.default_rng(seed)
        self.world_from_rig = random_pose(rng)
        mounts, rays, points = [], [], []
        for yaw, lens, count, wrong in zip(YAWS, LENSES, counts, outliers, strict=True):
            camera = CAMERAS[lens]
            turn = so3_exp([0.0, np.radians(yaw), 0.0])
            mounts.append(make_pose(turn, baseline * rng.normal(size=3)))
            size = camera.width, camera.height
            pixels = rng.uniform(0.2, 0.8, (count, 2)) * size
            points_cam = camera.rays(pixels) * rng.uniform(1.0, 5.0, (count, 1))
            points_cam[: int(count * wrong)] = rng.uniform(-4, 4, (int(count * wrong), 3))
            rays.append(camera.rays(pixels + rng.normal(size=pixels.shape)))
            points.append(transform_points(self.world_from_rig @ mounts[-1], points_cam))
        self.rays, self.points3d = np.concatenate(rays), np.concatenate(points)
        self.mounting = Mounting(
            np.stack(mounts),
            np.array([CAMERAS[lens].focal for lens in LENSES]),
            np.repeat(np.arange(len(counts)), counts),
        )

    def found(self, **options):
        return ransac_pose(self.rays, self.points3d, self.mounting, 8.0, **options)

    def refined(self, start):
        ones = np.ones(len(self.rays))
        return refine_pose(start, self.rays, self.points3d, ones, self.mounting, 8.0, 0.1)


def is_near(pose, view, meters=0.05, degrees=0.5):
    off = pose_error(pose, view.world_from_rig)
    return off[0] < meters and off[1] < degrees


class TestSampling:
    @pytest.mark.parametrize('baseline', [0.0, 0.3])
    def test_finds_what_most_cameras_agree_on(self, baseline):
        view = RigView(0, baseline=baseline)
        pose, inliers = view.found()
        assert is_near(pose, view)
        assert inliers.sum() > 0.65 * len(inliers)

    def test_few_matches_of_each_camera_are_enough_together(self):
        """Five true ones of each are too few for any camera by itself."""
        view = RigView(1, counts=(20, 20, 20), outliers=(0.75, 0.75, 0.75))
        pose, inliers = view.found()
        assert inliers.sum() >= 13
        assert is_near(view.refined(pose).world_from_cam, view, meters=0.1, degrees=1.5)

    def test_one_camera_that_knows_the_place_is_enough(self):
        view = RigView(2, counts=(150, 400, 400), outliers=(0.6, 1.0, 1.0))
        assert is_near(view.found()[0], view, meters=0.2, degrees=2.0)

    def test_each_camera_is_tried_without_poselib(self, monkeypatch):
        monkeypatch.setattr(ransac, 'poselib', None)
        view = RigView(3)
        assert is_near(view.refined(view.found()[0]).world_from_cam, view)

    def test_a_prior_of_the_rig_is_a_hypothesis(self, monkeypatch):
        monkeypatch.setattr(ransac, '_sampled', lambda *_: [])
        view = RigView(4)
        prior = moved(view.world_from_rig, np.array([0.05, 0.0, 0.05, 0.02, 0.0, 0.0]))
        assert is_near(view.found(prior=prior)[0], view)


def test_jacobian_is_that_of_differences():
    view = RigView(5, outliers=(0.0, 0.0, 0.0))
    problem = Reprojection(view.rays, view.points3d, view.mounting)
    _, jacobian = problem.linearized(view.world_from_rig)
    for axis, step in enumerate(1e-6 * np.eye(6)):
        ahead, behind = (
            problem.linearized(moved(view.world_from_rig, sign * step))[0] for sign in (1, -1)
        )
        np.testing.assert_allclose(jacobian[axis], (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-3)


def test_a_rig_of_one_camera_is_that_camera():
    """Whose pose is the rig's, but for where it is mounted."""
    view = RigView(6)
    rows = view.mounting.camera == 1
    mount = view.mounting.rig_from_cam[1]
    single = CAMERAS['plumb_bob'].focal
    alone = Mounting(mount[None], np.array([single]), np.zeros(rows.sum(), np.int64))
    poses = []
    for cameras, rig_from_cam in ((single, np.eye(4)), (alone, mount)):
        pose, _ = ransac_pose(view.rays[rows], view.points3d[rows], cameras, 8.0)
        ones = np.ones(rows.sum())
        refined = refine_pose(pose, view.rays[rows], view.points3d[rows], ones, cameras, 8.0)
        poses.append(refined.world_from_cam @ rig_from_cam)
    np.testing.assert_allclose(*poses, atol=1e-6)


def test_covariance_holds_and_is_smaller_than_that_of_a_camera():
    inside, ratios = 0, []
    for seed in range(25):
        view = RigView(100 + seed, counts=(60, 60, 60), outliers=(0.1, 0.1, 0.1))
        found = view.refined(view.world_from_rig)
        error = error_vector(found.world_from_cam, view.world_from_rig)
        inside += error @ np.linalg.solve(found.covariance, error) < chi2.ppf(0.95, 6)
        rows = view.mounting.camera == 0
        truth = view.world_from_rig @ view.mounting.rig_from_cam[0]
        alone = refine_pose(
            truth, view.rays[rows], view.points3d[rows], np.ones(60), CAMERAS['pinhole'].focal, 8.0
        )
        ratios.append(np.trace(found.covariance[:3, :3]) / np.trace(alone.covariance[:3, :3]))
    assert inside >= 21
    assert np.median(ratios) < 0.5


def test_blocks_of_different_images_are_different():
    view = RigView(7)
    blocks = image_blocks(view.rays, view.mounting.camera)
    of_camera = [set(blocks[view.mounting.camera == index]) for index in range(3)]
    assert not of_camera[0] & of_camera[1]
    assert not of_camera[1] & of_camera[2]
    np.testing.assert_array_equal(
        blocks[:150], image_blocks(view.rays[:150], np.zeros(150, np.int64))
    )


def test_centers_are_where_the_cameras_are():
    view = RigView(8)
    cam_from_world = inverse(view.world_from_rig @ view.mounting.rig_from_cam[2])
    rows = np.flatnonzero(view.mounting.camera == 2)[-20:]
    errors = Reprojection(view.rays, view.points3d, view.mounting).errors(view.world_from_rig)
    alone = Reprojection(view.rays[rows], view.points3d[rows], CAMERAS['equidistant'].focal)
    np.testing.assert_allclose(errors[rows], alone.errors(inverse(cam_from_world)), rtol=1e-6)
