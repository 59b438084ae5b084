"""Landmarks: corners whose distance other keyframes confirm to a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.landmarks.landmarks import SIDE, Landmarks
from aceg_ros.landmarks.templates import (
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

_NO_PARALLAX = 0.1  # weight of a view from the same spot
_MIN_SCORE = 0.3  # of a candidate whose depth starts a corner
_TRIES = 3.0  # corners tried per landmark wanted, and
_SPARE = 1.3  # those kept of each keyframe, because some keyframes have few
_CORNER_REACH = 4  # px around a patch's center that a corner is looked for in
_CORNER_WINDOW = 7  # px
_BORDER = _CORNER_REACH + SIDE  # px
_MIN_FORWARD = 0.25  # z of a ray: squares at the rim of a fisheye image are not flat in it
# Samples searched, similarity wanted and width of the robust kernel in px, as depths get better.
_ROUNDS = ((6, 0.7, 4.0), (4, 0.75, 1.5), (2, 0.8, 1.5))
_ROBUST_STEPS = 6


def make_landmarks(
    keyframes: Sequence[Keyframe],
    candidates: Candidates,
    pairs: ViewPairs,
    options: LandmarkOptions,
    good_parallax: float,
    seed: int,
    monitor: Monitor,
) -> Landmarks:
    """Up to ``options.count`` landmarks, a like number of each keyframe.

    ``pairs`` compares the keyframes; ``good_parallax`` (degrees) is that of `neighbors`.

    A corner near a candidate's patch is placed along its own ray where other keyframes, searched
    for what it looks like, say that it is.
    """
    # Where depth was measured, a view confirms a point without parallax too.
    least = _NO_PARALLAX if candidates.any_measured else 0.0
    others = neighbors(pairs, options.views, good_parallax, least)
    share = options.count / len(keyframes)
    found = []
    for index, keyframe in enumerate(keyframes):
        monitor.report(
            'landmarks', index / len(keyframes), f'keyframe {index + 1} of {len(keyframes)}'
        )
        rays, distances, deviation = strong_corners(
            keyframe, index, candidates, int(_TRIES * share) + 1, options.min_corner
        )
        views = [keyframes[other] for other in others[index]]
        placed = _place(
            keyframe, rays, distances, deviation, views, int(_SPARE * share) + 1, options
        )
        owner = np.full(len(placed[0]), index, np.uint16)
        angle = np.full(len(placed[0]), 1 / keyframe.camera.focal, np.float32)
        found.append(Landmarks(placed[0].astype(np.float32), placed[1], owner, angle))
    together = Landmarks(
        np.concatenate([part.points3d for part in found]),
        np.concatenate([part.templates for part in found]),
        np.concatenate([part.keyframe for part in found]),
        np.concatenate([part.angle for part in found]),
    )
    chosen = np.random.default_rng(seed).permutation(len(together))[: options.count]
    return together.subset(np.sort(chosen))


def strong_corners(
    keyframe: Keyframe, index: int, candidates: Candidates, count: int, min_corner: float
) -> tuple[Array, Array, Array]:
    """Rays (N, 3) of the best corners of keyframe ``index`` near its candidates.

    Also first distances (N,), and their deviations (N,) as in `Candidates`.
    """
    own = (candidates.keyframe == index) & (candidates.score > _MIN_SCORE)
    points3d = candidates.points3d[own].double().numpy()
    in_view = transform_points(inverse(keyframe.world_from_cam), points3d)
    pixels = keyframe.camera.project(in_view)
    height, width = keyframe.gray.shape
    with np.errstate(invalid='ignore'):
        inside = (pixels >= _BORDER) & (pixels < [width - _BORDER - 1, height - _BORDER - 1])
    kept = inside.all(axis=1)
    # Noise has corners too, smaller than a little blur.
    strength = cv2.cornerMinEigenVal(
        cv2.GaussianBlur(keyframe.gray.astype(np.float32), (0, 0), 0.7), _CORNER_WINDOW
    )
    side = 2 * _CORNER_REACH + 1
    windows = sliding_window_view(strength, (side, side))
    first = np.round(pixels[kept]).astype(int) - _CORNER_REACH
    around = windows[first[:, 1], first[:, 0]].reshape(-1, side**2)
    row, column = np.divmod(around.argmax(axis=1), side)
    corners = (first + np.stack([column, row], axis=1)).astype(np.float64)
    rays = keyframe.camera.rays(corners)
    score = np.where(rays[:, 2] > _MIN_FORWARD, around.max(axis=1), 0.0)
    best = np.argsort(-score)[:count]
    best = best[score[best] > min_corner]
    # Patches side by side may share a corner.
    best = best[np.sort(np.unique(corners[best], axis=0, return_index=True)[1])]
    near = np.flatnonzero(kept)[best]
    deviation = candidates.deviation[own].double().numpy()[near]
    return rays[best], np.linalg.norm(in_view[near], axis=1), deviation


def _place(
    keyframe: Keyframe,
    rays: Array,
    distances: Array,
    deviation: Array,
    views: Sequence[Keyframe],
    count: int,
    options: LandmarkOptions,
) -> tuple[Array, NDArray[np.uint8]]:
    """The best confirmed corners, at most ``count``: points (N, 3) and their templates.

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
    best = np.argsort(np.where(good, -confirming, 0), kind='stable')[: min(count, good.sum())]
    return centers[best], templates[best].round().astype(np.uint8)


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

    def intersect(
        self, width: float, confirmed_px: float
    ) -> tuple[Array, NDArray[np.signedinteger[Any]], Array]:
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
