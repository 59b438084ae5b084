"""Where one frame lies in another, from places or poses that are known in both.

Least squares in closed form: Umeyama, Least-Squares Estimation of Transformation Parameters Between
Two Point Patterns, PAMI 1991, with rotations as further observations (Wahba's problem). Wrong pairs
are found by consensus. NumPy, float64; nothing here knows of maps or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from aceg_ros.errors import AlignmentError
from aceg_ros.geometry.poses import make_pose, project_rotation, skew

Array = NDArray[np.float64]

LEAST_PAIRS = 3  # that agree
_LEAST_PART = 0.6  # of the pairs, that agree
_TRIES = 300  # samples of pairs
_STEPS = 30
_EXPECTED_PART = 3.0  # usual deviation of a right pair: the tolerance over this ...
_EXPECTED_WEIGHT = 1.0  # ... as sure as if that many pairs had shown it
_BLOCKS = 8  # of neighboring pairs, whose errors may be alike
_SURE_SHIFT, _SURE_TURN = 0.5, 0.2  # of the tolerances: largest deviations of a transform
_SURE_SCALE = 0.03
_FREE_MARGIN = 3.0  # deviations that a scale must differ from 1 to be told of


@dataclass(frozen=True)
class FramePairs:
    """N places, or poses, each known in the old and in the new frame."""

    old: Array  # (N, 3)
    new: Array  # (N, 3)
    names: tuple[str, ...]  # of each pair, for people
    # (N, 3, 3) orientations in both frames of what is at the places; None where only places count
    old_turns: Array | None = None
    new_turns: Array | None = None

    @classmethod
    def of_poses(cls, old: Array, new: Array, names: Sequence[str]) -> FramePairs:
        """From poses (N, 4, 4) in both frames of the same things."""
        places = (np.asarray(poses, np.float64).reshape(-1, 4, 4) for poses in (old, new))
        first, second = places
        return cls(
            first[:, :3, 3], second[:, :3, 3], tuple(names), first[:, :3, :3], second[:, :3, :3]
        )

    def __len__(self) -> int:
        return len(self.old)

    def subset(self, index: Array | NDArray[np.bool_] | NDArray[np.int64]) -> FramePairs:
        """Those of an index or mask; without names."""
        turns = (None if t is None else t[index] for t in (self.old_turns, self.new_turns))
        return FramePairs(self.old[index], self.new[index], (), *turns)

    def places_only(self) -> FramePairs:
        """The same places without orientations."""
        return replace(self, old_turns=None, new_turns=None)


@dataclass(frozen=True)
class AlignmentOptions:
    """How two frames are compared."""

    tolerance: float = 0.2  # distance by which the two places of a right pair may differ, new frame
    tolerance_deg: float = 5.0  # the same for orientations
    scale: bool = False  # whether the frames may have different units
    level: bool = False  # whether only a turn about z and a shift along x and y are sought


@dataclass(frozen=True)
class FrameAlignment:
    """The transform between two frames, and how well it is known."""

    new_from_old: Array  # (4, 4), rigid; a place x is at new_from_old (scale x)
    center: Array  # (3,) in the new frame, in the middle of the pairs
    # (7, 7) of shift, turn and the logarithm of the scale about `center`, along the axes of the new
    # frame: its unit, rad, 1; zero for what was not sought
    covariance: Array
    agreeing: NDArray[np.bool_]  # (N,) which pairs agree with it
    scale: float = 1.0

    def std_at(self, points3d: Array) -> float:
        """Largest deviation by which any of the points (N, 3) of the new frame is off."""
        offsets = np.atleast_2d(points3d) - self.center
        parts = [np.hstack([np.eye(3), -skew(offset), offset[:, None]]) for offset in offsets]
        return float(np.sqrt(max(np.linalg.eigvalsh(p @ self.covariance @ p.T)[-1] for p in parts)))

    @property
    def turn_std(self) -> float:
        """Largest deviation of the rotation, degrees."""
        return float(np.degrees(np.sqrt(np.linalg.eigvalsh(self.covariance[3:6, 3:6])[-1])))

    @property
    def scale_std(self) -> float:
        """Deviation of the scale."""
        return float(self.scale * np.sqrt(self.covariance[6, 6]))

    def apply(self, points3d: Array) -> Array:
        """Points (N, 3) of the old frame in the new one."""
        return np.asarray(
            self.scale * points3d @ self.new_from_old[:3, :3].T + self.new_from_old[:3, 3]
        )

    def apply_to_poses(self, poses: Array) -> Array:
        """Poses (N, 4, 4) of the old frame in the new one."""
        turned = self.new_from_old[:3, :3] @ poses[:, :3, :3]
        return make_pose(turned, self.apply(poses[:, :3, 3]))


def align_frames(pairs: FramePairs, options: AlignmentOptions) -> FrameAlignment:
    """The transform that most pairs agree with, refined on all of these.

    The covariance is that of the pairs' own scatter. It is greater where neighboring pairs err
    alike, as those of a trajectory that drifts. Raises AlignmentError where pairs are too few or
    too alike to determine the transform, or do not agree on one.
    """
    _require_spread(pairs, options)
    best = _consensus(pairs, options)
    transform, agreeing = _settled(pairs, best, options)
    if agreeing.sum() < LEAST_PAIRS or agreeing.mean() < _LEAST_PART:
        raise AlignmentError(_disagreement(pairs, agreeing, options))
    chosen = pairs.subset(agreeing)
    _require_spread(chosen, options)
    center, covariance = _covariance(chosen, transform, options)
    return FrameAlignment(transform.pose, center, covariance, agreeing, transform.scale)


def free_scale(pairs: FramePairs, options: AlignmentOptions) -> tuple[float, float] | None:
    """How long a unit of the old frame is in the new one, and the deviation of that.

    None where the pairs do not tell that it differs from 1.
    """
    try:
        found = align_frames(pairs, replace(options, scale=True))
    except AlignmentError:
        return None
    certain = abs(found.scale - 1.0) > _FREE_MARGIN * found.scale_std
    return (found.scale, found.scale_std) if certain else None


def require_sure(
    found: FrameAlignment, places: Array, most_shift: float, most_turn: float, what: str
) -> None:
    """Raise AlignmentError where the transform is not known well at places (K, 3), new frame.

    Its deviation there may be ``most_shift`` (m) and ``most_turn`` (degrees); ``what`` names what
    would be moved by it.
    """
    shift = found.std_at(places)
    if shift > most_shift or found.turn_std > most_turn:
        raise AlignmentError(
            f'{what} may be off by {shift:.2g} m and {found.turn_std:.2g} degrees (standard '
            f'deviation), more than {most_shift:.2g} m and {most_turn:.2g} degrees: give more that '
            'is known in both frames, from places far apart'
        )
    if found.scale_std > _SURE_SCALE * found.scale:
        raise AlignmentError(
            f'the scale {found.scale:.3g} has a standard deviation of {found.scale_std:.2g}, more '
            f'than {100 * _SURE_SCALE:g} %: give places farther apart'
        )


def sure_limits(options: AlignmentOptions) -> tuple[float, float]:
    """Largest deviations of a transform: shift (unit of the new frame) and turn (degrees)."""
    return _SURE_SHIFT * options.tolerance, _SURE_TURN * options.tolerance_deg


@dataclass(frozen=True)
class _Similarity:
    turn: Array  # (3, 3)
    shift: Array  # (3,)
    scale: float

    @property
    def pose(self) -> Array:
        return make_pose(self.turn, self.shift)


def _axes(options: AlignmentOptions) -> slice:
    """The coordinates that count."""
    return slice(0, 2) if options.level else slice(0, 3)


def _require_spread(pairs: FramePairs, options: AlignmentOptions) -> None:
    """Raise AlignmentError where the pairs cannot determine the transform."""
    if len(pairs) < LEAST_PAIRS:
        raise AlignmentError(
            f'{len(pairs)} pairs are known in both frames, but {LEAST_PAIRS} at least are needed: '
            'give more, from places far apart'
        )
    if pairs.old_turns is not None and not options.scale:
        return
    new = pairs.new[:, _axes(options)]
    spread = np.linalg.svd(new - new.mean(axis=0), compute_uv=False) / np.sqrt(len(new))
    least = options.tolerance / _EXPECTED_PART
    if spread[0] < least:
        raise AlignmentError(
            f'all places are within {spread[0]:.2g} of each other, so that they tell neither a '
            'direction nor a scale: give places far apart'
        )
    if pairs.old_turns is None and not options.level and spread[1] < least:
        raise AlignmentError(
            'all places lie on one line, and the rest may turn about it: give places beside the '
            'line, poses instead of places, or seek only what is level (--level)'
        )


def _solved(
    pairs: FramePairs, options: AlignmentOptions, weights: tuple[float, float]
) -> _Similarity:
    """The transform with the least squares; ``weights`` of places and of orientations."""
    old_mean, new_mean = pairs.old.mean(axis=0), pairs.new.mean(axis=0)
    old, new = pairs.old - old_mean, pairs.new - new_mean
    if options.level:
        old, new = old * [1, 1, 0], new * [1, 1, 0]
    place, turns = new.T @ old, np.zeros((3, 3))
    if pairs.old_turns is not None and pairs.new_turns is not None:
        turns = (pairs.new_turns @ np.swapaxes(pairs.old_turns, 1, 2)).sum(axis=0)
    nearest = _nearest_turn_about_z if options.level else project_rotation
    spread = max(float((old**2).sum()), 1e-12)
    scale, turn = 1.0, nearest(turns if turns.any() else place)
    for _ in range(_STEPS if options.scale and turns.any() else 1):
        turn = nearest(scale * weights[0] * place + weights[1] / 2 * turns)
        if not options.scale:
            break
        before, scale = scale, max(float((turn * place).sum()) / spread, 1e-6)
        if abs(scale - before) < 1e-12:
            break
    shift = new_mean - scale * turn @ old_mean
    if options.level:
        shift[2] = 0.0
    return _Similarity(turn, shift, scale)


def _nearest_turn_about_z(matrix: Array) -> Array:
    angle = np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])
    return np.asarray(Rotation.from_euler('z', angle).as_matrix())


def _shifts(pairs: FramePairs, transform: _Similarity, options: AlignmentOptions) -> Array:
    """(N, 3) how far the places are from where the transform puts them."""
    shifts = pairs.new - (transform.scale * pairs.old @ transform.turn.T + transform.shift)
    if options.level:
        shifts[:, 2] = 0.0
    return shifts


def _misfit(pairs: FramePairs, transform: _Similarity, options: AlignmentOptions) -> Array:
    """(N,) the greater of both differences, over its tolerance."""
    misfit = np.linalg.norm(_shifts(pairs, transform, options), axis=1) / options.tolerance
    if pairs.old_turns is not None and pairs.new_turns is not None:
        chord = (pairs.new_turns - transform.turn @ pairs.old_turns).reshape(-1, 9)
        sine = np.linalg.norm(chord, axis=1) / np.sqrt(8.0)  # of half the angle
        degrees = np.degrees(2 * np.arcsin(np.minimum(sine, 1.0)))
        misfit = np.maximum(misfit, degrees / options.tolerance_deg)
    return np.asarray(misfit)


def _expected(options: AlignmentOptions) -> tuple[float, float]:
    """Usual deviations of a right pair."""
    return (
        options.tolerance / _EXPECTED_PART,
        np.radians(options.tolerance_deg) / _EXPECTED_PART,
    )


def _weights(std: tuple[float, float]) -> tuple[float, float]:
    return 1 / std[0] ** 2, 1 / std[1] ** 2


def _consensus(pairs: FramePairs, options: AlignmentOptions) -> _Similarity:
    """The transform of the few pairs that most others agree with."""
    size = 2 if pairs.old_turns is not None or options.level else 3
    if comb(len(pairs), size) <= _TRIES:
        samples = [np.array(sample) for sample in combinations(range(len(pairs)), size)]
    else:
        rng = np.random.default_rng(0)
        samples = [rng.choice(len(pairs), size, replace=False) for _ in range(_TRIES)]
    weights = _weights(_expected(options))
    tried = [_solved(pairs.subset(sample), options, weights) for sample in samples]
    costs = [np.minimum(_misfit(pairs, t, options) ** 2, 1.0).sum() for t in tried]
    return tried[int(np.argmin(costs))]


def _settled(
    pairs: FramePairs, transform: _Similarity, options: AlignmentOptions
) -> tuple[_Similarity, NDArray[np.bool_]]:
    """The transform refined on all that agree with it, first with some patience."""
    weights = _weights(_expected(options))
    agreeing = _misfit(pairs, transform, options) < 2.0
    for _ in range(_STEPS):
        if agreeing.sum() < 2:
            break
        transform = _solved(pairs.subset(agreeing), options, weights)
        now = _misfit(pairs, transform, options) < 1.0
        if (now == agreeing).all():
            break
        agreeing = now
    return transform, agreeing


def _covariance(
    pairs: FramePairs, transform: _Similarity, options: AlignmentOptions
) -> tuple[Array, Array]:
    """Center (3,) of the pairs in the new frame, and covariance (7, 7) of the transform there."""
    shifts, turns = _shifts(pairs, transform, options), np.zeros_like(pairs.old)
    if pairs.old_turns is not None and pairs.new_turns is not None:
        rest = pairs.new_turns @ np.swapaxes(transform.turn @ pairs.old_turns, 1, 2)
        turns = Rotation.from_matrix(rest).as_rotvec()
    places = transform.scale * pairs.old @ transform.turn.T + transform.shift
    center = pairs.new.mean(axis=0)
    free = [0, 1, 5] if options.level else [*range(6)]
    free += [6] * options.scale
    slopes = np.zeros((len(pairs), 6, 7))
    slopes[:, :3, :3] = np.eye(3)
    slopes[:, :3, 3:6] = [-skew(place) for place in places - center]
    slopes[:, :3, 6] = places - center
    counted = [*range(3)][_axes(options)]
    if pairs.old_turns is not None:
        slopes[:, 3:, 3:6] = np.eye(3)
        counted += [5] if options.level else [3, 4, 5]
    rows = np.array(counted)
    slopes = slopes[:, rows][:, :, free]
    residuals = np.hstack([shifts, turns])[:, rows]
    unknown = 1 - len(free) / max(residuals.size, len(free) + 1)  # part of the scatter that is left
    variances = np.ones(6)
    for part, expected in ((slice(0, 3), 0), (slice(3, 6), 1)):
        columns = (rows >= part.start) & (rows < part.stop)
        values = residuals[:, columns]
        weight = _EXPECTED_WEIGHT * columns.sum()
        squares = (values**2).sum() / unknown + weight * _expected(options)[expected] ** 2
        variances[part] = squares / max(values.size + weight, 1)
    weighted = slopes / variances[rows][None, :, None]
    information = np.einsum('nij,nik->jk', weighted, slopes)
    inverted = np.linalg.pinv(information, hermitian=True)
    gradients = np.einsum('nij,ni->nj', weighted, residuals)
    covariance = np.zeros((7, 7))
    covariance[np.ix_(free, free)] = _cluster_robust(gradients, inverted)
    return center, covariance


def _cluster_robust(gradients: Array, covariance: Array) -> Array:
    """The covariance (k, k), greater where neighboring pairs err in the same way.

    Sums of the gradients (N, k) over blocks of neighbors scatter as those of independent errors
    would, or more: the cluster-robust covariance, in no direction less than the plain one.
    """
    if len(gradients) < 3 * _BLOCKS:
        return covariance
    sums = np.stack([block.sum(axis=0) for block in np.array_split(gradients, _BLOCKS)])
    values, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(values.clip(0))
    scatter = root.T @ sums.T @ sums @ root * _BLOCKS / (_BLOCKS - 1)
    values, axes = np.linalg.eigh(scatter)
    grown = root @ axes * np.sqrt(values.clip(1.0))
    return np.asarray(grown @ grown.T)


def _disagreement(pairs: FramePairs, agreeing: NDArray[np.bool_], options: AlignmentOptions) -> str:
    """Why the pairs are refused, and what may be behind it."""
    words = (
        f'only {agreeing.sum()} of {len(pairs)} pairs agree on how the frames lie, to '
        f'{options.tolerance:g} m and {options.tolerance_deg:g} degrees'
    )

    def agree(pairs: FramePairs, options: AlignmentOptions) -> bool:
        try:
            _require_spread(pairs, options)
        except AlignmentError:
            return False
        _, agreeing = _settled(pairs, _consensus(pairs, options), options)
        return bool(agreeing.sum() > LEAST_PAIRS and agreeing.mean() >= _LEAST_PART)

    if pairs.old_turns is not None and agree(pairs.places_only(), options):
        return (
            f'{words}; the places alone do: the poses are of another body than the camera, or have '
            'other axes. Give how the camera is mounted on it (--mount)'
        )
    if not options.scale and agree(pairs, replace(options, scale=True)):
        return f'{words}; with another unit of length they do: give --scale'
    if options.level and agree(pairs, replace(options, level=False)):
        return f'{words}; tilted they do: the map is not level, align without --level'
    return (
        f'{words}: check that both name the same things and times, or allow more (--tolerance) '
        'where one of them is coarse'
    )
