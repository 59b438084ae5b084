"""Figures of a reader on scenes held out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from made_up_scenes import FEATURES, make_options

from aceg_ros.datasets.base import Frame
from aceg_ros.evaluation.metrics import Evaluation, FrameResult
from aceg_ros.lab.pretraining import poses
from aceg_ros.lab.pretraining.coverage import draw_coverage
from aceg_ros.lab.pretraining.evaluation import (
    PatchErrors,
    fitted_scenes,
    mapped_scenes,
    patch_errors,
)
from aceg_ros.lab.pretraining.poses import _is_far, compare_poses
from aceg_ros.lab.worlds.tours import look
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor

PLAIN = AnchoredRegressor(AnchoredConfig(dim_in=FEATURES))


def laplace(sigma: float, claimed: float) -> PatchErrors:
    """Errors as the loss supposes them, of ``sigma``, where ``claimed`` is said."""
    error = np.random.default_rng(0).exponential(sigma / np.sqrt(2), 20_000)
    claims, sure = np.full(20_000, claimed), np.ones(20_000, bool)
    return PatchErrors(error, error, claims, sure, np.array(['light'] * 20_000))


class TestCoverage:
    def test_honest(self):
        assert laplace(0.1, 0.1).coverage([0.5, 0.9]) == pytest.approx([0.5, 0.9], abs=0.02)

    def test_too_sure(self):
        assert laplace(0.1, 0.03).coverage([0.5])[0] < 0.3

    def test_drawn(self, tmp_path):
        draw_coverage(tmp_path / 'coverage.png', {'honest': laplace(0.1, 0.1)})
        assert (tmp_path / 'coverage.png').stat().st_size > 5000


class TestPatchErrors:
    def test_only_patches_of_known_points(self, files):
        errors = patch_errors(fitted_scenes(files), PLAIN)
        assert len(errors.meters) == 2 * 3 * 120  # the third scene has none
        assert set(errors.kinds) == {'light', 'near', 'far'}
        assert len(errors.of('near').meters) == 240
        assert errors.summary()['median_cm'] < 20
        assert errors.sure.mean() == pytest.approx(0.5, abs=0.01)
        assert errors.pixels[errors.meters < 0.01].max() < 10

    def test_mapping_through_a_reader_leaves_its_weights(self, files):
        reader = AnchoredRegressor(make_options().reader.shape(FEATURES))
        before = reader.identity()
        scenes = mapped_scenes(files[:1], reader, make_options().schedule, 3)
        assert reader.identity() == before
        assert not scenes[0][1].anchors.equal(fitted_scenes(files[:1])[0][1].anchors)
        assert all(parameter.grad is None for parameter in reader.parameters())


def evaluation(meters, degrees) -> Evaluation:
    none = LocalizationFailure(Reason.NO_POSE, '')
    return Evaluation(
        [FrameResult(None, None, none, 0.0, *both) for both in zip(meters, degrees, strict=True)],
        [],
        0,
    )


class TestPoses:
    def test_recall_counts_failures(self):
        errors = evaluation([0.05, 0.05, np.inf, 0.2], [1.0, 9.0, np.inf, 1.0])
        assert errors.summary()['recall_10cm_5deg'] == 0.25

    @pytest.mark.parametrize(
        ('place', 'yaw', 'far'),
        [((1, 1, 1), 0.5, False), ((1, 1, 1), 1.0, True), ((2.6, 1, 1), 0.0, True)],
    )
    def test_far_is_aside_or_turned(self, place, yaw, far):
        mapped = look(np.array([1.0, 1.0, 1.0]), 0.0, 0.0)[None]
        assert _is_far(look(np.array(place, float), yaw, 0.0), mapped) == far


def test_poses_are_gathered_by_reader_and_group(monkeypatch):
    class Source(list):
        def name(self, index):
            return f'world {index}'

        def scene(self, index):
            return self[index]

    def judged(error, frames):
        return evaluation([error] * len(frames), [0.0] * len(frames))

    monkeypatch.setattr(poses, 'query_groups', lambda source, index, count: {'same': [0] * count})
    monkeypatch.setattr(poses, 'map_scene', lambda mapping, *_: SimpleNamespace(code=mapping))
    monkeypatch.setattr(poses, 'Localizer', lambda code, engine, _: engine.regressor * code)
    monkeypatch.setattr(poses, 'evaluate', judged)
    scenes = Source(SimpleNamespace(mapping=error) for error in (0.01, 1.0))
    said = []
    encoder = SimpleNamespace(dim=64)
    errors = compare_poses(scenes, encoder, {'good': 0.0, 'bad': 1.0}, None, said.append)
    assert errors['good']['same'].summary()['recall_10cm_5deg'] == 1.0
    assert errors['bad']['same'].summary()['recall_10cm_5deg'] == 0.5
    assert len(errors['bad']['same'].results) == 2 * poses.VIEWS
    assert said[-1] == f"world 1, bad, same: {{'views': {poses.VIEWS}, 'right': 0, 'wrong': 0}}"


def test_only_poses_given_are_right_or_wrong():
    given = Localization(
        np.eye(4), np.eye(6), np.zeros((0, 2)), np.zeros((0, 3)), np.zeros(0), np.zeros(0, bool)
    )
    none = LocalizationFailure(Reason.NO_POSE, '')
    answers = [(given, 0.05), (given, 0.2), (given, 0.3), (none, np.inf)]
    results = [FrameResult(None, None, answer, 0.0, meters, 1.0) for answer, meters in answers]
    counts = poses.right_and_wrong(Evaluation(results, [], 0))
    assert counts == {'views': 4, 'right': 1, 'wrong': 1}


def test_views_of_another_world_have_a_pose_nowhere(monkeypatch):
    frame = Frame('', None, lambda: None, np.eye(4))
    near = {'same': [frame], 'light': [frame], 'far': [frame, frame]}
    monkeypatch.setattr(poses, '_near_and_far', lambda source, index, count: dict(near))

    class Source(list):
        def scene(self, index):
            return SimpleNamespace(query=[frame] * 3)

    groups = poses.query_groups(Source([0, 1]), 1, 12)
    assert [len(groups[g]) for g in ('same', 'changed', 'elsewhere')] == [1, 3, 3]
    assert all(f.world_from_cam[0, 3] > 1000 for f in groups['elsewhere'])
    assert 'elsewhere' not in poses.query_groups(Source([0]), 0, 12)
