"""Joining of images by their stamps."""

from __future__ import annotations

import pytest

from aceg_ros.tracking.moments import PATIENCE, MomentJoiner

TOLERANCE = 0.02
ALL = (0, 1)


class Bench:
    """A joiner, its clock, and items that say which they are."""

    def __init__(self, cameras: int = 2, tolerance: float = TOLERANCE) -> None:
        self.joiner = MomentJoiner[str](cameras, tolerance)
        self.now = 1000.0

    def come(self, *stamps: tuple[int, float]) -> None:
        for camera, stamp in stamps:
            assert self.joiner.add(camera, stamp, f'{camera}@{stamp:g}', self.now)

    def take(self, *sending: int) -> list[str] | None:
        joined = self.joiner.take(self.now, sending or ALL)
        return None if joined is None else list(joined.items.values())


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_images_of_one_time_are_given_once_all_are_there(bench):
    bench.come((1, 10.0))
    assert bench.take() is None
    bench.come((0, 10.0))
    assert bench.take() == ['0@10', '1@10']
    assert bench.take() is None


def test_within_the_tolerance(bench):
    bench.come((0, 10.0), (1, 10.0 + 0.9 * TOLERANCE))
    assert bench.take() == ['0@10', '1@10.018']


def test_the_nearest_image_is_taken(bench):
    bench.come((1, 9.985), (1, 9.995), (1, 10.015), (0, 10.0))
    assert bench.take() == ['0@10', '1@9.995']


def test_the_newest_moment_is_given_and_others_are_counted(bench):
    bench.come((0, 10.0), (1, 10.0), (0, 11.0), (1, 11.0))
    assert bench.take() == ['0@11', '1@11']
    assert bench.take() is None
    assert bench.joiner.dropped == [1, 1]


def test_a_moment_of_all_goes_before_a_newer_one_of_some(bench):
    bench.come((0, 10.0), (1, 10.0), (0, 11.0))
    assert bench.take() == ['0@10', '1@10']


def test_a_camera_that_has_sent_something_later_is_not_waited_for(bench):
    bench.come((0, 10.0), (1, 10.05))
    assert bench.take() == ['0@10']
    assert bench.take() is None
    bench.come((0, 10.1))
    assert bench.take() == ['1@10.05']


def test_how_far_apart_images_are_that_were_not_joined(bench):
    bench.come((0, 10.0), (1, 10.05))
    joined = bench.joiner.take(bench.now, ALL)
    assert joined.apart == {1: pytest.approx(0.05)}


def test_patience_is_limited(bench):
    bench.come((0, 10.0))
    assert bench.take() is None
    bench.now += 1.01 * PATIENCE
    assert bench.take() == ['0@10']
    assert bench.joiner.take(bench.now, ALL) is None


def test_a_silent_camera_is_not_waited_for(bench):
    bench.come((1, 10.0))
    assert bench.take(1) == ['1@10']


def test_a_camera_that_stopped_does_not_set_the_time(bench):
    """Its clock was a minute ahead."""
    bench.come((0, 10.0), (1, 70.0))
    bench.now += 2 * PATIENCE
    assert bench.take() == ['1@70']
    bench.come((0, 10.1))
    assert bench.take(0) is None
    bench.come((0, 10.2))
    assert bench.take(0) == ['0@10.2']


def test_what_comes_after_its_moment_was_given_is_dropped(bench):
    bench.come((0, 10.0))
    bench.now += 2 * PATIENCE
    assert bench.take() == ['0@10']
    bench.come((1, 10.0))
    bench.now += 2 * PATIENCE
    assert bench.take() is None
    assert bench.joiner.dropped == [0, 1]
    bench.come((0, 10.1), (1, 10.1))
    assert bench.take() == ['0@10.1', '1@10.1']


def test_images_are_no_farther_apart_than_the_tolerance_from_the_first_camera():
    bench = Bench(cameras=3)
    bench.come((0, 10.0), (1, 10.015), (2, 10.03))
    assert bench.take(0, 1, 2) == ['0@10', '1@10.015']
    assert bench.take(0, 1, 2) is None
    bench.now += 2 * PATIENCE
    assert bench.take(0, 1, 2) == ['2@10.03']


def test_cameras_of_different_rates_are_joined_where_they_meet(bench):
    """At 30 and 10 images per second; the fast one is not localized alone in between."""
    given = []
    for index in range(60):
        bench.now = 1000.0 + index / 30
        bench.come((0, bench.now))
        if index % 3 == 0:
            bench.come((1, bench.now))
        given.append(bench.take())
    assert all(moment is None or len(moment) == 2 for moment in given)
    assert sum(moment is not None for moment in given) == 20


def test_a_slow_worker_gets_whole_moments(bench):
    """Images of the second camera come 60 ms later, and work takes half a second."""
    pending: list[tuple[float, int, float]] = []
    for index in range(200):
        stamp = 1000.0 + index / 30
        pending += [(stamp, 0, stamp), (stamp + 0.06, 1, stamp + 0.004)]
    pending.sort()
    given, free = [], 1000.0
    for came, camera, stamp in pending:
        bench.now = came
        bench.come((camera, stamp))
        if came >= free and (moment := bench.take()) is not None:
            given.append(moment)
            free = came + 0.5
    assert len(given) >= 10
    assert all(len(moment) == 2 for moment in given)


def test_time_that_starts_anew(bench):
    bench.come((0, 10.0), (1, 10.0))
    assert bench.take() == ['0@10', '1@10']
    bench.come((0, 3.0), (1, 3.0))
    assert bench.take() == ['0@3', '1@3']


def test_stamps_that_do_not_advance_are_refused(bench):
    bench.come((0, 10.0))
    for stamp in (10.0, 9.9):
        assert not bench.joiner.add(0, stamp, 'again', bench.now)
    bench.come((1, 10.0))
    assert bench.take() == ['0@10', '1@10']


def test_cleared(bench):
    bench.come((0, 10.0))
    bench.joiner.clear()
    assert not bench.joiner.waiting
    bench.come((1, 5.0), (0, 5.0))
    assert bench.take() == ['0@5', '1@5']
