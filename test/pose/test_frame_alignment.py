"""Where one frame lies in another, from places and poses known in both."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.errors import AlignmentError
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.pose.frames import (
    AlignmentOptions,
    FramePairs,
    align_frames,
    free_scale,
    require_sure,
)

TRUE = make_pose(so3_exp([0.1, -0.2, 2.0]), [30.0, -7.0, 1.0])
LEVEL = make_pose(so3_exp([0.0, 0.0, 2.0]), [30.0, -7.0, 0.0])
SCALED = AlignmentOptions(scale=True)


def pairs(
    count=40,
    wrong=0,
    seed=0,
    scale=1.0,
    noise=0.0,
    noise_deg=0.0,
    truth=TRUE,
    turns=True,
    alike=0.0,
):
    """Poses in both frames, in order of time; the last ``wrong`` are elsewhere in the new one."""
    rng = np.random.default_rng(seed)
    old = rng.uniform(-3, 3, (count, 3))
    turn = np.stack([so3_exp(vector) for vector in rng.normal(size=(count, 3))])
    new = scale * old @ truth[:3, :3].T + truth[:3, 3] + noise * rng.normal(size=(count, 3))
    knots = alike * rng.normal(size=(count // 10 + 1, 3))  # errors that last ten pairs
    new += np.stack(
        [np.interp(np.arange(count), 10 * np.arange(len(knots)), axis) for axis in knots.T], axis=1
    )
    error = np.stack([so3_exp(v) for v in np.radians(noise_deg) * rng.normal(size=(count, 3))])
    there = error @ truth[:3, :3] @ turn
    if wrong:
        new[-wrong:] += rng.uniform(1, 3, (wrong, 3)) * rng.choice([-1, 1], (wrong, 3))
    names = tuple(f'pair {number}' for number in range(count))
    found = FramePairs(old, new, names, turn, there)
    return found if turns else found.places_only()


def error_of(found, truth=TRUE, scale=1.0):
    """(7,) shift, turn and logarithm of the scale from what was found to the truth."""
    center = found.center
    old = found.new_from_old[:3, :3].T @ (center - found.new_from_old[:3, 3]) / found.scale
    shift = scale * truth[:3, :3] @ old + truth[:3, 3] - center
    rest = truth[:3, :3] @ found.new_from_old[:3, :3].T
    turn = np.array([rest[2, 1] - rest[1, 2], rest[0, 2] - rest[2, 0], rest[1, 0] - rest[0, 1]]) / 2
    return np.concatenate([shift, turn, [np.log(scale / found.scale)]])


class TestExact:
    @pytest.mark.parametrize('turns', [True, False])
    @pytest.mark.parametrize('scale', [1.0, 0.37, 25.0])
    def test_motion_and_scale_are_recovered(self, turns, scale):
        found = align_frames(pairs(scale=scale, turns=turns), SCALED)
        np.testing.assert_allclose(error_of(found, scale=scale), 0.0, atol=1e-9)
        assert found.agreeing.all()

    @pytest.mark.parametrize('turns', [True, False])
    def test_the_least_number(self, turns):
        found = align_frames(pairs(count=3, turns=turns), AlignmentOptions())
        np.testing.assert_allclose(found.new_from_old, TRUE, atol=1e-9)
        assert found.scale == 1.0
        assert found.covariance[6].tolist() == [0.0] * 7

    def test_poses_on_one_line(self):
        given = pairs()
        old = given.old * [1, 0, 0]
        line = FramePairs(
            old,
            old @ TRUE[:3, :3].T + TRUE[:3, 3],
            given.names,
            given.old_turns,
            given.new_turns,
        )
        np.testing.assert_allclose(align_frames(line, SCALED).new_from_old, TRUE, atol=1e-9)

    def test_level(self):
        """Heights and tilts differ, as those of a camera on a robot that is known in a plan."""
        given = pairs(truth=LEVEL)
        new = given.new.copy()
        new[:, 2] = 0.0
        flat = FramePairs(given.old, new, given.names, given.old_turns, given.new_turns)
        for which in (flat, flat.places_only()):
            found = align_frames(which, AlignmentOptions(level=True))
            np.testing.assert_allclose(found.new_from_old, LEVEL, atol=1e-9)

    def test_points_and_poses_move_alike(self):
        given = pairs(scale=2.0)
        found = align_frames(given, SCALED)
        poses = make_pose(given.old_turns, given.old)
        np.testing.assert_allclose(found.apply(given.old), given.new, atol=1e-9)
        there = found.apply_to_poses(poses)
        np.testing.assert_allclose(there[:, :3, 3], given.new, atol=1e-9)
        np.testing.assert_allclose(there[:, :3, :3], given.new_turns, atol=1e-9)


class TestWrongPairs:
    @pytest.mark.parametrize('seed', range(3))
    @pytest.mark.parametrize('turns', [True, False])
    def test_do_not_matter_and_are_named(self, seed, turns):
        given = pairs(wrong=14, seed=seed, noise=0.02, noise_deg=0.3, turns=turns)
        found = align_frames(given, AlignmentOptions())
        np.testing.assert_array_equal(found.agreeing, np.arange(40) < 26)
        clean = align_frames(given.subset(found.agreeing), AlignmentOptions())
        np.testing.assert_allclose(found.new_from_old, clean.new_from_old, atol=1e-9)

    def test_a_wrong_orientation_at_the_right_place(self):
        given = pairs()
        given.new_turns[5] = given.new_turns[5] @ so3_exp([0.0, 0.3, 0.0])
        found = align_frames(given, AlignmentOptions())
        assert np.flatnonzero(~found.agreeing).tolist() == [5]

    def test_one_of_four(self):
        found = align_frames(pairs(count=4, wrong=1, turns=False), AlignmentOptions())
        assert found.agreeing.tolist() == [True, True, True, False]


class TestCovariance:
    @pytest.mark.parametrize(
        ('options', 'truth', 'turns', 'scale'),
        [
            (AlignmentOptions(), TRUE, True, 1.0),
            (AlignmentOptions(), TRUE, False, 1.0),
            (SCALED, TRUE, True, 1.7),
            (SCALED, TRUE, False, 1.7),
            (AlignmentOptions(level=True), LEVEL, False, 1.0),
        ],
        ids=['poses', 'places', 'scaled poses', 'scaled places', 'level'],
    )
    def test_is_honest(self, options, truth, turns, scale):
        """Normalized errors squared are those of chi-squared with as many degrees of freedom."""
        squares, free = [], None
        for seed in range(30):
            given = pairs(12, 0, seed, scale, 0.05, 1.5, truth, turns)
            found = align_frames(given, options)
            free = np.flatnonzero(np.diag(found.covariance))
            error = error_of(found, truth, scale)[free]
            covariance = found.covariance[np.ix_(free, free)]
            squares.append(error @ np.linalg.solve(covariance, error))
        assert 0.6 * len(free) < np.mean(squares) < 1.4 * len(free)

    def test_grows_where_neighbors_err_alike(self):
        """A trajectory errs smoothly, so that its many poses are worth no more than a few."""
        squares = []
        for seed in range(20):
            given = pairs(200, 0, seed, noise=0.002, turns=False, alike=0.05)
            found = align_frames(given, AlignmentOptions())
            shift = error_of(found)[:3]
            squares.append(shift @ np.linalg.solve(found.covariance[:3, :3], shift))
        assert 1.5 < np.mean(squares) < 6.0  # 30 if all 200 counted as independent

    def test_far_places_are_less_sure(self):
        found = align_frames(pairs(noise=0.05, turns=False), AlignmentOptions())
        assert found.std_at(found.center) < 0.02
        assert found.std_at(found.center + [100.0, 0.0, 0.0]) > 0.1
        require_sure(found, found.center[None], 0.1, 1.0, 'the map')
        with pytest.raises(AlignmentError, match='the map may be off by'):
            require_sure(found, found.center + [[100.0, 0.0, 0.0]], 0.1, 1.0, 'the map')


class TestRefused:
    def test_too_few(self):
        with pytest.raises(AlignmentError, match='2 pairs are known in both frames, but 3'):
            align_frames(pairs(count=2), AlignmentOptions())

    def test_places_on_one_line(self):
        given = pairs(turns=False)
        line = FramePairs(given.old * [1, 0, 0], given.new * [0, 1, 0], given.names)
        with pytest.raises(AlignmentError, match='on one line'):
            align_frames(line, AlignmentOptions())

    def test_places_on_one_line_but_for_wrong_ones(self):
        given = pairs(turns=False, wrong=4)
        old = given.old.copy()
        old[:-4] *= [1, 0, 0]
        new = given.new.copy()
        new[:-4] = old[:-4] @ TRUE[:3, :3].T + TRUE[:3, 3]
        with pytest.raises(AlignmentError, match='on one line'):
            align_frames(FramePairs(old, new, given.names), AlignmentOptions())

    def test_a_scale_from_one_place(self):
        given = pairs()
        turning = FramePairs(
            0 * given.old, 0 * given.new, given.names, given.old_turns, given.new_turns
        )
        with pytest.raises(AlignmentError, match='all places are within 0 of each other'):
            align_frames(turning, SCALED)

    def test_disagreement(self):
        with pytest.raises(AlignmentError, match=r'only \d+ of 20 pairs agree'):
            align_frames(pairs(count=20, wrong=10), AlignmentOptions())

    def test_disagreement_by_scale_is_named(self):
        with pytest.raises(AlignmentError, match='give --scale'):
            align_frames(pairs(scale=1.4), AlignmentOptions())

    def test_axes_of_another_body_are_named(self):
        given = pairs()
        body = given.new_turns @ so3_exp([0.0, 0.0, 1.5])
        with pytest.raises(AlignmentError, match='--mount'):
            align_frames(
                FramePairs(given.old, given.new, given.names, given.old_turns, body),
                AlignmentOptions(),
            )

    def test_a_map_that_is_not_level_is_named(self):
        with pytest.raises(AlignmentError, match='without --level'):
            align_frames(
                pairs(truth=make_pose(so3_exp([0.6, 0.0, 0.0]), np.zeros(3))),
                AlignmentOptions(level=True),
            )


def test_a_scale_that_was_not_asked_for_is_noticed():
    assert free_scale(pairs(noise=0.01), AlignmentOptions()) is None
    scale, std = free_scale(pairs(noise=0.01, scale=1.02), AlignmentOptions())
    assert abs(scale - 1.02) < 3 * std
    assert std < 0.003
