"""Tells fixes that follow from the last ones from jumps, which have to repeat to be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.motion import MotionLimits
from aceg_ros.geometry.poses import inverse, pose_error
from aceg_ros.pose.consistency import mahalanobis2, pose_residual
from aceg_ros.tracking.frames import carry

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GateOptions:
    """What a body can do, and when to believe that it did more."""

    motion: MotionLimits = field(default_factory=MotionLimits)  # where there is no odometry
    # Standard deviation of odometry as part of the way: meters per meter, and radians per radian
    # turned or meter driven.
    odometry_drift: float = 0.1
    max_mahalanobis: float = 5.0  # deviations from what is expected, over all six directions
    jump_fixes: int = 3  # consistent ones that make a jump believed


@dataclass(frozen=True)
class Fix:
    """Where a localization puts the body that is tracked."""

    stamp: float  # seconds, of the image
    map_from_body: Array  # (4, 4)
    covariance: Array  # (6, 6) as `Localization.covariance`, of the body; positive definite
    odom_from_body: Array | None = None  # (4, 4) at the stamp, where there is odometry
    map_id: str = ''  # which of several maps it is in


@dataclass(frozen=True)
class Verdict:
    """Whether a fix is believed, and why in words."""

    accepted: bool
    words: str
    jumped: bool = False  # whether the body is elsewhere than motion explains


class Gate:
    """Compares each fix with the motion since the last accepted one.

    Frames of different maps have nothing to do with each other. So a fix in another map than the
    last one's is a jump too, however near its numbers are.

    `advance` goes before `check`, and is also called for images without a fix, so that the
    odometry's way is known however it winds.
    """

    def __init__(self, options: GateOptions | None = None) -> None:
        self.options = options or GateOptions()
        self._way = _Way()
        self._last_odom: Array | None = None
        self._reference: _Reference | None = None
        self._candidate: _Reference | None = None
        self._pose_prior: tuple[Array, Array, str] | None = None
        self._repeats = 0

    def forget(self) -> None:
        """Believe the next fix, wherever it is."""
        self._reference = self._candidate = self._pose_prior = self._last_odom = None
        self._repeats = 0

    @property
    def map_id(self) -> str:
        """The map of what is believed so far; empty without any."""
        if self._pose_prior is not None:
            return self._pose_prior[2]
        return '' if self._reference is None else self._reference.fix.map_id

    def expect(self, map_from_body: Array, covariance: Array, map_id: str = '') -> None:
        """Forget the fixes so far and hold the next ones against a pose given from outside.

        It is the body's at the next call of `advance`. `covariance` (6, 6) as in `Fix`.
        """
        self.forget()
        self._pose_prior = map_from_body, covariance, map_id

    def advance(self, stamp: float, odom_from_body: Array | None) -> None:
        """Follow the motion up to an image; odometry (4, 4) at its stamp where there is some."""
        if odom_from_body is not None:
            if self._last_odom is not None:
                self._way = self._way.extended(self._last_odom, odom_from_body)
            self._last_odom = odom_from_body
        if self._pose_prior is not None:
            pose, covariance, map_id = self._pose_prior
            fix = Fix(stamp, pose, covariance, odom_from_body, map_id)
            self._reference = _Reference(fix, self._way, given=True)
            self._pose_prior = None

    def predicted(self, odom_from_body: Array | None) -> Array | None:
        """Best guess of map_from_body (4, 4) from what is believed so far; None without any."""
        if self._pose_prior is not None:
            return self._pose_prior[0]
        return None if self._reference is None else self._reference.moved(odom_from_body)

    def check(self, fix: Fix) -> Verdict:
        """Accept or refuse a fix; what is accepted is what the next one is held against."""
        present = _Reference(fix, self._way)
        if self._reference is None:
            return self._accept(present, 'first fix')
        step = self._step(self._reference, present)
        if step.mahalanobis <= self.options.max_mahalanobis:
            return self._accept(present, 'follows the motion')
        repeated = self._candidate is not None and (
            self._step(self._candidate, present).mahalanobis <= self.options.max_mahalanobis
        )
        self._repeats = self._repeats + 1 if repeated else 1
        if self._repeats >= self.options.jump_fixes:
            words = f'jump believed after {self._repeats} consistent fixes'
            return replace(self._accept(present, words), jumped=True)
        self._candidate = present
        return Verdict(
            False,
            f'{self._described(present, step)}; '
            f'{self._repeats} of {self.options.jump_fixes} consistent fixes',
        )

    def _described(self, present: _Reference, step: _Step) -> str:
        """A jump from the reference, in words."""
        if self._reference is not None and present.fix.map_id != self._reference.fix.map_id:
            here, there = present.fix.map_id, self._reference.fix.map_id
            return f'it is in the map {here}, {self._reference.name} in {there}'
        return (
            f'jump of {step.meters:.2f} m and {step.degrees:.1f} deg from where {step.expected} '
            f'({step.mahalanobis:.1f} deviations, {self.options.max_mahalanobis:g} allowed)'
        )

    def _accept(self, present: _Reference, words: str) -> Verdict:
        self._reference, self._candidate, self._repeats = present, None, 0
        return Verdict(True, words)

    def _step(self, earlier: _Reference, present: _Reference) -> _Step:
        if earlier.fix.map_id != present.fix.map_id:
            return _Step(math.inf, math.inf, math.inf, '')
        if earlier.fix.odom_from_body is None or present.fix.odom_from_body is None:
            return self._bounded_step(earlier, present.fix)
        return self._odometry_step(earlier, present)

    def _odometry_step(self, earlier: _Reference, present: _Reference) -> _Step:
        """How far a fix is from where odometry leads from an earlier one."""
        before, now = earlier.fix, present.fix
        moved = earlier.moved(now.odom_from_body)
        before_from_moved = inverse(before.map_from_body) @ moved
        _, covariance = carry(before.map_from_body, before.covariance, before_from_moved)
        meters = present.way.meters - earlier.way.meters
        radians = present.way.radians - earlier.way.radians
        drift = self.options.odometry_drift
        drifted = [(drift * meters) ** 2] * 3 + [(drift * (radians + meters)) ** 2] * 3
        error = pose_residual(now.map_from_body, moved)
        spread = covariance + np.diag(drifted) + now.covariance
        distance, angle = pose_error(now.map_from_body, moved)
        where = f'{earlier.name} and {meters:.2f} m of odometry lead'
        return _Step(math.sqrt(mahalanobis2(error, spread)), float(distance), float(angle), where)

    def _bounded_step(self, earlier: _Reference, now: Fix) -> _Step:
        """How far a fix is beyond what the body can reach from an earlier one."""
        before, motion = earlier.fix, self.options.motion
        seconds = abs(now.stamp - before.stamp)
        error = pose_residual(now.map_from_body, before.map_from_body)
        beyond = np.concatenate(
            [
                _shortened(error[:3], motion.speed * seconds),
                _shortened(error[3:], math.radians(motion.turn) * seconds),
            ]
        )
        spread = before.covariance + now.covariance
        distance, angle = pose_error(now.map_from_body, before.map_from_body)
        where = (
            f'{earlier.name} was {seconds:.2f} s ago, at most {motion.speed:g} m/s and '
            f'{motion.turn:.0f} deg/s'
        )
        return _Step(math.sqrt(mahalanobis2(beyond, spread)), float(distance), float(angle), where)


@dataclass(frozen=True)
class _Way:
    """Length of the way that odometry went, and how much it turned on it."""

    meters: float = 0.0
    radians: float = 0.0

    def extended(self, odom_from_before: Array, odom_from_now: Array) -> _Way:
        meters, degrees = pose_error(odom_from_before, odom_from_now)
        return _Way(self.meters + float(meters), self.radians + math.radians(float(degrees)))


@dataclass(frozen=True)
class _Reference:
    """A fix, and the way gone when it was made."""

    fix: Fix
    way: _Way
    given: bool = False  # from outside, rather than localized

    @property
    def name(self) -> str:
        """What it is, for people."""
        if not self.given:
            return 'the last fix'
        x, y, z = self.fix.map_from_body[:3, 3]
        return f'the given pose ({x:.2f}, {y:.2f}, {z:.2f})'

    def moved(self, odom_from_body: Array | None) -> Array:
        """map_from_body (4, 4) when odometry has come to ``odom_from_body``; None: not moved."""
        if self.fix.odom_from_body is None or odom_from_body is None:
            return self.fix.map_from_body
        return self.fix.map_from_body @ inverse(self.fix.odom_from_body) @ odom_from_body


@dataclass(frozen=True)
class _Step:
    """How a fix differs from what an earlier one lets expect, and what that is in words."""

    mahalanobis: float
    meters: float
    degrees: float
    expected: str


def _shortened(vector: Array, length: float) -> Array:
    """``vector`` less ``length`` of its own, at least zero."""
    norm = float(np.linalg.norm(vector))
    return vector * (max(norm - length, 0.0) / norm) if norm > 0 else vector
