"""Which fixes are believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tracks import COVARIANCE, MAP_FROM_ODOM, at, disturbed, fix

from aceg_ros.geometry.motion import MotionLimits
from aceg_ros.geometry.poses import inverse
from aceg_ros.tracking.gate import Fix, Gate, GateOptions, Verdict


def show(gate: Gate, shown: Fix) -> Verdict:
    """Let a fix come to the gate as an image does."""
    gate.advance(shown.stamp, shown.odom_from_body)
    return gate.check(shown)


class TestWithoutOdometry:
    def test_first_fix_is_believed_anywhere(self):
        assert show(Gate(), fix(0.0, at(50.0))).accepted

    @pytest.mark.parametrize(('seconds', 'believed'), [(0.1, False), (0.8, False), (1.3, True)])
    def test_what_speed_allows(self, seconds, believed):
        gate = Gate(GateOptions(motion=MotionLimits(speed=2.0)))
        show(gate, fix(0.0, at(0.0)))
        assert show(gate, fix(seconds, at(2.5))).accepted is believed

    @pytest.mark.parametrize(('seconds', 'believed'), [(0.1, False), (0.9, True)])
    def test_what_turning_allows(self, seconds, believed):
        gate = Gate(GateOptions(motion=MotionLimits(turn=90.0)))
        show(gate, fix(0.0, at(0.0)))
        assert show(gate, fix(seconds, at(0.0, yaw_deg=80.0))).accepted is believed

    def test_vague_fixes_may_differ_more(self):
        gate = Gate()
        show(gate, fix(0.0, at(0.0)))
        clear = fix(0.01, at(0.5))
        assert not show(gate, clear).accepted
        vague = replace(clear, covariance=100.0 * COVARIANCE)
        assert show(gate, vague).accepted

    def test_refusal_says_what_and_why(self):
        gate = Gate()
        show(gate, fix(10.0, at(0.0)))
        words = show(gate, fix(10.1, at(3.0, yaw_deg=45.0))).words
        assert 'jump of 3.00 m and 45.0 deg' in words
        assert '0.10 s ago, at most 2 m/s and 180 deg/s' in words
        assert '1 of 3 consistent fixes' in words

    def test_refusal_names_the_pose_that_was_given(self):
        gate = Gate()
        gate.expect(at(1.0, 2.0), COVARIANCE)
        gate.advance(10.0, None)
        words = show(gate, fix(10.1, at(9.0, 2.0))).words
        assert 'from where the given pose (1.00, 2.00, 0.00) was 0.10 s ago' in words


class TestWithOdometry:
    def test_long_drive_is_followed(self):
        gate = Gate(GateOptions(motion=MotionLimits(speed=0.1)))
        for step in range(20):
            odom = at(1.0 * step, 0.3 * step, 12.0 * step)
            assert show(gate, fix(0.1 * step, MAP_FROM_ODOM @ odom, odom)).accepted

    def test_standing_still_for_long_allows_no_move(self):
        gate = Gate()
        odom = at(1.0)
        show(gate, fix(0.0, MAP_FROM_ODOM @ odom, odom))
        moved = show(gate, fix(600.0, MAP_FROM_ODOM @ odom @ at(1.0), odom))
        assert not moved.accepted
        assert 'the last fix and 0.00 m of odometry lead' in moved.words

    def test_way_that_winds_back_allows_drift(self):
        def end(odometer_runs: bool) -> Verdict:
            gate = Gate(GateOptions(odometry_drift=0.1))
            show(gate, fix(0.0, at(0.0), at(0.0)))
            if odometer_runs:
                for step, x in enumerate([2.0, 4.0, 2.0]):
                    gate.advance(1.0 + step, at(x))
            return show(gate, fix(5.0, at(0.0, 0.8), at(0.0)))

        assert end(odometer_runs=True).accepted
        assert not end(odometer_runs=False).accepted

    def test_uncertain_heading_is_an_uncertain_place_after_a_drive(self):
        def after_ten_meters(yaw_std: float) -> Verdict:
            gate = Gate(GateOptions(odometry_drift=1e-6))
            spread = np.diag([0.02**2] * 3 + [0.002**2] * 2 + [yaw_std**2])
            show(gate, Fix(0.0, at(0.0), spread, at(0.0)))
            return show(gate, Fix(5.0, at(10.0, 0.5), spread, at(10.0)))

        assert after_ten_meters(0.02).accepted
        assert not after_ten_meters(0.002).accepted

    def test_deviations_are_those_of_the_errors(self):
        # Errors drawn as the covariance says: their squares are chi-squared with 6 degrees, whose
        # mean is 6. Read from the limit at which half of them are refused: its median is 5.35.
        rng = np.random.default_rng(1)
        refused = {5.35: 0, 22.46: 0}
        for limit in refused:
            for _ in range(1000):
                gate = Gate(GateOptions(odometry_drift=0.05, max_mahalanobis=limit**0.5))
                odom = at(1.0, 0.5, 40.0)
                drift = np.diag([0.05 * np.hypot(1.0, 0.5)] * 3)
                turned = 0.05 * (np.hypot(1.0, 0.5) + np.radians(40.0))
                spread = np.block(
                    [[drift**2, np.zeros((3, 3))], [np.zeros((3, 3)), turned**2 * np.eye(3)]]
                )
                first, last, drifted = (
                    rng.multivariate_normal(np.zeros(6), c)
                    for c in (COVARIANCE, COVARIANCE, spread)
                )
                show(gate, fix(0.0, disturbed(MAP_FROM_ODOM, first), at(0.0)))
                there = disturbed(disturbed(MAP_FROM_ODOM @ odom, drifted), last)
                refused[limit] += not show(gate, fix(1.0, there, odom)).accepted
        assert 430 < refused[5.35] < 570
        assert refused[22.46] < 8  # 0.1 % expected

    def test_odometry_that_comes_and_goes(self):
        gate = Gate()
        show(gate, fix(0.0, at(0.0), at(7.0)))
        assert show(gate, fix(0.1, at(0.1))).accepted
        assert show(gate, fix(0.2, at(0.2), at(7.2))).accepted
        assert not show(gate, fix(0.3, at(3.0))).accepted


class TestJumps:
    def test_believed_when_it_repeats(self):
        gate = Gate(GateOptions(jump_fixes=3))
        show(gate, fix(0.0, at(0.0)))
        verdicts = [show(gate, fix(0.1 * i, at(20.0 + 0.1 * i))) for i in range(1, 4)]
        assert [verdict.accepted for verdict in verdicts] == [False, False, True]
        assert '3 consistent fixes' in verdicts[-1].words
        assert show(gate, fix(0.5, at(20.5))).accepted
        assert not show(gate, fix(0.6, at(0.0))).accepted

    def test_single_wrong_fixes_never_count_together(self):
        gate = Gate(GateOptions(jump_fixes=3))
        rng = np.random.default_rng(5)
        for i in range(60):
            right = fix(0.1 * i, at(0.05 * i))
            assert show(gate, right).accepted
            wrong = fix(0.1 * i + 0.05, at(*rng.uniform(30.0, 90.0, 2)))
            assert not show(gate, wrong).accepted

    def test_wrong_fixes_all_over_are_not_consistent(self):
        gate = Gate(GateOptions(jump_fixes=2))
        show(gate, fix(0.0, at(0.0)))
        for i in range(1, 40):
            assert not show(gate, fix(0.01 * i, at(20.0 + 7.0 * (i % 5), 9.0 * (i % 7)))).accepted

    def test_carried_off_while_odometry_stands_still(self):
        gate = Gate(GateOptions(jump_fixes=4))
        show(gate, fix(0.0, at(0.0), at(3.0)))
        accepted = [show(gate, fix(60.0 + i, at(8.0, 2.0), at(3.0))).accepted for i in range(5)]
        assert accepted == [False, False, False, True, True]

    def test_forgetting_believes_the_next(self):
        gate = Gate()
        show(gate, fix(0.0, at(0.0)))
        gate.forget()
        assert gate.predicted(None) is None
        assert show(gate, fix(0.1, at(80.0))).accepted


class TestHint:
    SPREAD = np.diag([0.3, 0.3, 1.0, 0.5, 0.5, 0.3]) ** 2

    def test_fix_near_it_is_believed_at_once(self):
        gate = Gate()
        show(gate, fix(0.0, at(0.0)))
        gate.expect(at(20.0), self.SPREAD)
        np.testing.assert_array_equal(gate.predicted(None), at(20.0))
        assert show(gate, fix(0.1, at(20.6, 0.4, 20.0))).accepted

    def test_fix_far_from_it_has_to_repeat(self):
        gate = Gate(GateOptions(jump_fixes=3))
        gate.expect(at(20.0), self.SPREAD)
        accepted = [show(gate, fix(0.1 * i, at(0.0))).accepted for i in range(3)]
        assert accepted == [False, False, True]

    def test_it_moves_with_odometry(self):
        gate = Gate()
        gate.expect(MAP_FROM_ODOM, self.SPREAD)
        gate.advance(0.0, at(5.0))
        now = at(11.0, 1.0, 90.0)
        expected = MAP_FROM_ODOM @ inverse(at(5.0)) @ now
        np.testing.assert_allclose(gate.predicted(now), expected, atol=1e-12)
        assert show(gate, fix(9.0, expected, now)).accepted


def test_prediction_stands_still_without_odometry():
    gate = Gate()
    assert gate.predicted(None) is None
    show(gate, fix(0.0, at(2.0)))
    np.testing.assert_array_equal(gate.predicted(None), at(2.0))
    np.testing.assert_array_equal(gate.predicted(at(1.0)), at(2.0))
