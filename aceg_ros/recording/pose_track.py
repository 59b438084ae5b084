"""The poses that a pose source has given lately: the pose at an image's stamp, and jumps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.motion import CLOCK_SET_BACK, MotionLimits
from aceg_ros.geometry.poses import pose_error
from aceg_ros.geometry.timeline import SAME_INSTANT, Timeline

# Noise that no pose source is free of.
_SLACK_M, _SLACK_DEG = 0.05, 3.0


class JumpWatch:
    """Compares each pose with the one before."""

    def __init__(self, limits: MotionLimits) -> None:
        self._limits = limits
        self._last: tuple[float, NDArray[np.float64]] | None = None

    def check(self, stamp: float, pose: NDArray[np.float64]) -> str | None:
        """What is wrong between the last pose (4, 4) and this one at `stamp` (s); None: nothing."""
        last, self._last = self._last, (stamp, pose)
        if last is None:
            return None
        passed = stamp - last[0]
        if passed < -CLOCK_SET_BACK:
            return f'the clock went back by {-passed:.1f} s'
        distance, angle = (float(value) for value in pose_error(last[1], pose))
        far = distance > self._limits.speed * abs(passed) + _SLACK_M
        turned = angle > self._limits.turn * abs(passed) + _SLACK_DEG
        if far or turned:
            return f'the pose jumped by {distance:.2f} m and {angle:.0f} deg in {passed:.3f} s'
        return None

    def clear(self) -> None:
        """Forget the last pose."""
        self._last = None


class PoseTrack:
    """Poses (4, 4) by stamp (s), none of them interpolated across a jump or a long gap."""

    def __init__(
        self, max_gap: float, limits: MotionLimits | None = None, history: float = 10.0
    ) -> None:
        """Interpolate between poses at most `max_gap` s apart; keep the last `history` s."""
        self._timeline = Timeline(history, max_gap)
        self._watch = JumpWatch(limits or MotionLimits())

    def add(self, stamp: float, pose: NDArray[np.float64]) -> str | None:
        """Take the next pose; says what is wrong with it when poses before cannot be trusted."""
        problem = self._watch.check(stamp, pose)
        if problem is not None:
            self._timeline.clear()
        self._timeline.add(stamp, pose)
        return problem

    def reaches(self, stamp: float) -> bool:
        """Whether poses up to `stamp` have come, so that waiting for more is of no use."""
        return self._timeline.newest >= stamp - SAME_INSTANT

    def at(self, stamp: float) -> NDArray[np.float64]:
        """Pose at `stamp`; raises PoseError, which says how far the nearest pose is."""
        return self._timeline.at(stamp)

    def rewind(self, now: float) -> None:
        """Forget the poses if they are from before the clock was set back to `now` (s)."""
        if self._timeline.newest > now + CLOCK_SET_BACK:
            self.clear()

    def clear(self) -> None:
        """Forget all poses."""
        self._timeline.clear()
        self._watch.clear()
