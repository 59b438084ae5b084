"""Points on the rays of a keyframe, placed where other keyframes show what it sees there.

Gray images tell to a fraction of a pixel what patch features tell to a part of a patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aceg_ros.landmarks.landmarks import SIDE
from aceg_ros.landmarks.templates import (
    Floats,
    PlanarPatches,
    facing_axes,
    find_planar_patches,
    normalized,
    sample_templates,
)
from aceg_ros.mapping.keyframes import Keyframe
from aceg_ros.mapping.options import LandmarkOptions
from aceg_ros.mapping.sweep import Candidates
from aceg_ros.mapping.views import ViewPairs, neighbors
from aceg_ros.monitor import Monitor

Array = NDArray[np.float64]
Counts = NDArray[np.signedinteger[Any]]

MIN_FORWARD = 0.25  # z of a ray: squares at the rim of a fisheye image are not flat in it
_BORDER = SIDE  # px from the rim of the image that a square needs
# Samples searched, similarity wanted and width of the robust kernel in px, as depths get better.
_ROUNDS = ((6, 0.7, 4.0), (4, 0.75, 1.5), (2, 0.8, 1.5))
_ROBUST_STEPS = 6


@dataclass(frozen=True)
class Placed:
    """N points on rays of a keyframe."""

    points3d: Array  # (N, 3) map frame
    confirming: Counts  # (N,) how many other keyframes show them there
    good: NDArray[np.bool_]  # (N,) whether these are enough, and tell how far the point is
    templates: Floats  # (N, SIDE, SIDE) what the keyframe shows


def place(
    keyframe: Keyframe,
    rays: Array,
    distances: Array,
    deviation: Array,
    views: Sequence[Keyframe],
    options: LandmarkOptions,
) -> Placed:
    """Place points along ``rays`` (N, 3), which are at about ``distances`` (N,).

    ``deviation`` (N,) is that of measured distances, as in `Candidates`.
    """
    measured = distances, deviation * distances
    pose, camera = keyframe.world_from_cam, keyframe.camera
    towards = rays @ pose[:3, :3].T
    angle = np.full(len(rays), 1 / camera.focal)
    centers = pose[:3, 3] + towards * distances[:, None]
    templates = sample_templates(
        keyframe.gray, camera, pose, centers, facing_axes(centers, pose, angle)
    )
    one_keyframe = np.zeros(len(rays), np.int64)
    for reach, min_similarity, width in _ROUNDS:
        axes = facing_axes(centers, pose, angle)
        squares = PlanarPatches(centers, axes, normalized(templates), one_keyframe)
        lines = _Lines(pose[:3, 3], towards, distances, measured)
        for view in views:
            seen = find_planar_patches(
                view.gray, view.camera, view.world_from_cam, squares, reach, min_similarity
            )
            lines.add(view, seen.index, seen.points2d)
        distances, confirming, deviation = lines.intersect(width, options.confirmed_px)
        centers = pose[:3, 3] + towards * distances[:, None]
    good = (confirming >= options.min_confirming) & (deviation < options.max_depth_std)
    return Placed(centers, confirming, good, templates)


def place_candidates(
    keyframes: Sequence[Keyframe],
    candidates: Candidates,
    chosen: torch.Tensor,
    pairs: ViewPairs,
    options: LandmarkOptions,
    good_parallax: float,
    monitor: Monitor,
) -> Candidates:
    """The candidates, of which the ``chosen`` (n,) are placed; those not confirmed stay.

    ``pairs`` and ``good_parallax`` are as for `make_landmarks`. Raises FitCancelled on request.
    """
    others = neighbors(pairs, options.views, good_parallax)
    points3d = candidates.points3d.clone()
    owner = candidates.keyframe[chosen]
    for index, keyframe in enumerate(keyframes):
        monitor.report('place', index / len(keyframes), f'keyframe {index + 1} of {len(keyframes)}')
        own = chosen[owner == index]
        offsets = points3d[own].double().numpy() - keyframe.center
        distances = np.linalg.norm(offsets, axis=1)
        rays = offsets / distances[:, None] @ keyframe.world_from_cam[:3, :3]
        height, width = keyframe.gray.shape
        pixels = keyframe.camera.project(rays)
        with np.errstate(invalid='ignore'):
            inside = (pixels >= _BORDER) & (pixels < [width - _BORDER, height - _BORDER])
        usable = np.flatnonzero(inside.all(axis=1) & (rays[:, 2] > MIN_FORWARD))
        deviation = candidates.deviation[own].double().numpy()
        placed = place(
            keyframe,
            rays[usable],
            distances[usable],
            deviation[usable],
            [keyframes[other] for other in others[index]],
            options,
        )
        kept = own[torch.from_numpy(usable[placed.good])]
        points3d[kept] = torch.from_numpy(placed.points3d[placed.good]).float()
    return replace(candidates, points3d=points3d)


class _Lines:
    """Rays of one keyframe, and the rays on which other keyframes see the same points."""

    def __init__(
        self, origin: Array, towards: Array, distances: Array, measured: tuple[Array, Array]
    ):
        """``measured``: distances (N,) and their standard deviations, inf where none was."""
        self._measured = measured
        self._origin, self._towards, self._distances = origin, towards, distances
        # residual in px of observation m at distance d of its ray: slope[m] d + offset[m]
        self._index: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._slope: list[Array] = [np.zeros((0, 3))]
        self._offset: list[Array] = [np.zeros((0, 3))]

    def add(self, view: Keyframe, index: NDArray[np.int64], points2d: Array) -> None:
        """Rays ``index`` (M,) are seen by ``view`` at ``points2d`` (M, 2)."""
        seen = view.camera.rays(points2d) @ view.world_from_cam[:3, :3].T
        points3d = self._origin + self._towards[index] * self._distances[index, None]
        per_meter = view.camera.focal / np.linalg.norm(points3d - view.center, axis=1)
        across = np.eye(3) - seen[:, :, None] * seen[:, None, :]
        across = across * per_meter[:, None, None]
        self._index.append(index)
        self._slope.append(np.einsum('mij,mj->mi', across, self._towards[index]))
        self._offset.append(across @ (self._origin - view.center))

    def intersect(self, width: float, confirmed_px: float) -> tuple[Array, Counts, Array]:
        """Distances (N,), numbers of confirming views (N,) and relative deviations (N,).

        Least squares with Geman and McClure's weights of a ``width`` in px. A measured distance
        counts as an observation more, beside views that are right to a pixel.
        """
        known, weight_known = self._measured[0], self._measured[1] ** -2.0
        index, count = np.concatenate(self._index), len(self._towards)
        slope, offset = np.concatenate(self._slope), np.concatenate(self._offset)
        distances = self._distances
        for _ in range(_ROBUST_STEPS):
            squared = ((slope * distances[index, None] + offset) ** 2).sum(axis=1)
            weights = 1 / (1 + squared / width**2) ** 2
            information = np.bincount(index, weights * (slope**2).sum(axis=1), count) + weight_known
            pull = weight_known * known - np.bincount(
                index, weights * (slope * offset).sum(axis=1), count
            )
            solved = pull / np.maximum(information, np.finfo(float).tiny)
            distances = np.where(solved > 0, solved, distances)
        confirming = np.bincount(index, squared < confirmed_px**2, count)
        deviation = 1 / np.sqrt(np.maximum(information, np.finfo(float).tiny)) / distances
        return distances, confirming, deviation
