"""A camera that hangs shows one image again and again."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.tracking.stream import RepeatedImage


class Clock:
    """Goes as told."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock) -> RepeatedImage:
    return RepeatedImage(clock)


def at(x: float, turn: float = 0.0) -> np.ndarray:
    return make_pose(so3_exp([0.0, 0.0, turn]), [x, 0.0, 0.0])


def test_images_that_differ_in_one_bit(watch, clock):
    for index in range(5):
        clock.seconds += 1.0
        assert watch.check(bytes(1000) + bytes([index]), at(float(index))) == ''
        assert watch.unexplained == 0.0


@pytest.mark.parametrize(('pose', 'unexplained'), [(at(0.01), 0.0), (None, 8.0)])
def test_standing_still_is_no_fault(watch, clock, pose, unexplained):
    for _ in range(4):
        assert watch.check(b'the same', pose) == ''
        clock.seconds += 2.0
    assert watch.unexplained == unexplained


@pytest.mark.parametrize('there', [at(0.2), at(0.0, 0.2)], ids=['moved', 'turned'])
def test_moving_with_the_same_image(watch, clock, there):
    assert watch.check(b'the same', at(0.0)) == ''
    clock.seconds = 3.0
    assert 'the same image for 3.0 s' in watch.check(b'the same', there)
    assert watch.check(b'another', there) == ''


def test_slow_motion_adds_up(watch):
    found = [watch.check(b'the same', at(0.01 * step)) for step in range(10)]
    assert found[0] == ''
    assert 'it moved by 0.09 m' in found[-1]


def test_nothing_tells_whether_it_moves(watch):
    assert [watch.check(b'the same', None) for _ in range(3)] == ['', '', '']
    assert watch.check(b'the same', at(0.0)) == ''
    assert 'moved' in watch.check(b'the same', at(1.0))


def test_a_jump_in_time(watch):
    watch.check(b'the same', at(0.0))
    watch.forget()
    assert watch.check(b'the same', at(5.0)) == ''
