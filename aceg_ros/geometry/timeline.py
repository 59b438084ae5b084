"""Poses at known times, and the pose at a time between."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import inf

from aceg_ros.errors import PoseError
from aceg_ros.geometry.poses import Array, interpolate

# Stamps closer than this (s) are the same instant, written with fewer digits.
SAME_INSTANT = 1e-4


class Timeline:
    """Poses (4, 4) of one frame in another, by stamp in seconds; any order of arrival."""

    def __init__(self, history: float = inf, max_gap: float = inf) -> None:
        """Keep the last `history` seconds; interpolate between poses up to `max_gap` s apart."""
        self.max_gap = max_gap
        self._history = history
        self._stamps: list[float] = []
        self._poses: list[Array] = []

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def newest(self) -> float:
        """Stamp of the last pose, minus infinity without any."""
        return self._stamps[-1] if self._stamps else -inf

    @property
    def newest_pose(self) -> Array:
        """Pose of the largest stamp; raises PoseError without any."""
        if not self._poses:
            raise PoseError('there is no pose yet')
        return self._poses[-1]

    def add(self, stamp: float, pose: Array) -> None:
        """Insert a pose; one of the same stamp is replaced, one older than the history dropped."""
        index = bisect_left(self._stamps, stamp)
        if index < len(self) and self._stamps[index] == stamp:
            self._poses[index] = pose
            return
        self._stamps.insert(index, stamp)
        self._poses.insert(index, pose)
        outdated = bisect_left(self._stamps, self.newest - self._history)
        del self._stamps[:outdated], self._poses[:outdated]

    def at(self, stamp: float) -> Array:
        """Pose at `stamp`, interpolated; raises PoseError when the poses do not reach there."""
        before, after, alpha = bracket(self._stamps, stamp, self.max_gap)
        if before == after:
            return self._poses[before]
        return interpolate(self._poses[before], self._poses[after], alpha)

    def clear(self) -> None:
        """Forget all poses."""
        self._stamps.clear()
        self._poses.clear()


def bracket(
    stamps: Sequence[float] | Array, stamp: float, max_gap: float
) -> tuple[int, int, float]:
    """Indices before and after `stamp` in increasing `stamps`, and how far between it is (0 to 1).

    Both indices are the same where a stamp is hit. Raises PoseError when `stamp` is outside, or its
    neighbors are more than `max_gap` seconds apart.
    """
    why = 'there are no poses'
    if len(stamps):
        after = bisect_left(stamps, stamp)
        near = [i for i in (after - 1, after) if 0 <= i < len(stamps)]
        nearest = min(near, key=lambda i: abs(stamps[i] - stamp))
        if abs(stamps[nearest] - stamp) <= SAME_INSTANT:
            return nearest, nearest, 0.0
        if after == 0:
            why = f'the first is {stamps[0] - stamp:.3f} s later'
        elif after == len(stamps):
            why = f'the last is {stamp - stamps[-1]:.3f} s earlier'
        else:
            gap = stamps[after] - stamps[after - 1]
            if gap <= max_gap:
                return after - 1, after, (stamp - stamps[after - 1]) / gap
            why = f'those before and after are {gap:.3f} s apart, more than {max_gap:g} s'
    raise PoseError(f'there is no pose for time {stamp:.6f}: {why}')
