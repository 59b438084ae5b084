"""Which transform suits what TF has."""

from __future__ import annotations

import pytest

from aceg_ros.tracking.modes import PATIENCE, ModeChoice, TfMode


def test_robot_with_odometry_is_known_at_once():
    choice = ModeChoice()
    choice.observe(100.0, base_known=True, odom_known=True)
    assert choice.mode is TfMode.MAP_TO_ODOM


@pytest.mark.parametrize(
    ('base', 'mode'), [(True, TfMode.MAP_TO_BASE), (False, TfMode.MAP_TO_CAMERA)]
)
def test_others_are_waited_for(base, mode):
    choice = ModeChoice()
    choice.observe(100.0, base, False)
    choice.observe(100.0 + 0.9 * PATIENCE, base, False)
    assert choice.mode is None
    choice.observe(100.0 + PATIENCE, base, False)
    assert choice.mode is mode


@pytest.mark.parametrize(
    ('base', 'mode'), [(True, TfMode.MAP_TO_BASE), (False, TfMode.MAP_TO_CAMERA)]
)
def test_others_are_known_at_once_where_nobody_can_say_more(base, mode):
    choice = ModeChoice()
    choice.observe(100.0, base, False, more_to_come=False)
    assert choice.mode is mode


def test_parts_that_start_one_after_the_other():
    choice = ModeChoice()
    for base, odom in [(False, False), (True, False), (True, True)]:
        choice.observe(100.0, base, odom)
    assert choice.mode is TfMode.MAP_TO_ODOM


@pytest.mark.parametrize('mode', [TfMode.MAP_TO_ODOM, TfMode.MAP_TO_BASE, TfMode.MAP_TO_CAMERA])
def test_what_was_chosen_stays(mode):
    choice = ModeChoice()
    for stamp in (100.0, 100.0 + PATIENCE):
        choice.observe(stamp, mode is not TfMode.MAP_TO_CAMERA, mode is TfMode.MAP_TO_ODOM)
    for base, odom in [(True, True), (True, False), (False, False)]:
        choice.observe(120.0, base, odom)
        assert choice.mode is mode


def test_time_that_starts_anew_is_waited_for_again():
    choice = ModeChoice()
    choice.observe(100.0, True, False)
    choice.observe(5.0, True, False)
    choice.observe(5.5, True, False)
    assert choice.mode is None
