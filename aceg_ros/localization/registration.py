"""Where one map lies in another: images that both know give pairs of poses, these a transform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import AlignmentError, ImageError, MapCodeError
from aceg_ros.geometry.poses import inverse, make_pose, skew, so3_exp, transform_points
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.localization.verification import NEAREST_RIGHT, RIGHT_DEG, RIGHT_PART
from aceg_ros.monitor import Monitor
from aceg_ros.pose.consistency import mahalanobis2, pose_residual
from aceg_ros.pose.frames import FrameAlignment, require_sure

Array = NDArray[np.float64]

_LEAST_PAIRS = 5  # that agree
_LEAST_PART = 0.6  # of the pairs, that agree
_MOST_SHIFT, _MOST_TURN = 0.1, 1.0  # m and degrees: deviation of the transform
_STEPS = 10


@dataclass(frozen=True)
class PosePair:
    """One image, localized in the first and in the second map."""

    first: Localization
    second: Localization


def localized_in_both(
    first: Localizer, second: Localizer, frames: Sequence[Frame], monitor: Monitor
) -> list[PosePair]:
    """The images that both maps know; those that cannot be read are left out.

    Raises MapCodeError where the unit of a map is not the meter: the scale may differ then.
    """
    if not (first.code.info.metric and second.code.info.metric):
        raise MapCodeError(
            'the unit of the maps is not known to be the meter, so that they cannot be aligned by '
            'images: give poses in meters, or in one frame (--same-frame)'
        )
    pairs: list[PosePair] = []
    for index, frame in enumerate(frames):
        monitor.report('align', index / len(frames), f'{len(pairs)} images known to both maps')
        try:
            image = frame.image()
        except ImageError:
            continue
        one = first.localize(image, frame.camera)
        if not isinstance(one, Localization):
            continue
        other = second.localize(image, frame.camera)
        if isinstance(other, Localization):
            pairs.append(PosePair(one, other))
    return pairs


def register(pairs: Sequence[PosePair], angular_error: float) -> FrameAlignment:
    """The transform that most pairs agree with, as right poses do, refined on all of these.

    Least squares with the covariances of the poses, after the pair whose own transform has the most
    supporters. The covariance grows by what the pairs scatter more than theirs say, and has
    ``angular_error`` (rad), that of both maps, which all pairs share. Raises AlignmentError when
    fewer than `_LEAST_PAIRS` pairs, or than `_LEAST_PART` of them, agree.
    """
    if len(pairs) < _LEAST_PAIRS:
        raise AlignmentError(
            f'{len(pairs)} images were localized in both maps, but {_LEAST_PAIRS} at least are '
            'needed: give images of what both maps show'
        )
    guesses = [p.first.world_from_cam @ inverse(p.second.world_from_cam) for p in pairs]
    supporters = [_agreeing(pairs, guess) for guess in guesses]
    best = int(np.argmax([chosen.sum() for chosen in supporters]))
    transform, chosen = guesses[best], supporters[best]
    for _ in range(_STEPS):
        _require_enough(chosen)
        center = np.mean(
            [p.first.world_from_cam[:3, 3] for p, use in zip(pairs, chosen, strict=True) if use],
            axis=0,
        )
        step, covariance = _step(pairs, chosen, transform, center)
        turn = make_pose(so3_exp(step[3:]), center + step[:3])
        transform = turn @ make_pose(np.eye(3), -center) @ transform
        before, chosen = chosen, _agreeing(pairs, transform)
        if np.abs(step).max() < 1e-9 and (before == chosen).all():
            break
    _require_enough(chosen)
    scene = float(np.median([pair.first.scene_distance for pair in pairs]))
    common = np.diag([(angular_error * scene) ** 2] * 3 + [angular_error**2] * 3)
    return FrameAlignment(transform, center, block_diag(covariance + common, 0.0), chosen)


def require_known(found: FrameAlignment, cameras: Array) -> None:
    """Raise AlignmentError where the transform is not known well at the cameras (K, 3).

    They are places in the first world, those of the second map's keyframes.
    """
    require_sure(found, cameras, _MOST_SHIFT, _MOST_TURN, 'the second map')


def _residual(pair: PosePair, transform: Array) -> tuple[Array, Array]:
    """Step (6,) from the pose in the first map to that in the second, and its covariance (6, 6)."""
    turn = np.kron(np.eye(2), transform[:3, :3])
    residual = pose_residual(transform @ pair.second.world_from_cam, pair.first.world_from_cam)
    return residual, pair.first.covariance + turn @ pair.second.covariance @ turn.T


def _agreeing(pairs: Sequence[PosePair], transform: Array) -> NDArray[np.bool_]:
    """Which pairs differ by no more than a right pose may."""
    agree = []
    for pair in pairs:
        residual, _ = _residual(pair, transform)
        scene = min(pair.first.scene_distance, pair.second.scene_distance)
        near = np.linalg.norm(residual[:3]) <= max(NEAREST_RIGHT, RIGHT_PART * scene)
        agree.append(near and np.linalg.norm(residual[3:]) <= np.radians(RIGHT_DEG))
    return np.array(agree, bool)


def _require_enough(chosen: NDArray[np.bool_]) -> None:
    if chosen.sum() < _LEAST_PAIRS or chosen.mean() < _LEAST_PART:
        raise AlignmentError(
            f'only {chosen.sum()} of {len(chosen)} images have poses in both maps that agree on '
            'how the maps lie: one of the maps is distorted, or places in them look alike; give '
            'other images, or map all images together'
        )


def _step(
    pairs: Sequence[PosePair], chosen: NDArray[np.bool_], transform: Array, center: Array
) -> tuple[Array, Array]:
    """One Gauss-Newton step (6,) about ``center``, and the covariance (6, 6) after it."""
    information, gradient = np.zeros((6, 6)), np.zeros(6)
    squares: list[float] = []
    for pair in (p for p, use in zip(pairs, chosen, strict=True) if use):
        residual, covariance = _residual(pair, transform)
        place = transform_points(transform, pair.second.world_from_cam[None, :3, 3])[0]
        slope = np.eye(6)
        slope[:3, 3:] = -skew(place - center)
        weighted = np.linalg.solve(covariance, slope)
        information += slope.T @ weighted
        gradient += weighted.T @ residual
        squares.append(mahalanobis2(residual, covariance) / 6)
    inverted = np.asarray(np.linalg.inv(information), np.float64)
    return -inverted @ gradient, max(float(np.mean(squares)), 1.0) * inverted
