"""Depths by plane sweep, against the depth that the room was rendered with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aceg_ros.errors import FitError
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.mapping.keyframes import Keyframe, encode_keyframes
from aceg_ros.mapping.options import SweepOptions, TokenOptions
from aceg_ros.mapping.sweep import Candidates, SceneDepths, scene_depths, sweep, sweep_again
from aceg_ros.mapping.tokens import anchored_code, choose_tokens
from aceg_ros.mapping.views import ViewPairs, compare_views, neighbors
from aceg_ros.monitor import Monitor


def swept_from(keyframes) -> tuple[Candidates, SceneDepths]:
    depths = scene_depths(keyframes, SweepOptions(), Monitor())
    pairs = compare_views(keyframes, depths.median)
    return sweep(keyframes, depths, pairs, 60, SweepOptions(), Monitor()), depths


def with_depth(frames, engine) -> list[Keyframe]:
    """Encoded, their depth images read too."""
    return encode_keyframes(frames, engine.encoder, True, Monitor())[0]


@pytest.fixture(scope='module')
def swept(keyframes):
    return swept_from(keyframes)


@pytest.fixture(scope='module')
def measured(views, engine):
    return swept_from(with_depth(views, engine))


def true_depths(candidates: Candidates, keyframes) -> tuple[np.ndarray, np.ndarray]:
    """Each candidate's depth along the optical axis as found, and as rendered at its pixel."""
    found, true = [], []
    for index, keyframe in enumerate(keyframes):
        points = candidates.points3d[candidates.keyframe == index].double().numpy()
        in_camera = (points - keyframe.center) @ keyframe.world_from_cam[:3, :3]
        column, row = keyframe.camera.project(in_camera).round().astype(int).T
        found.append(in_camera[:, 2])
        true.append(keyframe.frame.depth()[row, column])
    return np.concatenate(found), np.concatenate(true)


def relative_errors(candidates, keyframes):
    found, true = true_depths(candidates, keyframes)
    return np.abs(found - true) / true


class TestSweep:
    def test_depths_are_true(self, swept, keyframes):
        good = swept[0].score > 0.3
        assert good.float().mean() > 0.5
        errors = relative_errors(swept[0], keyframes)[good.numpy()]
        assert np.median(errors) < 0.06

    def test_a_better_score_means_a_better_depth(self, swept, keyframes):
        errors = relative_errors(swept[0], keyframes)
        score = swept[0].score.numpy()
        best = score > np.quantile(score, 0.7)
        worst = score < np.quantile(score, 0.3)
        assert np.median(errors[best]) < np.median(errors[worst])

    def test_scores_are_in_range(self, swept):
        candidates = swept[0]
        assert ((candidates.score > 0) & (candidates.score <= 1)).all()
        assert ((candidates.ambiguity >= 0) & (candidates.ambiguity <= 1 + 1e-6)).all()

    def test_scene_depths_hold_most_of_what_is_seen(self, swept, views):
        near, median, far = (getattr(swept[1], name) for name in ('near', 'median', 'far'))
        assert near < median < far
        depth = np.concatenate([view.depth()[::8, ::8].ravel() for view in views])
        assert np.quantile(depth, 0.25) < median < np.quantile(depth, 0.8)

    def test_colors_come_from_the_patches(self, swept, keyframes):
        candidates = swept[0]
        first = keyframes[0].colors.tolist()
        assert all(c in first for c in candidates.colors[candidates.keyframe == 0].tolist())

    def test_no_length_of_its_own(self, keyframes, swept):
        """In a map of another unit everything scales."""
        scaled = []
        for keyframe in keyframes:
            pose = keyframe.world_from_cam.copy()
            pose[:3, 3] *= 10
            scaled.append(replace(keyframe, world_from_cam=pose))
        candidates, depths = swept_from(scaled)
        assert depths.median == pytest.approx(10 * swept[1].median, rel=0.02)
        assert len(candidates.score) == pytest.approx(len(swept[0].score), rel=0.05)


class TestSweepAgain:
    """Poses were corrected since the first sweep."""

    @pytest.fixture(scope='class')
    def before(self, keyframes):
        """Swept with positions that are off by a centimeter or two."""
        rng = np.random.default_rng(0)
        moved = []
        for keyframe in keyframes:
            pose = keyframe.world_from_cam.copy()
            pose[:3, 3] += 0.015 * rng.normal(size=3)
            moved.append(replace(keyframe, world_from_cam=pose))
        return *swept_from(moved), moved

    @pytest.fixture(scope='class')
    def again(self, keyframes, before):
        candidates, depths, _ = before
        pairs = compare_views(keyframes, depths.median)
        return sweep_again(keyframes, candidates, depths, pairs, SweepOptions(), Monitor())

    def test_depths_are_as_true_as_those_of_a_whole_sweep(self, again, before, swept, keyframes):
        of = [(again, keyframes), (before[0], before[2]), (swept[0], keyframes)]
        medians = [np.median(relative_errors(*each)) for each in of]
        assert medians[0] < 0.8 * medians[1]
        assert medians[0] < 1.1 * medians[2]

    def test_are_those_patches_that_had_a_depth(self, again, before):
        found, known = (
            set(zip(each.keyframe.tolist(), each.patch.tolist(), strict=True))
            for each in (again, before[0])
        )
        assert found <= known
        assert len(found) > 0.95 * len(known)

    def test_measured_depth_stays(self, views, engine, measured):
        keyframes = with_depth(views, engine)
        candidates, depths = measured
        pairs = compare_views(keyframes, depths.median)
        found = sweep_again(keyframes, candidates, depths, pairs, SweepOptions(), Monitor())
        known = torch.isfinite(found.deviation)
        assert known.float().mean() > 0.7
        assert np.median(relative_errors(found, keyframes)) < 2e-3


class TestMeasuredDepth:
    def test_is_taken_as_it_is(self, measured, keyframes):
        assert np.median(relative_errors(measured[0], keyframes)) < 2e-3

    def test_is_not_doubted_but_at_edges(self, measured):
        known = torch.isfinite(measured[0].deviation)
        assert 0.7 < known.float().mean() < 1.0
        assert (measured[0].score[known] == 1).all()
        assert (measured[0].ambiguity[known] == 0).all()

    def test_its_noise_grows_with_its_square(self, views, engine):
        encoded = with_depth(views[:6], engine)
        near = replace(encoded[0], measured=torch.full_like(encoded[0].patches.reliability, 2.0))
        noise = []
        for factor in (1.0, 4.0):
            keyframes = [replace(near, measured=factor * near.measured), *encoded[1:]]
            depths = SceneDepths(1.0, 2.0, 8.0)
            pairs = compare_views(keyframes, 2.0)
            found = sweep(keyframes, depths, pairs, 60, SweepOptions(depth_noise=0.05), Monitor())
            own = found.keyframe == 0
            noise.append((found.deviation[own] * factor * 2.0).median())
        assert noise[1] / noise[0] == pytest.approx(16.0, rel=0.05)

    def test_in_another_unit(self, views, engine):
        """As with 5000 units per meter taken for 1000."""
        keyframes = [replace(k, measured=5 * k.measured) for k in with_depth(views[:8], engine)]
        with pytest.raises(FitError, match=r'everything 5.* times as far away .*depth_scale'):
            swept_from(keyframes)

    def test_from_one_spot(self, views, engine):
        """Depth needs no parallax; what it lacks there, nothing tells."""
        spot = views[0].world_from_cam[:3, 3]
        turned = [
            replace(k, world_from_cam=make_pose(k.world_from_cam[:3, :3], spot))
            for k in with_depth(views[:6], engine)
        ]
        candidates, depths = swept_from(turned)
        assert torch.isfinite(candidates.deviation).all()
        seen = np.concatenate([keyframe.frame.depth()[::8, ::8].ravel() for keyframe in turned])
        assert depths.median == pytest.approx(np.median(seen), rel=0.3)
        with pytest.raises(FitError, match='map with depth images'):
            scene_depths([replace(k, measured=None) for k in turned], SweepOptions(), Monitor())

    def test_holes_keep_the_swept_depth(self, views, engine, keyframes):
        blank = np.zeros((240, 320), np.float32)
        empty = [replace(view, load_depth=lambda: blank) for view in views[:8]]
        with_holes, _ = swept_from(with_depth(empty, engine))
        without, _ = swept_from(keyframes[:8])
        torch.testing.assert_close(with_holes.points3d, without.points3d)


class TestViews:
    def test_overlap(self, keyframes, swept):
        pairs = compare_views(keyframes, swept[1].median)
        assert ((pairs.overlap >= 0) & (pairs.overlap <= 1)).all()
        np.testing.assert_allclose(np.diag(pairs.overlap), 1.0)
        np.testing.assert_allclose(np.diag(pairs.parallax), 0.0)
        np.testing.assert_allclose(pairs.parallax, pairs.parallax.T)
        assert pairs.overlap[0, 1] > 0.5

    def test_neighbors_are_others_that_overlap(self, keyframes, swept):
        pairs = compare_views(keyframes, swept[1].median)
        for index, others in enumerate(neighbors(pairs, 8, 14.0)):
            assert len(others) <= 8
            assert len(set(others)) == len(others)
            assert index not in others
            assert (pairs.overlap[index, others] >= 0.15).all()

    def test_stranger_has_no_neighbors(self):
        pairs = ViewPairs(np.eye(3), np.full((3, 3), 8.0), np.ones((3, 3), bool))
        assert [len(n) for n in neighbors(pairs, 8, 14.0)] == [0, 0, 0]


class TestWalls:
    """Three rooms in a row, in each of which five cameras look to each of four sides."""

    ROOMS, SIDES, CAMERAS = 3, 4, 5

    def rooms(self, keyframe: Keyframe, look: np.ndarray) -> list[Keyframe]:
        """``look`` (R, S, G) is what is seen in each room and direction, as a descriptor."""
        rng = np.random.default_rng(0)
        made = []
        for room, side, _ in np.ndindex(self.ROOMS, self.SIDES, self.CAMERAS):
            center = rng.normal(0, 0.3, 3) + [4.0 * room, 0.0, 0.0]
            descriptor = look[room, side] + rng.normal(0, 0.01, look.shape[2])
            made.append(
                replace(
                    keyframe,
                    world_from_cam=make_pose(so3_exp([0.0, side * np.pi / 2, 0.0]), center),
                    descriptor=descriptor / np.linalg.norm(descriptor),
                )
            )
        return made

    def of_own_room(self, keyframes: list[Keyframe]) -> float:
        """The part of neighbors that are in the same room."""
        found = neighbors(compare_views(keyframes, 20.0), 4, 2.0)
        per_room = self.SIDES * self.CAMERAS
        same = [other // per_room == i // per_room for i, o in enumerate(found) for other in o]
        assert len(same) > 2 * len(keyframes)
        return float(np.mean(same))

    def test_hardly_any_view_through_a_wall_is_a_neighbor(self, keyframes):
        look = np.random.default_rng(1).normal(0, 0.1, (self.ROOMS, self.SIDES, 64))
        assert self.of_own_room(self.rooms(keyframes[0], look)) > 0.8

    def test_without_walls_they_are(self, keyframes):
        """All rooms are one: the same is seen in each direction."""
        look = np.random.default_rng(1).normal(0, 0.1, (1, self.SIDES, 64))
        hall = self.rooms(keyframes[0], np.repeat(look, self.ROOMS, axis=0))
        assert compare_views(hall, 20.0).alike.all()
        assert self.of_own_room(hall) < 0.7


DEPTHS = SceneDepths(1.0, 2.0, 4.0)


def candidates_at(points3d: torch.Tensor, score: float = 0.8, ambiguity: float = 0.5) -> Candidates:
    count = len(points3d)
    return Candidates(
        torch.zeros(count, dtype=torch.long),
        torch.arange(count),
        torch.nn.functional.normalize(torch.randn(count, 64), dim=1).half(),
        points3d,
        torch.zeros(count, 3, dtype=torch.uint8),
        torch.full((count,), score),
        torch.full((count,), ambiguity),
        torch.full((count,), torch.inf),
    )


class TestTokens:
    def test_each_once_and_as_many_as_asked_for(self):
        candidates = candidates_at(torch.rand(500, 3) * 3)
        chosen = choose_tokens(
            candidates, DEPTHS, 200, TokenOptions(), torch.Generator().manual_seed(0)
        )
        assert len(chosen) == len(chosen.unique()) == 200

    def test_no_more_than_there_are(self):
        candidates = candidates_at(torch.rand(120, 3) * 3)
        assert len(choose_tokens(candidates, DEPTHS, 999, TokenOptions(), torch.Generator())) == 120

    def test_bad_ones_are_never_taken(self):
        candidates = candidates_at(torch.rand(400, 3) * 3)
        candidates.score[:100] = 0.1
        candidates.ambiguity[100:200] = 0.99
        chosen = choose_tokens(candidates, DEPTHS, 400, TokenOptions(), torch.Generator())
        assert chosen.min() >= 200

    def test_a_low_bound_takes_those_as_well(self):
        candidates = candidates_at(torch.rand(400, 3) * 3, score=0.1)
        options = TokenOptions(min_score=0.05)
        assert len(choose_tokens(candidates, DEPTHS, 400, options, torch.Generator())) == 400

    def test_lonely_places_get_their_share(self):
        """Ten points alone in their voxels beat a thousand in one, point for point."""
        alone = torch.stack([torch.arange(100.0), torch.zeros(100), torch.zeros(100)], 1) + 5
        crowd = torch.rand(2000, 3) * 0.01
        candidates = candidates_at(torch.cat([alone, crowd]))
        chosen = choose_tokens(
            candidates, DEPTHS, 300, TokenOptions(), torch.Generator().manual_seed(0)
        )
        assert (chosen < 100).sum() > 80

    def test_hardly_any_good_one(self):
        candidates = candidates_at(torch.rand(400, 3), score=0.1)
        with pytest.raises(FitError, match='only 0 points could be triangulated'):
            choose_tokens(candidates, DEPTHS, 100, TokenOptions(), torch.Generator())

    def test_anchored_code_remembers(self):
        candidates = candidates_at(torch.rand(60, 3))
        chosen = torch.tensor([4, 2, 9])
        code = anchored_code(candidates, chosen, DEPTHS, 0.03)
        torch.testing.assert_close(code.anchors, candidates.points3d[chosen])
        torch.testing.assert_close(code.embeddings, candidates.features[chosen].float())
        torch.testing.assert_close(code.log_sigma.exp(), torch.full((3,), 0.06))
