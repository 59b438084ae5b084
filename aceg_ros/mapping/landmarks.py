"""Landmarks: corners whose distance other keyframes confirm to a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.landmarks.landmarks import SIDE, Landmarks
from aceg_ros.mapping.keyframes import Keyframe
from aceg_ros.mapping.options import LandmarkOptions
from aceg_ros.mapping.placement import MIN_FORWARD, place
from aceg_ros.mapping.sweep import Candidates
from aceg_ros.mapping.views import ViewPairs, neighbors
from aceg_ros.monitor import Monitor
from aceg_ros.threads import side_by_side

Array = NDArray[np.float64]

_NO_PARALLAX = 0.1  # weight of a view from the same spot
_MIN_SCORE = 0.3  # of a candidate whose depth starts a corner
_TRIES = 3.0  # corners tried per landmark wanted, and
_SPARE = 1.3  # those kept of each keyframe, because some keyframes have few
_CORNER_REACH = 4  # px around a patch's center that a corner is looked for in
_CORNER_WINDOW = 7  # px
_BORDER = _CORNER_REACH + SIDE  # px


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

    def landmarks_of(index: int) -> Landmarks:
        keyframe = keyframes[index]
        rays, distances, deviation = strong_corners(
            keyframe, index, candidates, int(_TRIES * share) + 1, options.min_corner
        )
        views = [keyframes[other] for other in others[index]]
        placed = _confirmed(
            keyframe, rays, distances, deviation, views, int(_SPARE * share) + 1, options
        )
        owner = np.full(len(placed[0]), index, np.uint16)
        angle = np.full(len(placed[0]), 1 / keyframe.camera.focal, np.float32)
        return Landmarks(placed[0].astype(np.float32), placed[1], owner, angle)

    found: list[Landmarks] = []
    for part in side_by_side(landmarks_of, range(len(keyframes))):
        monitor.report(
            'landmarks',
            len(found) / len(keyframes),
            f'keyframe {len(found) + 1} of {len(keyframes)}',
        )
        found.append(part)
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
    score = np.where(rays[:, 2] > MIN_FORWARD, around.max(axis=1), 0.0)
    best = np.argsort(-score)[:count]
    best = best[score[best] > min_corner]
    # Patches side by side may share a corner.
    best = best[np.sort(np.unique(corners[best], axis=0, return_index=True)[1])]
    near = np.flatnonzero(kept)[best]
    deviation = candidates.deviation[own].double().numpy()[near]
    return rays[best], np.linalg.norm(in_view[near], axis=1), deviation


def _confirmed(
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
    placed = place(keyframe, rays, distances, deviation, views, options)
    order = np.argsort(np.where(placed.good, -placed.confirming, 0), kind='stable')
    best = order[: min(count, int(placed.good.sum()))]
    return placed.points3d[best], placed.templates[best].round().astype(np.uint8)
