"""When the frames of a dataset are shown if they are played like a camera's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import DatasetError

# Hz, where the layout has no times.
USUAL_RATE = 10.0


@dataclass(frozen=True)
class Schedule:
    """Times of one pass through a dataset, of the camera's clock."""

    start: float  # s, stamp of the first frame; above 0, which stands for "no time" in ROS
    offsets: NDArray[np.float64]  # (N,) s since the first frame, increasing
    period: float  # s from the first frame to the first frame of the next pass

    @property
    def rate(self) -> float:
        """Mean number of frames per second."""
        return len(self.offsets) / self.period


def make_schedule(frames: Sequence[Frame], rate: float | None = None) -> Schedule:
    """Space frames by their own stamps, or `rate` Hz evenly.

    Layouts without times number their frames; those are shown at 10 Hz. Raises DatasetError for a
    rate that is not positive, and for stamps that do not increase.
    """
    if rate is not None and not rate > 0.0:
        raise DatasetError(f'frames cannot be shown at {rate:g} Hz; give a rate above 0')
    stamps = np.array([frame.stamp for frame in frames])
    timed = bool((stamps != np.round(stamps)).any())
    if rate is None and not timed:
        rate = USUAL_RATE
    if rate is not None:
        offsets = np.arange(len(frames)) / rate
        period = len(frames) / rate
    else:
        gaps = np.diff(stamps)
        if gaps.size and gaps.min() <= 0.0:
            late = frames[int(gaps.argmin()) + 1].name
            raise DatasetError(f'{late} is not later than the frame before it; give a rate')
        offsets = stamps - stamps[0]
        period = float(offsets[-1] + (np.median(gaps) if gaps.size else 1.0 / USUAL_RATE))
    return Schedule(max(float(stamps[0]), 1.0) if timed else 1.0, offsets, period)
