"""A plain filter of poses: whether it does better with their covariances than without.

An error-state Kalman filter whose camera keeps its velocity (Sola, "Quaternion kinematics for the
error-state Kalman filter", 2017, chapter 5). The node has no such filter; robots have, such as that
of `robot_localization`, and they trust covariances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aceg_ros.evaluation.metrics import FrameResult
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.localization.result import Localization
from aceg_ros.pose.consistency import mahalanobis2, pose_residual

Array = NDArray[np.float64]

_SPREAD = 1.0  # deviation of the first velocity, m/s and rad/s
_LEAST_STEP = 1e-3  # s
_LAG = 5  # frames


@dataclass(frozen=True)
class Agility:
    """How fast a camera changes its velocity."""

    acceleration: float  # m/s^2, deviation over a second
    turning: float  # rad/s^2

    @classmethod
    def of(cls, stamps: Array, poses: Sequence[Array]) -> Agility:
        """That of a known trajectory: stamps (N,) in seconds and world_from_cam (4, 4).

        Velocities are compared some frames apart, because accelerations last, and the noise of
        true poses does not.
        """
        steps = np.array([pose_residual(b, a) for a, b in pairwise(poses)])
        spans = np.maximum(np.diff(stamps), _LEAST_STEP)
        velocity = steps / spans[:, None]
        lag = min(_LAG, len(velocity) - 1)
        middle = (stamps[1:] + stamps[:-1]) / 2
        between = np.maximum(middle[lag:] - middle[:-lag], _LEAST_STEP)
        # White noise of power q changes a velocity by q t within t.
        power = ((velocity[lag:] - velocity[:-lag]) ** 2 / between[:, None]).mean(axis=0)
        return cls(float(np.sqrt(power[:3].mean())), float(np.sqrt(power[3:].mean())))


@dataclass(frozen=True)
class Filtered:
    """The state after a measurement."""

    world_from_cam: Array  # (4, 4)
    covariance: Array  # (6, 6), as `Localization.covariance`


def filtered(
    stamps: Array, poses: Sequence[Array | None], covariances: Sequence[Array], agility: Agility
) -> list[Filtered | None]:
    """Poses world_from_cam (4, 4) after each was weighed against all before it.

    ``stamps`` (N,) are seconds, rising. Where there is no pose the camera goes on as it went; None
    before the first one.
    """
    noise = np.diag([agility.acceleration**2] * 3 + [agility.turning**2] * 3)
    pose: Array | None = None
    velocity, spread = np.zeros(6), np.zeros((12, 12))
    found: list[Filtered | None] = []
    before = 0.0
    for stamp, measured, covariance in zip(stamps, poses, covariances, strict=True):
        step = max(float(stamp) - before, _LEAST_STEP)
        before = float(stamp)
        if pose is None:
            if measured is not None:
                pose = measured
                spread[:6, :6], spread[6:, 6:] = covariance, _SPREAD**2 * np.eye(6)
                found.append(Filtered(pose, covariance))
            else:
                found.append(None)
            continue
        pose = _moved(pose, velocity * step)
        carry = np.eye(12)
        carry[:6, 6:] = step * np.eye(6)
        spread = carry @ spread @ carry.T + np.block(
            [[noise * step**3 / 3, noise * step**2 / 2], [noise * step**2 / 2, noise * step]]
        )
        if measured is not None:
            gain = np.linalg.solve(spread[:6, :6] + covariance, spread[:6]).T
            change = gain @ pose_residual(measured, pose)
            pose, velocity = _moved(pose, change[:6]), velocity + change[6:]
            keep = np.eye(12)
            keep[:, :6] -= gain
            spread = keep @ spread @ keep.T + gain @ covariance @ gain.T
        found.append(Filtered(pose, spread[:6, :6]))
    return found


@dataclass(frozen=True)
class Run:
    """One way to feed the filter, and what came of it; N frames after the first pose."""

    name: str
    errors: Array  # (N, 6) step to the truth, as `pose_residual`
    deviations: Array  # (N, 6) that the filter claims
    normalized: Array  # (N,) error squared
    measured: NDArray[np.bool_]  # (N,) whether there was a pose; else the camera went on as it went

    @property
    def rms(self) -> tuple[float, float]:
        """Root mean square errors, where there was a pose: m, rad."""
        squared = self.errors[self.measured] ** 2
        position, rotation = squared[:, :3].sum(axis=1), squared[:, 3:].sum(axis=1)
        return float(np.sqrt(position.mean())), float(np.sqrt(rotation.mean()))


def compare(results: Sequence[FrameResult]) -> list[Run]:
    """The filter fed with poses as they come, and with two fixed covariances, on one trajectory.

    ``results`` are in order of their stamps; at least three frames. 'own' takes the covariances
    that poses come with, 'fixed' their mean for all poses, and 'fixed, fitted' the mean square of
    the true errors, the best that someone can choose who knows the truth. All have the same
    agility, that of the true trajectory.
    """
    stamps = np.array([result.frame.stamp for result in results])
    truths = [result.world_from_cam for result in results]
    answers = [r.answer if isinstance(r.answer, Localization) else None for r in results]
    poses = [None if a is None else a.world_from_cam for a in answers]
    given = [(a, truth) for a, truth in zip(answers, truths, strict=True) if a is not None]
    own = [np.eye(6) if a is None else a.covariance for a in answers]
    mean = np.mean([answer.covariance for answer, _ in given], axis=0)
    true = [pose_residual(truth, answer.world_from_cam) for answer, truth in given]
    fitted = np.diag(np.mean(np.square(true), axis=0))
    agility = Agility.of(stamps, truths)
    feeds = {
        'own': own,
        'fixed': [mean] * len(results),
        'fixed, fitted': [fitted] * len(results),
    }
    runs = []
    for name, covariances in feeds.items():
        states = filtered(stamps, poses, covariances, agility)
        pairs = [(s, truth) for s, truth in zip(states, truths, strict=True) if s is not None]
        errors = np.array([pose_residual(truth, s.world_from_cam) for s, truth in pairs])
        deviations = np.array([np.sqrt(np.diag(s.covariance)) for s, _ in pairs])
        normalized = np.array(
            [mahalanobis2(e, s.covariance) for e, (s, _) in zip(errors, pairs, strict=True)]
        )
        measured = np.array([pose is not None for pose in poses[-len(pairs) :]])
        runs.append(Run(name, errors, deviations, normalized, measured))
    return runs


def _moved(pose: Array, step: Array) -> Array:
    """Shifted along, and turned about, the world's axes."""
    return make_pose(so3_exp(step[3:]) @ pose[:3, :3], pose[:3, 3] + step[:3])
