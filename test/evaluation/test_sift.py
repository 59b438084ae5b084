"""The classical baseline on a small scene, on a real one, and on what it must refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import BENT_CAMERA, CAMERA, WALLS, broken_image, render, scene_frames

from aceg_ros.datasets import open_dataset
from aceg_ros.errors import FitError
from aceg_ros.evaluation.baselines.features import (
    MAX_VIEW_ANGLE_DEG,
    SiftExtractor,
    match_guided,
    select_pairs,
    to_unit,
)
from aceg_ros.evaluation.baselines.pose import PoseOptions, localize_matches
from aceg_ros.evaluation.baselines.sift import SiftLocalizer
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp, transform_points
from aceg_ros.localization.result import Localization, LocalizationFailure


@pytest.fixture(scope='module')
def localizer():
    return SiftLocalizer.fit(scene_frames(8))


class TestLocalizer:
    def test_views_between_the_mapped_ones_are_found(self, localizer):
        summary = evaluate(localizer, scene_frames(4, phase=0.4)).summary()
        assert summary['localized'] == 4
        assert summary['median_cm'] < 1.0
        assert summary['median_deg'] < 0.2

    def test_points_lie_on_the_walls(self, localizer):
        assert len(localizer.points3d) > 200
        gaps = [np.abs(localizer.points3d @ np.array(n) - d) for n, d in WALLS]
        assert np.median(np.min(gaps, axis=0)) < 0.02

    def test_map_bytes_counts_descriptors_and_points(self, localizer):
        descriptors, points = len(localizer.descriptors), len(localizer.points3d)
        assert descriptors >= 2 * points
        assert localizer.map_bytes == 128 * descriptors + 14 * points

    def test_another_place_is_refused(self, localizer):
        image = render(CAMERA, np.eye(4), decoration=1)
        answer = localizer.localize(image, CAMERA)
        assert isinstance(answer, LocalizationFailure)

    def test_a_blank_image_is_refused(self, localizer):
        answer = localizer.localize(np.full((240, 320, 3), 90, dtype=np.uint8), CAMERA)
        assert isinstance(answer, LocalizationFailure)
        assert set(answer.seconds) == {'features', 'matching', 'pose'}

    def test_distorted_cameras_query_the_same_map(self, localizer):
        frame = scene_frames(3, BENT_CAMERA)[1]
        answer = localizer.localize(frame.image(), BENT_CAMERA)
        assert isinstance(answer, Localization)
        meters, degrees = pose_error(answer.world_from_cam, frame.world_from_cam)
        assert meters < 0.02 and degrees < 0.3


class TestFit:
    def test_unusable_frames_are_left_out(self, caplog):
        frames = scene_frames(6)
        frames[1] = replace(frames[1], load_image=broken_image)
        frames[4] = replace(frames[4], world_from_cam=None)
        localizer = SiftLocalizer.fit(frames)
        assert len(localizer.points3d) > 100
        assert 'view-1 is not mapped' in caplog.text

    def test_one_view_is_too_little(self):
        with pytest.raises(FitError, match='there are 1'):
            SiftLocalizer.fit(scene_frames(1))

    def test_one_spot_gives_no_points(self):
        frames = scene_frames(1) * 5
        with pytest.raises(FitError, match='no points'):
            SiftLocalizer.fit(frames)


class TestRealPhotographs:
    def test_fountain(self, shared):
        frames = open_dataset(shared / 'data' / 'strecha' / 'fountain-P11').frames
        queries = frames[2::5]
        localizer = SiftLocalizer.fit([frame for frame in frames if frame not in queries])
        summary = evaluate(localizer, queries).summary()
        assert summary['recall_5cm_5deg'] == 1.0
        assert summary['median_cm'] < 1.0


class TestSelectPairs:
    def test_neighbors_come_first_and_pairs_are_unique(self):
        poses = np.array([frame.world_from_cam for frame in scene_frames(30)])
        pairs = select_pairs(poses)
        assert len(pairs) == len(set(pairs))
        assert all(i < j for i, j in pairs)
        assert {(i, i + 1) for i in range(29)} <= set(pairs)

    def test_views_in_other_directions_are_no_pair(self):
        away = make_pose(so3_exp([0, np.radians(MAX_VIEW_ANGLE_DEG + 5), 0]), [0.1, 0, 0])
        assert select_pairs(np.array([np.eye(4), away])) == []

    def test_unit_of_length_does_not_matter(self):
        poses = np.array([frame.world_from_cam for frame in scene_frames(25)])
        larger = poses.copy()
        larger[:, :3, 3] *= 1000.0
        assert select_pairs(poses) == select_pairs(larger)


class TestMatchGuided:
    def test_only_the_epipolar_plane_is_searched(self):
        rng = np.random.default_rng(0)
        points = rng.uniform(-1, 1, size=(20, 3)) + [0, 0, 5]
        baseline = np.array([0.5, 0.1, 0.0])
        rays_a = points / np.linalg.norm(points, axis=1, keepdims=True)
        rays_b = (points - baseline) / np.linalg.norm(points - baseline, axis=1, keepdims=True)
        descriptors = to_unit(rng.exponential(size=(20, 128)))
        found = match_guided(descriptors, descriptors, rays_a, rays_b, baseline, 0.005, 0.9)
        assert (found[:, 0] == found[:, 1]).all() and len(found) == 20
        elsewhere = np.roll(rays_b, 1, axis=0)
        found = match_guided(descriptors, descriptors, rays_a, elsewhere, baseline, 0.005, 0.9)
        assert len(found) == 0

    def test_twins_are_ambiguous(self):
        descriptors = to_unit(np.random.default_rng(0).uniform(0, 255, size=(6, 128)))
        rays = np.tile([0.0, 0.0, 1.0], (6, 1))
        twins = np.concatenate([descriptors[:3], descriptors[:3]])
        baseline = np.array([1.0, 0.0, 0.0])
        assert len(match_guided(descriptors, twins, rays, rays, baseline, 0.01, 0.9)) == 0


class TestExtractor:
    def test_descriptors_are_bytes_of_unit_length(self):
        points2d, descriptors = SiftExtractor(200, 0.02)(scene_frames(1)[0].image())
        assert points2d.shape == (len(descriptors), 2) and 100 < len(descriptors) <= 250
        assert descriptors.dtype == np.uint8
        assert np.linalg.norm(descriptors / 512.0, axis=1) == pytest.approx(1.0, abs=0.02)

    def test_positions_follow_the_pixel_convention(self):
        image = np.zeros((101, 141, 3), dtype=np.uint8)
        y, x = np.mgrid[:101, :141]
        blob = 255 * np.exp(-((x - 70.0) ** 2 + (y - 50.0) ** 2) / 50.0)
        image[:] = blob[:, :, None].astype(np.uint8)
        points2d, _ = SiftExtractor(1, 0.02)(image)
        assert points2d[0] == pytest.approx([70.0, 50.0], abs=0.1)


class TestLocalizeMatches:
    def matches(self, wrong):
        rng = np.random.default_rng(2)
        world_from_cam = make_pose(so3_exp([0.3, -0.2, 0.1]), [1.0, 2.0, 3.0])
        points_cam = rng.uniform((-1, -1, 2), (1, 1, 5), size=(100, 3))
        points2d = CAMERA.project(points_cam) + rng.normal(scale=0.5, size=(100, 2))
        points2d[:wrong] = rng.uniform(0, 240, size=(wrong, 2))
        return points2d, transform_points(world_from_cam, points_cam), world_from_cam

    def test_wrong_matches_are_no_inliers(self):
        points2d, points3d, world_from_cam = self.matches(wrong=40)
        answer = localize_matches(points2d, points3d, CAMERA, PoseOptions())
        assert isinstance(answer, Localization)
        assert answer.inliers[:40].mean() < 0.15 and answer.inliers[40:].mean() > 0.9
        difference = inverse(answer.world_from_cam) @ world_from_cam
        assert np.abs(difference - np.eye(4)).max() < 0.01

    def test_too_few_agreeing_matches_are_no_pose(self):
        points2d, points3d, _ = self.matches(wrong=88)
        answer = localize_matches(points2d, points3d, CAMERA, PoseOptions(min_inliers=20))
        assert isinstance(answer, LocalizationFailure)
