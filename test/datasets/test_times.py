"""Times in names and trajectories: the unit is decided by all of them together."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets.times import read_times, times_of_names

# Nanoseconds of a camera at 20 Hz that is a little uneven; some are just after a second.
BASE = 1403636579
NANOSECONDS = [
    BASE * 10**9 + i * 50_000_000 + 555_584 + int(jitter)
    for i, jitter in enumerate(np.random.default_rng(0).integers(0, 3_000_000, 40))
]
EXACT = np.array(NANOSECONDS, dtype=float) * 1e-9


def split(nanoseconds):
    return divmod(nanoseconds, 10**9)


@pytest.mark.parametrize(
    ('write', 'unit', 'accuracy'),
    [
        (str, 'nanoseconds', 1e-6),
        (lambda t: str(t // 1000), 'microseconds', 2e-6),
        (lambda t: str(t // 10**6), 'milliseconds', 1e-3),
        (lambda t: f'{t / 1e9:.6f}', 'seconds', 2e-6),
        (lambda t: repr(round(t / 1e9, 3)), 'seconds', 1e-3),
        (lambda t: '{}.{:09d}'.format(*split(t)), 'seconds', 1e-6),
        (lambda t: '{}.{}'.format(*split(t)), 'seconds.nanoseconds', 1e-6),
        (lambda t: f'{t // 10**9}.{t % 10**9 // 1000}', 'seconds.microseconds', 2e-6),
        (lambda t: 'frame_{}_{:09d}'.format(*split(t)), 'seconds', 1e-6),
        (lambda t: f'cam0-{t}_left', 'nanoseconds', 1e-6),
    ],
)
def test_dates_in_any_unit(write, unit, accuracy):
    times = times_of_names([write(t) for t in NANOSECONDS])
    assert times.taken_as.startswith(unit)
    np.testing.assert_allclose(times.seconds, EXACT, rtol=0.0, atol=accuracy)


def test_numbers_of_numpy_are_read_as_any_other():
    times = read_times([f'{t:.18e}' for t in NANOSECONDS])
    assert times.taken_as == 'nanoseconds'
    np.testing.assert_allclose(times.seconds, EXACT, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(('unit', 'size'), [('microseconds', 1000), ('nanoseconds', 1)])
def test_time_since_the_camera_was_switched_on(unit, size):
    """Numbers that would be dates in another unit, but hours apart, are none."""
    since = [t - BASE * 10**9 + 1500 * 10**9 for t in NANOSECONDS]
    times = times_of_names([str(t // size) for t in since])
    assert times.taken_as == unit
    np.testing.assert_allclose(times.seconds, np.array(since) * 1e-9, atol=2e-6)


@pytest.mark.parametrize('start', [100.0, 1795705490.5])
def test_a_recording_with_long_pauses_is_in_seconds(start):
    seconds = [start, start + 1.0, start + 8900.0, start + 20000.0]
    times = times_of_names([f'{t:.6f}' for t in seconds])
    assert times.taken_as == 'seconds'
    np.testing.assert_allclose(times.seconds, seconds, atol=1e-6)


@pytest.mark.parametrize('step', [1, 5, 30])
def test_frame_numbers_are_no_times(step):
    assert times_of_names([f'{i:06d}' for i in range(0, 40 * step, step)]).are_numbers


@pytest.mark.parametrize(
    'names',
    [
        ['frame_1', 'frame_2'],
        ['a', 'b'],
        ['1', 'b'],
        [],
        ['IMG_20240101_120000', 'IMG_20240101_120001'],
        ['left_1403636579763555584', 'right_1403636579763555584'],
    ],
)
def test_no_times(names):
    assert times_of_names(names) is None


def test_a_few_words_near_others_are_read_like_these():
    words = ['1403636579.963555584', '1403636580.13555584']
    near = np.array([BASE + 0.963555584, BASE + 1.013555584])
    assert times_of_names(words, near).taken_as.startswith('seconds.nanoseconds')
    near[1] = BASE + 1.13555584
    assert times_of_names(words, near).taken_as == 'seconds'


def test_not_finite_is_no_time():
    for word in ('nan', 'inf', '1e999999', 'x', ''):
        assert read_times(['1.0', word]) is None
