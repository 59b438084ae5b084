"""From where, and in which directions, a map finds a camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from map_codes import map_code

from aceg_ros.errors import MapCodeError
from aceg_ros.evaluation.figures.coverage import draw_coverage
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose
from aceg_ros.lab.worlds import look
from aceg_ros.maps.code import world_points
from aceg_ros.maps.coverage import Coverage, CoverageModel, coverage_plan


@pytest.fixture(scope='module')
def coverage(mapped):
    return Coverage(mapped.code)


@pytest.fixture(scope='module')
def plan(coverage):
    return coverage_plan(coverage, columns=4, directions=6)


def test_views_between_keyframes_are_expected_to_be_found(coverage, queries):
    assert coverage.expected(frame.world_from_cam for frame in queries) > 0.8


def test_the_nearer_to_what_was_mapped_the_likelier(coverage):
    moved = [coverage.moved(part) for part in (0.0, 0.3, 1.0, 3.0)]
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > 0.8
    assert moved[-1] < 0.5


def test_directions_that_were_not_mapped(mapped):
    """One keyframe tells little of what those saw that looked elsewhere."""
    code = mapped.code
    unlike = np.argsort(code.keyframes[:, :3, 2] @ code.keyframes[0, :3, 2])
    one = replace(code, keyframes=code.keyframes[:1])
    others = Coverage(code).keyframes[unlike[:8]]
    assert Coverage(one).expected(others) < Coverage(code).expected(others) - 0.2


def test_chance_grows_with_what_is_recognized():
    chance = [CoverageModel().chance(part) for part in (0.0, 0.2, 0.5, 1.0)]
    assert chance == sorted(chance)
    assert 0 <= chance[0] < 0.01 < 0.95 < chance[-1] <= 1


def test_a_place_far_from_the_origin(mapped, queries):
    """Only where the map is differs, not what it finds."""
    view = queries[0].world_from_cam
    offset = np.array([500_000.0, 4_000_000.0, 0.0])
    info = replace(mapped.code.info, origin=tuple(mapped.code.info.origin + offset))
    moved = view.copy()
    moved[:3, 3] += offset
    there = Coverage(replace(mapped.code, info=info)).chance(moved)
    assert there == pytest.approx(Coverage(mapped.code).chance(view), abs=1e-6)


class TestPlan:
    def test_is_level_and_around_the_keyframes(self, plan, coverage):
        up = np.cross(*plan.axes)
        np.testing.assert_allclose(plan.directions @ up, 0.0, atol=1e-9)
        assert up[2] > 0.99  # worlds are upright
        assert plan.chance.shape == (len(plan.places), 6)
        centers = coverage.keyframes[:, :3, 3]
        nearest = np.linalg.norm(plan.places[:, None] - centers, axis=2).min(axis=1)
        assert nearest.max() < coverage.scene_distance

    def test_the_worst_views_come_first_and_differ(self, plan, coverage):
        worst = plan.worst(coverage.keyframes[:, :3, 3], plan.step, 3)
        assert [chance for *_, chance in worst] == sorted(chance for *_, chance in worst)
        assert worst[0][2] == pytest.approx(plan.chance.min(), abs=0.2)
        views = {(tuple(place), tuple(direction)) for place, direction, _ in worst}
        assert len(views) == len(worst)

    def test_is_drawn(self, plan, coverage, mapped, tmp_path):
        path = tmp_path / 'coverage.png'
        draw_coverage(path, plan, coverage.keyframes, world_points(mapped.code), mapped.code.colors)
        assert path.stat().st_size > 10_000


def test_a_long_and_narrow_place():
    """Its cells are wider than the place."""
    code = map_code(keyframes=120)
    line = [make_pose(look([x, 0.0, 1.5], 0.0, 0.0)[:3, :3], [x, 0.0, 1.5]) for x in range(120)]
    anchors = np.random.default_rng(0).uniform([0, -2, 0], [120, 2, 3], (len(code.anchors), 3))
    code = replace(code, keyframes=np.stack(line), anchors=anchors.astype(np.float32))
    plan = coverage_plan(Coverage(code), directions=4)
    assert 5 < len(plan.places) < 40
    assert plan.chance.shape == (len(plan.places), 4)


def test_views_are_those_of_their_own_camera(coverage, queries):
    wide = coverage.camera
    narrow = Camera('pinhole', wide.width, wide.height, wide.K * [[3.0], [3.0], [1.0]])
    view = queries[0].world_from_cam
    assert coverage.recognized(view, narrow) != coverage.recognized(view)
    assert coverage.recognized(view, wide) == coverage.recognized(view)


def test_a_map_without_points_is_refused(mapped):
    with pytest.raises(MapCodeError, match='evaluate it'):
        Coverage(replace(mapped.code, keyframes=mapped.code.keyframes[:0]))


def test_each_session_is_of_its_own_camera(mapped):
    """What a narrow lens did not show is no part of what its keyframes saw."""
    code = mapped.code
    wide = code.info.cameras[0]
    narrow = Camera('pinhole', wide.width, wide.height, wide.K * [[3.0], [3.0], [1.0]])
    first = replace(code.info.sessions[0], cameras=(0,))
    later = replace(first, name='later', cameras=(1,))
    half = (np.arange(len(code.keyframes)) % 2).astype(np.uint8)
    info = replace(code.info, cameras=(wide, narrow), known=(), sessions=(first, later))
    mixed = Coverage(replace(code, info=info, keyframe_sessions=half))._seen.sum(axis=0)
    same = Coverage(code)._seen.sum(axis=0)
    assert (mixed[half == 0] == same[half == 0]).all()
    assert mixed[half == 1].sum() < 0.5 * same[half == 1].sum()
