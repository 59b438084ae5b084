"""Bundle adjustment of keyframes, corners on their rays, and cameras.

Triggs et al., Bundle Adjustment - A Modern Synthesis, 1999. The distances of corners are eliminated
first. The robust kernel is Geman and McClure's.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags, hstack

from aceg_ros.geometry.poses import make_pose, so3_exp, so3_log
from aceg_ros.mapping.intrinsics import DEVIATIONS, Intrinsics
from aceg_ros.mapping.tracks import Corners, Tracks
from aceg_ros.monitor import Monitor
from aceg_ros.pose.mounting import Mounting
from aceg_ros.pose.reprojection import Reprojection, Residuals

Array = NDArray[np.float64]
Rays = tuple[Array, Array]  # of the corners (P, 3) and of the tracks (M, 3), camera frames

_WIDTH = 3.0  # px, of the kernel
_MAX_STEPS = 15
_CONVERGED = 1e-3  # part of the cost that a step must save for another one
_DAMPING, _LESS, _MORE = 1e-4, 0.2, 10.0
_NEAREST = 0.2  # of its distance, that a step may bring a corner to
_TINY = 1e-9
_MOST_CHANGE = 20.0  # times `DEVIATIONS`
_DIFFERENCE = 1e-3  # of `DEVIATIONS`, by which derivatives are taken


@dataclass(frozen=True)
class State:
    """What is adjusted: K poses, the distances of P corners, and C cameras."""

    poses: Array  # (K, 4, 4) world_from_cam
    distances: Array  # (P,) along the rays of the corners
    # (C, 6) where cameras are, seen from where the poses given have them: map units and radians
    mounts: Array
    changes: Array  # (C, 5) of the calibrations, see `Intrinsics`


@dataclass(frozen=True)
class Trust:
    """How well is known what was given: one over deviations, in map units and radians."""

    poses: Array  # (6,) of each pose by itself
    mounts: Array  # (6,) of the camera's place and direction in what the poses are of


class Bundle:
    """Keyframes, corners and cameras, tied by what images show and by what was given.

    A step moves each keyframe by meters along the map's axes, then turns it about these by radians.
    It moves each corner along its ray, and adds to mounts and changes of the cameras that
    `Intrinsics.adjustable` names.
    """

    def __init__(
        self,
        corners: Corners,
        tracks: Tracks,
        intrinsics: Intrinsics,
        given: State,
        trust: Trust,
    ) -> None:
        """``given`` has the poses as given, and the changes that the rays now come with."""
        self._corners, self._tracks, self._intrinsics = corners, tracks, intrinsics
        self._given, self.trust = given.poses, trust
        self._own = corners.keyframe[tracks.corner]
        self._known = corners.known
        self._information = (corners.deviation * corners.known) ** -2.0
        self._corner_pixels = intrinsics.pixels(corners.rays, corners.keyframe, given.changes)
        self._track_pixels = intrinsics.pixels(tracks.rays, tracks.view, given.changes)
        self._last = given.changes, (corners.rays, tracks.rays)

    def placed(self, state: State) -> State:
        """The same with corners at the distances that fit the poses as they are."""
        rays = self.rays(state)
        for _ in range(_MAX_STEPS):
            residuals, _, slopes = self._linearized(state, rays)
            information, pull = self._of_distances(residuals, slopes, state.distances)
            distances = state.distances - pull / information
            distances = np.maximum(distances, _NEAREST * state.distances)
            state = replace(state, distances=distances)
        return state

    def error(self, state: State) -> float:
        """Median reprojection error, px."""
        return float(np.median(np.sqrt(self._residuals(state, self.rays(state))[2].squared())))

    def rays(self, state: State) -> Rays:
        """Of corners and tracks with the calibrations of ``state``."""
        changes, rays = self._last
        if changes is not state.changes:  # which every step makes anew that changes them
            changes = state.changes
            rays = (
                self._intrinsics.rays(self._corner_pixels, self._corners.keyframe, changes),
                self._intrinsics.rays(self._track_pixels, self._tracks.view, changes),
            )
            self._last = changes, rays
        return rays

    def trusting(self, trust: Trust) -> Bundle:
        """The same where what was given is known so well."""
        result = copy(self)
        result.trust = trust
        return result

    def moved_off(self, state: State) -> float:
        """How far poses are from those given: the sum of squared deviations."""
        return float((self._off_given(state)[: 6 * len(state.poses)] ** 2).sum())

    def solved(self, state: State, calibrate: bool, monitor: Monitor) -> State:
        """The best state, by Levenberg and Marquardt's method; changes only to ``calibrate``."""
        damping, cost = _DAMPING, self._cost(state)
        system = self._system(state, calibrate)
        for _ in range(_MAX_STEPS):
            monitor.check()
            try:
                moved = _moved(state, *system.step(damping))
            except LinAlgError:
                damping *= _MORE
                continue
            after = self._cost(moved)
            if not after < cost:
                damping *= _MORE
                continue
            saved, damping = cost - after, damping * _LESS
            state, cost = moved, after
            if saved < _CONVERGED * cost:
                break
            system = self._system(state, calibrate)
        return state

    def _system(self, state: State, calibrate: bool) -> _System:
        """The normal equations of a step from there."""
        rays = self.rays(state)
        residuals, by_poses, slopes = self._linearized(state, rays)
        information, pull = self._of_distances(residuals, slopes, state.distances)
        # What images show does not depend on mounts, what was given not on changes.
        seen = [by_poses, csr_matrix((len(residuals), state.mounts.size))]
        if calibrate:
            seen.append(self._by_changes(state, rays))
        jacobian = hstack(seen, format='csr')
        held, by_held = self._held(state, jacobian.shape[1])
        normal = (jacobian.T @ jacobian + by_held.T @ by_held).toarray()
        gradient = jacobian.T @ residuals + by_held.T @ held
        return _System(normal, gradient, information, pull, jacobian.T @ slopes)

    def _linearized(self, state: State, rays: Rays) -> tuple[Array, csr_matrix, csr_matrix]:
        """Weighted residuals (2 M,), their Jacobians by poses (2 M, 6 K) and distances (2 M, P)."""
        # A pixel that a changed lens does not reach has no ray: nan. One of length 0 shows nothing.
        rays = np.nan_to_num(rays[0]), np.nan_to_num(rays[1])
        arms, offsets, residuals = self._residuals(state, rays)
        factor = _factor(residuals)
        # (M, 2, 3); a rig that moves forward sees points move back.
        by_point = -(factor * residuals.jacobian()[:3]).transpose(2, 1, 0)
        by_own = np.concatenate([by_point, np.cross(arms[:, None], by_point)], axis=2)
        by_view = np.concatenate([-by_point, -np.cross(offsets[:, None], by_point)], axis=2)
        corner = self._tracks.corner
        by_distance = (by_point @ arms[:, :, None]) / state.distances[corner, None, None]
        rows, columns = 2 * len(arms), np.arange(6)
        pair = np.stack([self._own, self._tracks.view], axis=1)
        poses_of = np.repeat((6 * pair[:, :, None] + columns).reshape(-1, 12), 2, axis=0)
        jacobian = csr_matrix(
            (
                np.concatenate([by_own, by_view], axis=2).ravel(),
                poses_of.ravel(),
                np.arange(0, 12 * rows + 1, 12),
            ),
            shape=(rows, 6 * len(state.poses)),
        )
        slopes = csr_matrix(
            (by_distance.ravel(), np.repeat(corner, 2), np.arange(rows + 1)),
            shape=(rows, len(state.distances)),
        )
        return (factor * residuals.plane).T.ravel(), jacobian, slopes

    def _by_changes(self, state: State, rays: Rays) -> csr_matrix:
        """The Jacobian (2 M, 5 C) of the weighted residuals by changes, from differences."""
        (own, view), count = rays, len(DEVIATIONS)
        residuals = self._residuals(state, rays)[2]
        factor = _factor(residuals)
        values: list[Array] = []
        columns: list[NDArray[np.int64]] = []
        for number, step in enumerate(_DIFFERENCE * DEVIATIONS):
            changes = state.changes.copy()
            changes[:, number] += step
            own_after, view_after = self.rays(replace(state, changes=changes))
            # Two keyframes have a part in a residual, and may be of different cameras.
            parts = ((own_after, view), self._own), ((own, view_after), self._tracks.view)
            for after, keyframe in parts:
                plane = self._residuals(state, after)[2].plane
                slope = factor * (plane - residuals.plane) / step
                camera = self._intrinsics.of_keyframe[keyframe]
                slope[:, ~self._intrinsics.adjustable[camera]] = 0
                values.append(np.nan_to_num(slope).T.ravel())  # nan where a lens ends
                columns.append(np.repeat(count * camera + number, 2))
        rows = np.tile(np.arange(len(values[0])), len(values))
        return csr_matrix(
            (np.concatenate(values), (rows, np.concatenate(columns))),
            shape=(len(values[0]), state.changes.size),
        )

    def _of_distances(
        self, residuals: Array, slopes: csr_matrix, distances: Array
    ) -> tuple[Array, Array]:
        """Information (P,) on the distances, and the gradient (P,) of half the cost by them."""
        information = np.asarray(slopes.multiply(slopes).sum(axis=0)).ravel() + self._information
        gradient = slopes.T @ residuals + self._information * (distances - self._known)
        return np.maximum(information, _TINY), gradient

    def _cost(self, state: State) -> float:
        squared = self._residuals(state, self.rays(state))[2].squared()
        shown = _WIDTH**2 * (1 - 1 / (1 + squared / _WIDTH**2))
        held = self._off_given(state) ** 2
        measured = self._information * (state.distances - self._known) ** 2
        return float(shown.sum() + held.sum() + measured.sum())

    def _residuals(self, state: State, rays: Rays) -> tuple[Array, Array, Residuals]:
        """Corners seen from their own keyframe and from the view's (M, 3), map axes; residuals."""
        (own, seen), poses = rays, state.poses
        corner, view = self._tracks.corner, self._tracks.view
        towards = np.einsum('pij,pj->pi', poses[self._corners.keyframe, :3, :3], own)
        arms = (towards * state.distances[:, None])[corner]
        points3d = poses[self._own, :3, 3] + arms
        mounting = Mounting(poses, self._intrinsics.focals, view)
        residuals = Reprojection(seen, points3d, mounting).at(np.eye(4))
        return arms, points3d - poses[view, :3, 3], residuals

    def _off_given(self, state: State) -> Array:
        """How far poses, mounts and changes are off (6 K + 6 C + 5 C,), by deviations."""
        mounts, axes = state.mounts[self._intrinsics.of_keyframe], self._given[:, :3, :3]
        shifts = state.poses[:, :3, 3] - self._given[:, :3, 3]
        shifts -= np.einsum('kij,kj->ki', axes, mounts[:, :3])
        turns = state.poses[:, :3, :3] @ (axes @ so3_exp(mounts[:, 3:])).transpose(0, 2, 1)
        poses = np.hstack([shifts, so3_log(turns)]) * self.trust.poses
        others = state.mounts * self.trust.mounts, state.changes / DEVIATIONS
        return np.concatenate([part.ravel() for part in (poses, *others)])

    def _held(self, state: State, columns: int) -> tuple[Array, csr_matrix]:
        """`_off_given`, and its Jacobian by poses, mounts and, as ``columns`` say, changes."""
        count, cameras = len(state.poses), len(state.mounts)
        by_mounts = np.zeros((count, 6, cameras, 6))
        rows, own, axes = np.arange(count), self._intrinsics.of_keyframe, self._given[:, :3, :3]
        by_mounts[rows, :3, own, :3] = by_mounts[rows, 3:, own, 3:] = -axes
        by_mounts *= self.trust.poses[:, None, None]
        by_mounts[:, :, ~self._intrinsics.adjustable] = 0
        weights = [
            np.tile(self.trust.poses, count),
            np.tile(self.trust.mounts, cameras),
            np.tile(1 / DEVIATIONS, cameras),
        ]
        jacobian = diags(np.concatenate(weights), format='lil')
        jacobian[: 6 * count, 6 * count : 6 * (count + cameras)] = by_mounts.reshape(6 * count, -1)
        held = jacobian.tocsr()[:, :columns]
        return self._off_given(state), held


@dataclass(frozen=True)
class _System:
    """Normal equations of F numbers of poses and cameras, and of P distances."""

    normal: Array  # (F, F)
    gradient: Array  # (F,)
    information: Array  # (P,) of the distances
    pull: Array  # (P,) gradient
    mixed: csr_matrix  # (F, P) of both

    def step(self, damping: float) -> tuple[Array, Array]:
        """Of poses and cameras (F,), and of the distances (P,) which are eliminated first.

        Raises LinAlgError where the equations have no solution.
        """
        information = self.information * (1 + damping)
        scaled = self.mixed @ diags(1 / information)
        reduced = self.normal - (scaled @ self.mixed.T).toarray()
        reduced[np.diag_indices_from(reduced)] += damping * np.diag(self.normal)
        known = scaled @ self.pull - self.gradient
        step = cho_solve(cho_factor(reduced, overwrite_a=True), known)
        return step, -(self.pull + self.mixed.T @ step) / information


def _factor(residuals: Residuals) -> Array:
    """Square roots (M,) of the kernel's weights."""
    return np.asarray(1 / (1 + residuals.squared() / _WIDTH**2))


def _moved(state: State, step: Array, along: Array) -> State:
    """After a step (F,) of poses, mounts and maybe calibrations, and one of distances (P,)."""
    poses, mounts, changes = state.poses, state.mounts, state.changes
    each, mount, change = np.split(step, [6 * len(poses), 6 * len(poses) + mounts.size])
    each = each.reshape(-1, 6)
    poses = make_pose(so3_exp(each[:, 3:]) @ poses[:, :3, :3], poses[:, :3, 3] + each[:, :3])
    mounts = mounts + mount.reshape(mounts.shape)
    if len(change):
        most = _MOST_CHANGE * DEVIATIONS
        changes = (changes + change.reshape(changes.shape)).clip(-most, most)
    distances = np.maximum(state.distances + along, _NEAREST * state.distances)
    return State(poses, distances, mounts, changes)
