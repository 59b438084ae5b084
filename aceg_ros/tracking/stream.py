"""What a healthy camera does not do: show one image again and again while it moves."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import pose_error

Array = NDArray[np.float64]

# What a camera that stands still may be said to move.
_STILL_M, _STILL_DEG = 0.05, 3.0


class RepeatedImage:
    """Compares each image with the one before, bit for bit.

    No two images of a real camera are the same, because of noise; those of a simulated one that
    stands still are. So it is a fault only where something says that the camera moves.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._data: memoryview | None = None
        self._since = 0.0
        self._count = 0
        self._first: Array | None = None

    @property
    def unexplained(self) -> float:
        """Seconds for which the same image has come while nothing tells whether the camera moves.

        0 for images that differ, and where a pose comes with them.
        """
        return self._now() - self._since if self._count and self._first is None else 0.0

    def check(self, data: bytes | memoryview, pose: Array | None) -> str:
        """What is wrong when an image with these bytes comes; empty when nothing is.

        ``pose`` is where the camera is (4, 4), in any frame that stands still, or None where
        nothing tells.
        """
        data = memoryview(data)
        if self._data is None or data != self._data:
            self._data, self._count, self._first = data, 0, pose
            self._since = self._now()
            return ''
        self._count += 1
        if pose is None:
            return ''
        if self._first is None:
            self._first = pose
        distance, angle = (float(value) for value in pose_error(self._first, pose))
        if distance <= _STILL_M and angle <= _STILL_DEG:
            return ''
        seconds = self._now() - self._since
        return (
            f'the camera has shown the same image for {seconds:.1f} s, bit for bit, while it '
            f'moved by {distance:.2f} m and {angle:.0f} deg; restart its driver'
        )

    def forget(self) -> None:
        """Begin anew, after a jump in time or of the pose."""
        self._data = self._first = None
        self._count = 0
