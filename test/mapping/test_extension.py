"""New images join a map: the old map finds what it found, the new images are found as well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from map_codes import free_code

from aceg_ros.errors import MapCodeError
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.geometry.poses import pose_error, shifted
from aceg_ros.lab.worlds import WorldOptions, make_world, record, tour
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.registration import localized_in_both, register
from aceg_ros.mapping.extension import extend_map
from aceg_ros.maps.sessions import joined, moved, without_session
from aceg_ros.monitor import Monitor

FAR = np.array([160.0, 0.0, 3.0])  # from the first room; it has another origin by itself


@pytest.fixture(scope='module')
def next_room(room_camera):
    """Views and queries of a room that the first map shows nothing of, in its frame."""
    world = make_world(8, WorldOptions(texture_size=256, clutter=0.9, plain=0.1))
    path = shifted(tour(world, 40, seed=8), FAR)
    frames = record(world, room_camera, shifted(path, -FAR), name='next', supersample=1).frames
    frames = [replace(f, world_from_cam=p) for f, p in zip(frames, path, strict=True)]
    return frames[:36:2], frames[5:36:10]


@pytest.fixture(scope='module')
def extended(mapped, next_room, engine, quick):
    return extend_map(mapped.code, next_room[0], engine, quick, session='next room')


def answers(code, engine, frames):
    return evaluate(Localizer(code, engine), frames).results


class TestDisjoint:
    def test_the_old_part_is_as_it_was(self, extended, mapped):
        old, new = mapped.code, extended.code
        for name in ('embeddings', 'anchors', 'log_sigma', 'log_prior', 'colors'):
            kept = getattr(new, name)[: len(old.anchors)]
            np.testing.assert_array_equal(kept, getattr(old, name), name)
        np.testing.assert_array_equal(new.keyframes[: len(old.keyframes)], old.keyframes)
        assert len(new.landmarks) > len(old.landmarks)

    def test_nothing_that_was_found_is_lost(self, extended, mapped, engine, queries):
        before = answers(mapped.code, engine, queries)
        after = answers(extended.code, engine, queries)
        assert sum(result.localized for result in before) >= len(queries) - 1
        for one, other in zip(before, after, strict=True):
            if one.localized:
                assert other.localized, one.frame.name
                assert other.meters < one.meters + 0.03, one.frame.name

    def test_the_new_views_are_found(self, extended, engine, next_room):
        found = answers(extended.code, engine, next_room[1])
        assert sum(result.within(15.0) for result in found) >= len(found) - 1

    def test_the_map_says_what_it_is_made_of(self, extended, mapped):
        first, second = extended.code.info.sessions
        assert first == mapped.code.info.sessions[0]
        assert second.name == 'next room'
        assert second.quality.held_out > 0
        total = first.quality.held_out + second.quality.held_out
        assert extended.code.info.quality.held_out == total
        assert extended.code.info.origin == mapped.code.info.origin

    def test_dropped_again_it_is_the_old_map(self, extended, mapped):
        rest = without_session(extended.code, 'next room')
        assert rest.info.sessions == mapped.code.info.sessions
        np.testing.assert_array_equal(rest.anchors, mapped.code.anchors)
        np.testing.assert_array_equal(rest.landmarks.points3d, mapped.code.landmarks.points3d)


def test_seen_again_it_has_fewer_tokens_to_add(mapped, views, engine, quick, queries):
    """A second visit from the same path: what the map has already is not held twice."""
    again = extend_map(mapped.code, views[::2], engine, quick, session='again').code
    added = len(again.anchors) - len(mapped.code.anchors)
    assert added < 0.9 * quick.tokens
    found = answers(again, engine, queries)
    assert sum(result.within(15.0) for result in found) >= len(queries) - 1


def test_a_map_in_another_frame_is_aligned_by_shared_images(mapped, engine, queries):
    there = moved(mapped.code, np.linalg.inv(replaced_frame()))
    pairs = localized_in_both(
        Localizer(mapped.code, engine), Localizer(there, engine), queries, Monitor()
    )
    found = register(pairs, 2 * mapped.code.info.angular_error)
    meters, degrees = pose_error(found.new_from_old, replaced_frame())
    assert found.agreeing.all()
    assert (meters < 0.02, degrees < 0.1) == (True, True)
    both = joined(mapped.code, moved(there, found.new_from_old))
    assert len(both.anchors) < 1.01 * len(mapped.code.anchors)


def replaced_frame():
    """A frame turned by a right angle, and elsewhere."""
    frame = np.eye(4)
    frame[:3, :3] = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    frame[:3, 3] = [4.0, -30.0, 2.0]
    return frame


class TestRefused:
    @pytest.mark.parametrize(
        ('change', 'words'),
        [
            ({'encoder': 'compact-1'}, 'one map was made with encoder compact-1, the other with'),
            ({'regressor': 'older'}, 'one map was made with regressor older, the other with'),
            ({'metric': False}, 'the unit of one map is the meter, that of the other is not known'),
        ],
    )
    def test_images_that_do_not_fit(self, mapped, views, engine, quick, change, words):
        other = replace(mapped.code, info=replace(mapped.code.info, **change))
        with pytest.raises(MapCodeError, match=words):
            extend_map(other, views, engine, quick)

    def test_a_free_code(self, views, engine, quick):
        with pytest.raises(MapCodeError, match='the map is a free code'):
            extend_map(free_code(), views, engine, quick)

    def test_maps_without_a_unit_are_not_aligned(self, mapped, engine, queries):
        unknown = replace(mapped.code, info=replace(mapped.code.info, metric=False))
        localizer = Localizer(unknown, engine)
        with pytest.raises(MapCodeError, match='not known to be the meter'):
            localized_in_both(localizer, localizer, queries, Monitor())
