"""A plain filter of poses: whether it does better with their covariances than without.

An error-state Kalman filter that odometry moves on (Sola, "Quaternion kinematics for the
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
from aceg_ros.geometry.poses import inverse, make_pose, so3_exp, so3_log
from aceg_ros.localization.result import Localization
from aceg_ros.pose.consistency import mahalanobis2, pose_residual

Array = NDArray[np.float64]

# How far odometry is off: a part of each step, and of a step without motion m and rad.
_OFF, _LEAST_OFF = 0.02, 1e-3
_DRAWS = 10  # of its errors


@dataclass(frozen=True)
class Step:
    """How a camera moved from one frame to the next, as odometry tells."""

    cam_from_next: Array  # (4, 4)
    deviation: tuple[float, float]  # m and rad, the same along all axes


def odometry(poses: Sequence[Array], rng: np.random.Generator) -> list[Step]:
    """The steps of a trajectory world_from_cam (4, 4), each with an error of its own."""
    steps = []
    for before, after in pairwise(poses):
        moved = inverse(before) @ after
        rotation, translation = moved[:3, :3], moved[:3, 3]
        off = _OFF * float(np.linalg.norm(translation)) + _LEAST_OFF
        turned = _OFF * float(np.linalg.norm(so3_log(rotation))) + _LEAST_OFF
        wrong = make_pose(
            so3_exp(turned * rng.normal(size=3)) @ rotation, translation + off * rng.normal(size=3)
        )
        steps.append(Step(wrong, (off, turned)))
    return steps


@dataclass(frozen=True)
class Filtered:
    """The state after a frame."""

    world_from_cam: Array  # (4, 4)
    covariance: Array  # (6, 6), as `Localization.covariance`


def filtered(
    poses: Sequence[Array | None], covariances: Sequence[Array], steps: Sequence[Step]
) -> list[Filtered | None]:
    """Poses world_from_cam (4, 4) of N frames, each weighed against all before it.

    ``steps`` (N - 1) lead from each frame to the next. Where there is no pose odometry goes on;
    None before the first one.
    """
    state: Filtered | None = None
    found: list[Filtered | None] = []
    for pose, covariance, step in zip(poses, covariances, [None, *steps], strict=True):
        if state is not None and step is not None:
            state = _moved(state, step)
        if pose is not None:
            state = Filtered(pose, covariance) if state is None else _met(state, pose, covariance)
        found.append(state)
    return found


def _moved(state: Filtered, step: Step) -> Filtered:
    pose = state.world_from_cam @ step.cam_from_next
    carry = np.eye(6)
    # A camera that is turned wrongly goes on in a wrong direction.
    carry[:3, 3:] = np.cross(pose[:3, 3] - state.world_from_cam[:3, 3], np.eye(3))
    noise = np.repeat(np.square(step.deviation), 3)
    return Filtered(pose, carry @ state.covariance @ carry.T + np.diag(noise))


def _met(state: Filtered, pose: Array, covariance: Array) -> Filtered:
    gain = np.linalg.solve(state.covariance + covariance, state.covariance).T
    change = gain @ pose_residual(pose, state.world_from_cam)
    before = state.world_from_cam
    keep = np.eye(6) - gain
    return Filtered(
        make_pose(so3_exp(change[3:]) @ before[:3, :3], before[:3, 3] + change[:3]),
        keep @ state.covariance @ keep.T + gain @ covariance @ gain.T,
    )


@dataclass(frozen=True)
class Run:
    """One way to feed the filter, and what came of it; N frames after the first pose, D draws."""

    name: str
    errors: Array  # (D, N, 6) step to the truth, as `pose_residual`
    normalized: Array  # (D, N) error squared
    deviations: Array  # (N, 6) that the filter claims, in the first draw

    @property
    def rms(self) -> tuple[float, float]:
        """Root mean square errors: m, rad."""
        squared = self.errors**2
        position, rotation = squared[..., :3].sum(axis=-1), squared[..., 3:].sum(axis=-1)
        return float(np.sqrt(position.mean())), float(np.sqrt(rotation.mean()))


def compare(results: Sequence[FrameResult]) -> list[Run]:
    """The filter fed with poses as they come, and with two fixed covariances, on one trajectory.

    ``results`` are in order of time; at least three frames. 'own' takes the covariances that poses
    come with, 'fixed' their mean for all poses, and 'fixed, fitted' the mean square of the true
    errors, the best that someone can choose who knows the truth. All have the same odometry.
    """
    truths = [result.world_from_cam for result in results]
    answers = [r.answer if isinstance(r.answer, Localization) else None for r in results]
    poses = [None if a is None else a.world_from_cam for a in answers]
    given = [(a, truth) for a, truth in zip(answers, truths, strict=True) if a is not None]
    own = [np.eye(6) if a is None else a.covariance for a in answers]
    mean = np.mean([answer.covariance for answer, _ in given], axis=0)
    true = [pose_residual(truth, answer.world_from_cam) for answer, truth in given]
    fitted = np.diag(np.mean(np.square(true), axis=0))
    feeds = {
        'own': own,
        'fixed': [mean] * len(results),
        'fixed, fitted': [fitted] * len(results),
    }
    draws = [odometry(truths, np.random.default_rng(draw)) for draw in range(_DRAWS)]
    return [_run(name, truths, poses, feed, draws) for name, feed in feeds.items()]


def _run(
    name: str,
    truths: Sequence[Array],
    poses: Sequence[Array | None],
    covariances: Sequence[Array],
    draws: Sequence[Sequence[Step]],
) -> Run:
    found = []
    for steps in draws:
        states = filtered(poses, covariances, steps)
        found.append([(s, truth) for s, truth in zip(states, truths, strict=True) if s is not None])
    errors = [[pose_residual(truth, s.world_from_cam) for s, truth in pairs] for pairs in found]
    normalized = [
        [mahalanobis2(error, s.covariance) for error, (s, _) in zip(each, pairs, strict=True)]
        for each, pairs in zip(errors, found, strict=True)
    ]
    deviations = [np.sqrt(np.diag(state.covariance)) for state, _ in found[0]]
    return Run(name, np.array(errors), np.array(normalized), np.array(deviations))
