"""Maps of several sessions: what joining keeps, what dropping takes out, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from map_codes import free_code, map_code

from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, shifted, so3_exp, transform_points
from aceg_ros.maps.code import (
    AS_GIVEN,
    MOST_SESSIONS,
    NONE_NEEDED,
    MapQuality,
    Rating,
    Session,
    advice_on,
    world_keyframes,
    world_points,
)
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.maps.sessions import (
    check_joinable,
    joined,
    judged,
    moved,
    require_anchored,
    session_landmarks,
    session_masks,
    session_reports,
    without_session,
)

PARTS = ('embeddings', 'anchors', 'log_sigma', 'log_prior', 'colors')
FRAMES = ('keyframes', 'recorded', 'keyframe_sessions', 'keyframe_stamps', 'descriptors')


def named(code, name, **changes):
    """The code, of a session with this name."""
    session = replace(code.info.sessions[0], name=name, **changes)
    return judged(replace(code.info, sessions=(session,)), session.quality, session.angular_error)


def code_of(name, seed, **changes):
    """A map that shares nothing with those of other seeds."""
    code = map_code(seed=seed)
    code = replace(code, log_sigma=code.log_sigma - 3.0)
    return replace(code, info=named(code, name, **changes))


@pytest.fixture
def day():
    return code_of('day', 0)


@pytest.fixture
def evening():
    return code_of('evening', 1)


class TestJoined:
    def test_the_first_stays_as_it_is(self, day, evening):
        both, count = joined(day, evening), len(day.anchors)
        for name in PARTS:
            np.testing.assert_array_equal(getattr(both, name)[:count], getattr(day, name), name)
        np.testing.assert_array_equal(both.keyframes[: len(day.keyframes)], day.keyframes)
        for name, value in vars(day.landmarks).items():
            np.testing.assert_array_equal(getattr(both.landmarks, name)[: len(value)], value, name)

    def test_the_second_is_all_there(self, day, evening):
        both, count = joined(day, evening), len(day.anchors)
        for name in PARTS:
            np.testing.assert_array_equal(getattr(both, name)[count:], getattr(evening, name), name)
        _, landmarks = session_landmarks(both)
        np.testing.assert_array_equal(landmarks.templates, evening.landmarks.templates)
        np.testing.assert_array_equal(
            both.keyframes[landmarks.keyframe], evening.keyframes[evening.landmarks.keyframe]
        )

    def test_what_both_have_is_held_once(self, day, evening):
        """Half of the second map's tokens are the first's, a little off and a little changed."""
        rng = np.random.default_rng(0)
        shift = 0.2 * np.exp(day.log_sigma[:100, None]) * rng.uniform(-1, 1, (100, 3))
        changed = {name: getattr(evening, name).copy() for name in ('anchors', 'embeddings')}
        changed['anchors'][:100] = day.anchors[:100] + shift
        changed['embeddings'][:100] = day.embeddings[:100] + 0.02 * rng.normal(size=(100, 64))
        both = joined(day, replace(evening, **changed))
        assert len(both.anchors) == len(day.anchors) + len(evening.anchors) - 100
        first, second = session_masks(both)
        assert (first & second).sum() == 100
        assert (first.sum(), second.sum()) == (len(day.anchors), len(evening.anchors))

    def test_a_map_joined_to_itself_has_no_more_tokens(self, day):
        both = joined(day, day)
        assert len(both.anchors) == len(day.anchors)
        assert [session.name for session in both.info.sessions] == ['day', 'day (2)']

    def test_images_without_a_descriptor_have_zeros(self, day, evening):
        old = replace(evening, descriptors=np.zeros((len(evening.keyframes), 0), np.float32))
        for first, second in ((day, old), (old, day)):
            both = joined(first, second)
            assert both.descriptors.shape == (14, 12)
            known = both.descriptors.any(axis=1)
            np.testing.assert_array_equal(both.descriptors[known], day.descriptors)

    def test_other_origins_are_taken_into_account(self, day, evening):
        far = (448300.0, 5411900.0, 200.0)
        first = replace(day, info=replace(day.info, origin=far))
        second = replace(evening, info=replace(evening.info, origin=(far[0] + 100.0, *far[1:])))
        both, count = joined(first, second), len(day.anchors)
        assert both.info.origin == far
        np.testing.assert_allclose(world_points(both)[count:], world_points(second), atol=1e-5)
        np.testing.assert_allclose(
            world_keyframes(both)[len(first.keyframes) :], world_keyframes(second), atol=1e-9
        )

    def test_what_each_session_is(self, day):
        camera = Camera.pinhole(64, 48, 60.0, 61.0, 31.5, 23.5)
        evening = code_of('evening', 1, created='2026-02-02T20:00:00+00:00', angular_error=0.01)
        evening = replace(evening, info=replace(evening.info, cameras=(camera,)))
        both = joined(day, evening)
        assert both.info.cameras == (*day.info.cameras, camera)
        assert both.info.sessions[0] == day.info.sessions[0]
        assert both.info.sessions[1] == replace(evening.info.sessions[0], cameras=(1,))
        reports = session_reports(both)
        assert [(r['keyframes'], r['tokens']) for r in reports] == [(7, 200), (7, 200)]
        assert both.info.angular_error == 0.01

    def test_is_as_good_as_its_worst_session(self, day):
        poor = MapQuality(Rating.POOR, 'record more', 5, 2, None, None, 30, 2.0)
        fair = MapQuality(Rating.FAIR, 'record some', 6, 5, 0.1, 1.0, 90, 3.0)
        unknown = code_of('third', 2, quality=MapQuality())
        both = joined(
            joined(code_of('one', 0, quality=fair), code_of('two', 1, quality=poor)), unknown
        )
        quality = both.info.quality
        assert quality.rating is Rating.POOR
        assert (quality.held_out, quality.localized) == (11, 7)
        assert (quality.median_error, quality.median_inliers) == (None, 30)
        assert quality.advice == 'one: record some; two: record more'

    def test_good_ones_are_only_good_where_they_were_recorded(self):
        good = MapQuality(Rating.GOOD, NONE_NEEDED, 5, 5, 0.1, 1.0, 90, 3.0)
        both = joined(code_of('one', 0, quality=good), code_of('two', 1, quality=good))
        assert both.info.quality.advice == NONE_NEEDED
        assert 'aceg coverage' in NONE_NEEDED

    def test_is_read_back(self, tmp_path, day, evening):
        both = joined(day, evening)
        write_map(tmp_path / 'both.aceg', both)
        read = read_map(tmp_path / 'both.aceg')
        assert read.info == both.info
        np.testing.assert_array_equal(read.token_sessions, both.token_sessions)
        np.testing.assert_array_equal(read.keyframe_sessions, both.keyframe_sessions)


class TestDropped:
    @pytest.mark.parametrize('which', ['day', 'evening'])
    def test_the_other_is_left_as_it_was(self, day, evening, which):
        left = {'day': evening, 'evening': day}[which]
        rest = without_session(joined(day, evening), which)
        assert rest.info == left.info
        for name in (*PARTS, *FRAMES, 'token_sessions'):
            np.testing.assert_array_equal(getattr(rest, name), getattr(left, name), name)
        for name, value in vars(left.landmarks).items():
            np.testing.assert_array_equal(getattr(rest.landmarks, name), value, name)

    def test_the_middle_one_of_three(self, day, evening):
        noon = code_of('noon', 2)
        three = joined(joined(day, evening), noon)
        rest, both = without_session(three, 'evening'), joined(day, noon)
        assert rest.info == both.info
        np.testing.assert_array_equal(rest.anchors, both.anchors)
        np.testing.assert_array_equal(rest.token_sessions, both.token_sessions)
        np.testing.assert_array_equal(rest.landmarks.keyframe, both.landmarks.keyframe)

    def test_what_others_have_too_stays(self, day):
        rest = without_session(joined(day, day), 'day')
        np.testing.assert_array_equal(rest.anchors, day.anchors)
        assert [session.name for session in rest.info.sessions] == ['day (2)']

    def test_an_unknown_one(self, day, evening):
        with pytest.raises(MapCodeError, match="no session 'noon'; it has day, evening"):
            without_session(joined(day, evening), 'noon')

    def test_the_only_one(self, day):
        with pytest.raises(MapCodeError, match="'day' is the only session"):
            without_session(day, 'day')


class TestMoved:
    def test_all_of_it_moves_alike(self, day):
        day = replace(day, info=replace(day.info, origin=(100.0, -200.0, 0.0)))
        new_from_old = make_pose(so3_exp([0.2, 0.1, -2.0]), [5.0, 6.0, 7.0])
        there = moved(day, new_from_old)
        np.testing.assert_allclose(
            world_points(there), transform_points(new_from_old, world_points(day)), atol=1e-5
        )
        np.testing.assert_allclose(world_keyframes(there), new_from_old @ world_keyframes(day))
        recorded, before = (shifted(c.recorded, c.info.origin) for c in (there, day))
        np.testing.assert_allclose(recorded, new_from_old @ before, atol=1e-9)
        shift = np.array(there.info.origin) - np.array(day.info.origin)
        np.testing.assert_allclose(
            there.landmarks.points3d + shift + day.info.origin,
            transform_points(new_from_old, day.landmarks.points3d + np.array(day.info.origin)),
            atol=1e-4,
        )

    def test_there_and_back(self, day):
        away = make_pose(so3_exp([0.2, 0.1, -2.0]), [5.0, 6.0, 7.0])
        back = moved(moved(day, away), np.linalg.inv(away))
        np.testing.assert_allclose(world_points(back), world_points(day), atol=1e-5)
        (place,) = moved(day, away).info.quality.thin
        np.testing.assert_allclose(
            place.position,
            transform_points(away, np.array([day.info.quality.thin[0].position]))[0],
            atol=1e-3,
        )

    def test_the_advice_names_places_as_they_are_now(self, day):
        quality = replace(day.info.quality, advice=advice_on(day.info.quality.thin))
        session = replace(day.info.sessions[0], quality=quality)
        day = replace(day, info=replace(day.info, sessions=(session,), quality=quality))
        there = moved(day, make_pose(np.eye(3), [100.0, 0.0, 0.0])).info.quality
        assert there.advice == advice_on(there.thin) != quality.advice

    def test_scale(self, day):
        quality = replace(day.info.quality, median_error=0.02, median_depth=3.0)
        session = replace(day.info.sessions[0], quality=quality)
        day = replace(day, info=replace(day.info, sessions=(session,), quality=quality))
        pose = make_pose(so3_exp([0.2, 0.1, -2.0]), [5.0, 6.0, 700.0])
        there = moved(day, pose, 2.5)
        np.testing.assert_allclose(
            world_points(there), transform_points(pose, 2.5 * world_points(day)), atol=1e-4
        )
        np.testing.assert_allclose(
            world_keyframes(there)[:, :3, 3],
            transform_points(pose, 2.5 * world_keyframes(day)[:, :3, 3]),
        )
        np.testing.assert_allclose(
            world_keyframes(there)[:, :3, :3], pose[:3, :3] @ world_keyframes(day)[:, :3, :3]
        )
        np.testing.assert_allclose(np.exp(there.log_sigma), 2.5 * np.exp(day.log_sigma), rtol=1e-5)
        assert there.info.quality.median_error == 0.05
        assert there.info.quality.median_depth == 7.5
        assert there.info.origin == (0.0, 0.0, 700.0)

    def test_keeps_how_it_lies_beside_its_poses(self, day, evening, tmp_path):
        pose, back = (make_pose(so3_exp([0, 0, turn]), [1.0, 2.0, 3.0]) for turn in (0.5, -2.0))
        both = joined(moved(moved(day, pose, 2.0), back), evening)
        write_map(tmp_path / 'both.aceg', both)
        first, second = read_map(tmp_path / 'both.aceg').info.sessions
        whole = back @ pose @ np.diag([2.0, 2.0, 2.0, 1.0])
        np.testing.assert_allclose(first.world_from_poses, whole)
        assert second.world_from_poses == AS_GIVEN

    def test_and_joined_is_joined_and_moved(self, day, evening):
        pose = make_pose(so3_exp([0.2, 0.1, -2.0]), [5.0, 6.0, 7.0])
        first = joined(moved(day, pose), moved(evening, pose))
        second = moved(joined(day, evening), pose)
        np.testing.assert_allclose(world_points(first), world_points(second), atol=1e-5)
        np.testing.assert_allclose(world_keyframes(first), world_keyframes(second))
        np.testing.assert_array_equal(first.token_sessions, second.token_sessions)


class TestRefused:
    @pytest.mark.parametrize(
        ('change', 'words'),
        [
            ({'encoder': 'encoder-2'}, 'made with encoder encoder-1, the other with encoder-2'),
            ({'regressor': 'older'}, 'the other with older'),
            ({'metric': False}, 'unit of one map is the meter'),
            ({'frame_id': 'floor_2'}, 'frame kitchen, the other floor_2'),
        ],
    )
    def test_maps_that_do_not_fit(self, day, evening, change, words):
        other = replace(evening, info=replace(evening.info, **change))
        with pytest.raises(MapCodeError, match=words):
            joined(day, other)

    def test_a_free_code(self):
        with pytest.raises(MapCodeError, match='is a free code'):
            require_anchored(free_code(), 'map.aceg')

    def test_places_too_far_apart(self, day, evening):
        other = replace(evening, info=replace(evening.info, origin=(0.0, 50_000.0, 0.0)))
        with pytest.raises(MapCodeError, match=r'the maps are 5000\d apart'):
            joined(day, other)

    def test_more_sessions_than_there_are_bits(self, day):
        many = tuple(Session(str(number)) for number in range(MOST_SESSIONS))
        with pytest.raises(MapCodeError, match='would have 33 sessions'):
            check_joinable(replace(day.info, sessions=many), day.info)
