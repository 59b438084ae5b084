"""Poses of keyframes, adjusted to what their images show.

Poses that a robot's SLAM gives drift by centimeters. Depths are then found from poses that do not
fit each other, and a map from views that nobody had is wrong by far more than that. Where the
images say so, all keyframes and corners move together until they agree (bundle adjustment, Triggs
et al., Bundle Adjustment - A Modern Synthesis, 1999). What the images do not tell stays as given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags

from aceg_ros.geometry.poses import make_pose, pose_error, so3_exp, so3_log
from aceg_ros.mapping.keyframes import Keyframe
from aceg_ros.mapping.options import AdjustmentOptions
from aceg_ros.mapping.sweep import Candidates
from aceg_ros.mapping.tracks import Corners, Tracks, find_corners, find_tracks
from aceg_ros.mapping.views import ViewPairs, neighbors
from aceg_ros.monitor import Monitor
from aceg_ros.pose.mounting import Mounting
from aceg_ros.pose.reprojection import Reprojection, Residuals

Array = NDArray[np.float64]

_MIN_TRACKS = 20  # of each keyframe, on average
# Samples searched, similarity wanted and parallax liked best (deg), as poses get better.
_ROUNDS = ((6, 0.7, 14.0), (6, 0.75, 14.0), (4, 0.8, 25.0))
_WIDTH = 3.0  # px, of Geman and McClure's kernel
_MAX_STEPS = 15
_CONVERGED = 1e-3  # part of the cost that a step must save for another one
_DAMPING, _LESS, _MORE = 1e-4, 0.2, 10.0
_NEAREST = 0.2  # of its distance, that a step may bring a corner to
_TINY = 1e-9


@dataclass(frozen=True)
class Adjustment:
    """Keyframes at adjusted poses, and what that was good for."""

    keyframes: list[Keyframe]
    note: str  # for people


def adjust_poses(
    keyframes: Sequence[Keyframe],
    candidates: Candidates,
    pairs: ViewPairs,
    depth: float,
    options: AdjustmentOptions,
    min_corner: float,
    monitor: Monitor,
) -> Adjustment | None:
    """Keyframes at poses that fit the images; None where those given do, or nothing tells.

    ``pairs`` compares the keyframes at the median ``depth`` of the scene, and ``candidates`` tell
    first depths. ``min_corner`` is that of `LandmarkOptions`. Raises FitCancelled on request.
    """
    if not options.enabled:
        return None
    given = np.stack([keyframe.world_from_cam for keyframe in keyframes])
    corners = find_corners(keyframes, candidates, options.corners, min_corner)
    focals = np.array([keyframe.camera.focal for keyframe in keyframes])
    poses, before_px, after_px, weight = given, 0.0, 0.0, np.zeros(6)
    for number, (reach, min_similarity, parallax) in enumerate(_ROUNDS):
        monitor.report('adjust', number / len(_ROUNDS), f'round {number + 1} of {len(_ROUNDS)}')
        others = neighbors(pairs, options.views, parallax)
        tracks = find_tracks(keyframes, poses, corners, others, reach, min_similarity)
        if len(tracks.corner) < _MIN_TRACKS * len(keyframes):
            return None
        bundle = _Bundle(corners, tracks, focals, given)
        distances = corners.distances
        if number == 0:
            distances = bundle.placed(poses, distances)
            before_px = bundle.error(poses, distances)
            off = options.pose_deviation * before_px / float(np.median(focals))
            weight = 1 / np.maximum(np.repeat([off * depth, off], 3), _TINY)
        poses, distances = bundle.solved(poses, distances, weight, monitor)
        after_px = bundle.error(poses, distances)
        if number == 0 and after_px > options.worth * before_px:
            return None
        corners = replace(corners, distances=distances)
    shifts, turns = pose_error(poses, given)
    note = (
        'poses: they did not fit each other and were adjusted, by '
        f'{100 * np.median(shifts) / depth:.2g} % of the distance to the scene and '
        f'{np.median(turns):.2g} degrees; reprojection error {before_px:.2g} -> {after_px:.2g} px'
    )
    moved = zip(keyframes, poses, strict=True)
    return Adjustment([replace(keyframe, world_from_cam=pose) for keyframe, pose in moved], note)


class _Bundle:
    """Keyframes and corners, tied by what the images show and by the poses as given.

    A step moves each keyframe by meters along the map's axes, then turns it about these by radians,
    and moves each corner along its ray.
    """

    def __init__(self, corners: Corners, tracks: Tracks, focals: Array, given: Array) -> None:
        self._corners, self._tracks, self._focals, self._given = corners, tracks, focals, given
        self._own = corners.keyframe[tracks.corner]
        self._known = corners.known
        self._information = (corners.deviation * corners.known) ** -2.0

    def placed(self, poses: Array, distances: Array) -> Array:
        """Distances (P,) of the corners with the poses as they are."""
        for _ in range(_MAX_STEPS):
            residuals, _, slopes = self._linearized(poses, distances)
            information, pull = self._of_distances(residuals, slopes, distances)
            distances = np.maximum(distances - pull / information, _NEAREST * distances)
        return distances

    def error(self, poses: Array, distances: Array) -> float:
        """Median reprojection error, px."""
        return float(np.median(np.sqrt(self._squared(poses, distances))))

    def solved(
        self, poses: Array, distances: Array, weight: Array, monitor: Monitor
    ) -> tuple[Array, Array]:
        """Poses (K, 4, 4) and distances (P,) by Levenberg and Marquardt's method.

        ``weight`` (6,) is one over the deviation of the poses given, in map units and radians.
        """
        damping, cost = _DAMPING, self._cost(poses, distances, weight)
        system = self._system(poses, distances, weight)
        for _ in range(_MAX_STEPS):
            monitor.check()
            try:
                step, along = system.step(damping)
            except LinAlgError:
                damping *= _MORE
                continue
            moved = _moved(poses, step)
            placed = np.maximum(distances + along, _NEAREST * distances)
            after = self._cost(moved, placed, weight)
            if after >= cost:
                damping *= _MORE
                continue
            saved, damping = cost - after, damping * _LESS
            poses, distances, cost = moved, placed, after
            if saved < _CONVERGED * cost:
                break
            system = self._system(poses, distances, weight)
        return poses, distances

    def _system(self, poses: Array, distances: Array, weight: Array) -> _System:
        """The normal equations of a step from there."""
        residuals, jacobian, slopes = self._linearized(poses, distances)
        information, pull = self._of_distances(residuals, slopes, distances)
        normal = (jacobian.T @ jacobian).toarray()
        normal[np.diag_indices_from(normal)] += np.tile(weight**2, len(poses))
        gradient = jacobian.T @ residuals + (self._off_given(poses) * weight**2).ravel()
        return _System(normal, gradient, information, pull, jacobian.T @ slopes)

    def _linearized(self, poses: Array, distances: Array) -> tuple[Array, csr_matrix, csr_matrix]:
        """Weighted residuals (2 M,), their Jacobians by poses (2 M, 6 K) and distances (2 M, P)."""
        arms, offsets, residuals = self._residuals(poses, distances)
        factor = 1 / (1 + residuals.squared() / _WIDTH**2)
        # (M, 2, 3); a rig that moves forward sees points move back.
        by_point = -(factor * residuals.jacobian()[:3]).transpose(2, 1, 0)
        by_own = np.concatenate([by_point, np.cross(arms[:, None], by_point)], axis=2)
        by_view = np.concatenate([-by_point, -np.cross(offsets[:, None], by_point)], axis=2)
        by_distance = (by_point @ arms[:, :, None]) / distances[self._tracks.corner, None, None]
        rows, columns = 2 * len(arms), np.arange(6)
        pair = np.stack([self._own, self._tracks.view], axis=1)
        poses_of = np.repeat((6 * pair[:, :, None] + columns).reshape(-1, 12), 2, axis=0)
        jacobian = csr_matrix(
            (
                np.concatenate([by_own, by_view], axis=2).ravel(),
                poses_of.ravel(),
                np.arange(0, 12 * rows + 1, 12),
            ),
            shape=(rows, 6 * len(poses)),
        )
        slopes = csr_matrix(
            (by_distance.ravel(), np.repeat(self._tracks.corner, 2), np.arange(rows + 1)),
            shape=(rows, len(distances)),
        )
        return (factor * residuals.plane).T.ravel(), jacobian, slopes

    def _of_distances(
        self, residuals: Array, slopes: csr_matrix, distances: Array
    ) -> tuple[Array, Array]:
        """Information (P,) on the distances, and the gradient (P,) of half the cost by them."""
        information = np.asarray(slopes.multiply(slopes).sum(axis=0)).ravel() + self._information
        gradient = slopes.T @ residuals + self._information * (distances - self._known)
        return np.maximum(information, _TINY), gradient

    def _cost(self, poses: Array, distances: Array, weight: Array) -> float:
        shown = _WIDTH**2 * (1 - 1 / (1 + self._squared(poses, distances) / _WIDTH**2))
        held = (self._off_given(poses) * weight) ** 2
        measured = self._information * (distances - self._known) ** 2
        return float(shown.sum() + held.sum() + measured.sum())

    def _squared(self, poses: Array, distances: Array) -> Array:
        """Squared reprojection errors (M,), px."""
        return self._residuals(poses, distances)[2].squared()

    def _residuals(self, poses: Array, distances: Array) -> tuple[Array, Array, Residuals]:
        """Corners seen from their own keyframe and from the view's (M, 3), map axes; residuals."""
        corner, view = self._tracks.corner, self._tracks.view
        arms = (self._corners.towards(poses) * distances[:, None])[corner]
        points3d = poses[self._own, :3, 3] + arms
        mounting = Mounting(poses, self._focals, view)
        residuals = Reprojection(self._tracks.rays, points3d, mounting).at(np.eye(4))
        return arms, points3d - poses[view, :3, 3], residuals

    def _off_given(self, poses: Array) -> Array:
        """Steps (K, 6) from the poses as given."""
        turns = poses[:, :3, :3] @ self._given[:, :3, :3].transpose(0, 2, 1)
        return np.hstack([poses[:, :3, 3] - self._given[:, :3, 3], so3_log(turns)])


@dataclass(frozen=True)
class _System:
    """Normal equations of K poses and P distances."""

    normal: Array  # (6 K, 6 K) of the poses
    gradient: Array  # (6 K,)
    information: Array  # (P,) of the distances
    pull: Array  # (P,) gradient
    mixed: csr_matrix  # (6 K, P) of both

    def step(self, damping: float) -> tuple[Array, Array]:
        """Of the poses (K, 6), and of the distances (P,) which are eliminated first.

        Raises LinAlgError where the equations have no solution.
        """
        information = self.information * (1 + damping)
        scaled = self.mixed @ diags(1 / information)
        reduced = self.normal - (scaled @ self.mixed.T).toarray()
        reduced[np.diag_indices_from(reduced)] += damping * np.diag(self.normal)
        known = scaled @ self.pull - self.gradient
        step = cho_solve(cho_factor(reduced, overwrite_a=True), known)
        return step.reshape(-1, 6), -(self.pull + self.mixed.T @ step) / information


def _moved(poses: Array, step: Array) -> Array:
    return make_pose(so3_exp(step[:, 3:]) @ poses[:, :3, :3], poses[:, :3, 3] + step[:, :3])
