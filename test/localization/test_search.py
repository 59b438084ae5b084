"""The search for a pose, with readers and samplers whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from pose_scenes import CAMERAS, perturbed
from pose_scenes import matches as scene_matches

from aceg_ros.geometry.poses import make_pose, pose_error, so3_exp
from aceg_ros.localization import search
from aceg_ros.localization.clock import Clock
from aceg_ros.localization.options import SearchOptions
from aceg_ros.localization.result import Reason
from aceg_ros.localization.search import FoundPose, search_pose
from aceg_ros.localization.views import View
from aceg_ros.pose.matches import Matches
from aceg_ros.readers.base import ImagePatches, Prediction

CAMERA = CAMERAS['pinhole']
OPTIONS = SearchOptions(
    attempts=(1.0, 2.0, 3.0), sure_inlier_ratio=0.6, sure_support_ratio=0.8, rounds=3
)


@dataclass
class Scene:
    """Matches of one view with a known pose."""

    truth: np.ndarray
    matches: Matches

    @property
    def patches(self) -> ImagePatches:
        features = torch.zeros(len(self.matches), 4)
        grid = torch.zeros(4, CAMERA.height // 8, CAMERA.width // 8)
        rays, centers = self.matches.rays, self.matches.points2d
        return ImagePatches(features, rays, centers, CAMERA, grid, 8)

    @property
    def first(self) -> Prediction:
        return Prediction(self.matches)


def scene_of(outliers: float = 0.3) -> Scene:
    made = scene_matches(CAMERA, np.random.default_rng(5), outliers=outliers)
    count = len(made.rays)
    matches = Matches(made.rays, np.zeros((count, 2)), made.points3d, np.full(count, 0.005))
    return Scene(made.world_from_cam, matches)


@pytest.fixture
def scene() -> Scene:
    return scene_of()


@dataclass
class FakeReader:
    """Predicts the same near all poses, or what a function says; or nothing near any."""

    near: object = None
    code: object = None
    max_patches: int | None = None
    threshold_px: float = 12.0
    asked: list[np.ndarray] = field(default_factory=list)  # poses that it was asked to predict near

    def predict(self, patches):
        raise AssertionError('the first prediction is given')

    def predict_near(self, patches, world_from_cam, first):
        self.asked.append(world_from_cam)
        return self.near(world_from_cam) if callable(self.near) else self.near


def searched(scene, reader, options=OPTIONS, prior=None, clock=None):
    blank = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    view = View(blank, scene.patches, scene.first, np.eye(4))
    return search_pose(reader, [view], prior, options, clock or Clock())


def is_near(found, truth, meters=0.03, degrees=1.0) -> bool:
    assert isinstance(found, FoundPose)
    off = pose_error(found.pose.world_from_cam, truth)
    return bool(off[0] < meters and off[1] < degrees)


@pytest.fixture
def sampled(scene, monkeypatch):
    """Replaces sampling: gives the poses in a list in turn, and notes what it was asked."""
    asked = []
    answers: list[np.ndarray | None] = []

    def ransac(rays, points3d, cameras, threshold_px, prior=None, seed=0):
        asked.append((threshold_px, seed, prior))
        pose = answers[min(len(asked), len(answers)) - 1]
        return [] if pose is None else [(pose, np.ones(len(rays), bool))]

    ransac.asked, ransac.answers = asked, answers
    monkeypatch.setattr(search, 'ransac_poses', ransac)
    return ransac


def turned(pose: np.ndarray, degrees: float) -> np.ndarray:
    rotation = pose[:3, :3] @ so3_exp([0.0, np.radians(degrees), 0.0])
    return make_pose(rotation, pose[:3, 3])


class TestFound:
    def test_by_the_first_prediction_alone(self, scene):
        """Where readers add nothing near a pose, the first pose that settles is taken."""
        found = searched(scene, FakeReader())
        assert is_near(found, scene.truth)
        np.testing.assert_array_equal(found.matches.points3d, scene.matches.points3d)
        assert found.support_ratio is None

    def test_by_what_is_predicted_near_it(self, scene):
        exact = scene_of(outliers=0.0)
        near = Prediction(exact.matches, support_ratio=0.9)
        found = searched(scene, FakeReader(near))
        assert is_near(found, exact.truth)
        np.testing.assert_array_equal(found.matches.points3d, exact.matches.points3d)
        assert found.support_ratio == 0.9
        assert len(found.pose.inliers) == len(exact.matches)

    def test_times_its_stages(self, scene):
        clock = Clock()
        searched(scene, FakeReader(), clock=clock)
        assert set(clock.seconds) == {'ransac', 'refine'}


class TestNotFound:
    def test_no_pose(self, scene, sampled):
        sampled.answers[:] = [None]
        assert searched(scene, FakeReader()) is Reason.NO_POSE
        assert len(sampled.asked) == 3

    def test_too_few_matches(self, scene):
        few = Matches(*(part[-4:] for part in vars(scene.matches).values()))
        assert searched(Scene(scene.truth, few), FakeReader()) is Reason.NO_POSE

    def test_undetermined(self, scene, sampled):
        """Nothing near the pose sampled."""
        sampled.answers[:] = [scene.truth]
        nothing = Matches(np.zeros((0, 3)), np.zeros((0, 2)), np.zeros((0, 3)), np.zeros(0))
        reader = FakeReader(Prediction(nothing, support_ratio=0.0))
        assert searched(scene, reader) is Reason.UNDETERMINED

    def test_undetermined_by_refinement(self, scene, monkeypatch):
        monkeypatch.setattr(search, 'refine_pose', lambda *_, **__: None)
        assert searched(scene, FakeReader()) is Reason.UNDETERMINED

    def test_a_pose_of_any_attempt_is_one(self, scene, sampled):
        sampled.answers[:] = [None, scene.truth, None]
        found = searched(scene, FakeReader(Prediction(scene.matches, support_ratio=0.6)))
        assert is_near(found, scene.truth)
        assert len(sampled.asked) == 3


class TestAttempts:
    def test_each_with_its_threshold_and_samples(self, scene, sampled):
        sampled.answers[:] = [None]
        prior = perturbed(scene.truth, np.random.default_rng(0))
        searched(scene, FakeReader(threshold_px=10.0), prior=prior)
        assert [asked[:2] for asked in sampled.asked] == [(10.0, 0), (20.0, 1), (30.0, 2)]
        assert all(asked[2] is prior for asked in sampled.asked)

    @pytest.mark.parametrize(
        ('support', 'outliers', 'tries'),
        [(0.8, 0.3, 1), (0.79, 0.3, 3), (0.8, 0.5, 3), (None, 0.3, 1), (None, 0.5, 1)],
    )
    def test_go_on_until_one_is_sure(self, sampled, support, outliers, tries):
        """By the support and by the part of the matches that agree; without support at once."""
        scene = scene_of(outliers)
        sampled.answers[:] = [scene.truth]
        near = None if support is None else Prediction(scene.matches, support_ratio=support)
        assert is_near(searched(scene, FakeReader(near)), scene.truth)
        assert len(sampled.asked) == tries

    def test_the_best_supported_is_taken(self, scene, sampled):
        """With none sure."""
        wrong = turned(scene.truth, 120.0)
        sampled.answers[:] = [wrong, scene.truth, wrong]
        elsewhere = replace_pose(scene.matches, scene.truth, wrong)

        def near(pose):
            right = pose_error(pose, scene.truth)[1] < 60
            return Prediction(
                scene.matches if right else elsewhere, support_ratio=0.7 if right else 0.6
            )

        found = searched(scene, FakeReader(near))
        assert is_near(found, scene.truth)
        assert found.support_ratio == 0.7
        assert len(sampled.asked) == 3

    @pytest.mark.parametrize(('support', 'tries'), [(0.45, 1), (0.52, 2), (0.57, 3)])
    def test_end_where_no_pose_explains_the_image(self, scene, sampled, support, tries):
        poses = [turned(scene.truth, degrees) for degrees in (0.0, 60.0, 120.0)]
        sampled.answers[:] = poses

        def near(pose):
            nearest = min(poses, key=lambda each: pose_error(pose, each)[1])
            matches = replace_pose(scene.matches, scene.truth, nearest)
            return Prediction(matches, support_ratio=support)

        options = replace(OPTIONS, least_support_ratios=(0.5, 0.55))
        assert searched(scene, FakeReader(near), options).support_ratio == support
        assert len(sampled.asked) == tries


def replace_pose(matches: Matches, before: np.ndarray, after: np.ndarray) -> Matches:
    """The same view of a scene that was moved with its camera."""
    moved = (matches.points3d - before[:3, 3]) @ before[:3, :3] @ after[:3, :3].T + after[:3, 3]
    return replace(matches, points3d=moved)


class TestRounds:
    def test_until_the_pose_moves_no_more(self, scene, sampled):
        sampled.answers[:] = [perturbed(scene.truth, np.random.default_rng(1), 0.05, 0.02)]
        reader = FakeReader(Prediction(scene.matches, support_ratio=1.0))
        options = replace(OPTIONS, rounds=9, sure_inlier_ratio=0.0)
        found = searched(scene, reader, options)
        assert len(reader.asked) == 2
        assert is_near(found, scene.truth)
        np.testing.assert_array_equal(reader.asked[0], sampled.answers[0])
        assert pose_error(reader.asked[1], scene.truth)[0] < 0.02

    def test_a_pose_that_is_settled_is_read_once(self, scene, sampled):
        sampled.answers[:] = [scene.truth]
        reader = FakeReader(Prediction(scene.matches, support_ratio=1.0))
        searched(scene, reader)
        assert len(reader.asked) == 1

    @pytest.mark.parametrize('rounds', [1, 2, 4])
    def test_no_more_than_allowed(self, scene, sampled, rounds):
        """Of a pose that never settles."""
        sampled.answers[:] = [scene.truth]
        poses = [scene.truth]

        def away(pose):
            poses.append(turned(poses[-1], 3.0))
            return Prediction(
                replace_pose(scene.matches, scene.truth, poses[-1]), support_ratio=1.0
            )

        reader = FakeReader(away, threshold_px=60.0)
        options = replace(OPTIONS, rounds=rounds, sure_inlier_ratio=0.0)
        found = searched(scene, reader, options)
        assert len(reader.asked) == rounds
        assert is_near(found, poses[-1], meters=0.1)
