"""When frames are shown."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets import Frame
from aceg_ros.datasets.schedule import USUAL_RATE, make_schedule
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera

CAMERA = Camera.pinhole(4, 3, 5.0, 5.0, 1.5, 1.0)


def frames(*stamps):
    """Frames nobody looks at."""
    return [Frame(f'{i}', CAMERA, lambda: None, stamp=s) for i, s in enumerate(stamps)]


def test_own_times():
    schedule = make_schedule(frames(50.25, 50.5, 51.0, 51.25))
    assert schedule.start == 50.25
    assert schedule.offsets.tolist() == [0.0, 0.25, 0.75, 1.0]
    assert schedule.period == 1.25
    assert schedule.rate == pytest.approx(3.2)


def test_rate_replaces_them():
    schedule = make_schedule(frames(50.25, 50.5, 51.0), rate=20.0)
    np.testing.assert_allclose(schedule.offsets, [0.0, 0.05, 0.1])
    assert schedule.period == pytest.approx(0.15)
    assert schedule.start == 50.25


def test_numbered_frames_have_no_times():
    schedule = make_schedule(frames(0.0, 5.0, 10.0))
    assert schedule.rate == pytest.approx(USUAL_RATE)
    assert schedule.start == 1.0


def test_time_zero_is_avoided():
    assert make_schedule(frames(0.0, 0.1)).start > 0.0


def test_one_frame():
    assert make_schedule(frames(7.5)).period > 0.0


@pytest.mark.parametrize('rate', [0.0, -1.0, float('nan')])
def test_rate_out_of_range(rate):
    with pytest.raises(DatasetError, match='give a rate above 0'):
        make_schedule(frames(0.0, 1.0), rate)


def test_times_that_go_back():
    with pytest.raises(DatasetError, match='2 is not later than the frame before it'):
        make_schedule(frames(0.5, 1.0, 0.75))
