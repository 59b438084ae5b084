"""Which keyframes see the same things from different places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aceg_ros.geometry.cameras import Camera
from aceg_ros.mapping.keyframes import Keyframe

_SAMPLES = 8  # per side of the grid of test rays
_LEAST_OVERLAP = 0.15
# Strangers are pairs of keyframes without any overlap.
_KNOWN = 0.1  # least part of all pairs that are strangers, so that it is known how alike they look
_FACING = 0.5  # overlap of keyframes that should see the same, unless there is a wall
_WALLS = 0.5  # there are walls if this part of such pairs or more look like strangers
_UNLIKE = 0.9  # with walls a neighbor looks more alike than this part of the strangers


@dataclass(frozen=True)
class ViewPairs:
    """What each pair (i, j) of K keyframes has in common."""

    overlap: np.ndarray  # (K, K) the part of i's view that j sees too
    parallax: np.ndarray  # (K, K) degrees
    alike: np.ndarray  # (K, K) bool, whether they look as if they saw the same


def compare_views(keyframes: Sequence[Keyframe], depth: float) -> ViewPairs:
    """Compare all pairs of keyframes at the distance ``depth``."""
    count = len(keyframes)
    overlap = np.zeros((count, count))
    poses = np.stack([keyframe.world_from_cam for keyframe in keyframes])
    groups = _by_camera(keyframes)
    for i, first in enumerate(keyframes):
        rays = first.patches.rays.numpy().astype(np.float64)
        rays = rays[np.isfinite(rays).all(axis=1)]
        rays = rays[:: max(1, len(rays) // _SAMPLES**2)]
        points = rays * depth @ first.world_from_cam[:3, :3].T + first.center
        for camera, members in groups.items():
            offset = points[None] - poses[members, None, :3, 3]
            in_view = np.einsum('kpj,kjc->kpc', offset, poses[members, :3, :3])
            seen = camera.project(in_view.reshape(-1, 3))
            with np.errstate(invalid='ignore'):
                inside = ((seen >= 0) & (seen < [camera.width, camera.height])).all(axis=1)
            overlap[i, members] = inside.reshape(len(members), -1).mean(axis=1)
    centers = np.stack([keyframe.center for keyframe in keyframes])
    baselines = np.linalg.norm(centers[:, None] - centers[None], axis=2)
    descriptors = np.stack([keyframe.descriptor for keyframe in keyframes])
    alike = _alike(descriptors @ descriptors.T, overlap)
    return ViewPairs(overlap, np.degrees(np.arctan(baselines / depth)), alike)


def _alike(cosine: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """Which pairs (K, K) see the same, as far as their descriptors tell; all where no walls are.

    The depths that would tell are not known yet. Keyframes on both sides of a wall look as unlike
    as strangers do. Half of the strangers have a cosine below their median, so about twice as many
    facing pairs as have one below it have a wall in between.
    """
    pairs = ~np.eye(len(overlap), dtype=bool)
    strangers = (overlap == 0) & (overlap.T == 0) & pairs
    facing = (overlap >= _FACING) & pairs
    if strangers.sum() < _KNOWN * pairs.sum() or not facing.any():
        return np.ones_like(pairs)
    behind_walls = 2.0 * float((cosine[facing] < np.median(cosine[strangers])).mean())
    if behind_walls < _WALLS:
        return np.ones_like(pairs)
    return np.asarray(cosine > np.quantile(cosine[strangers], _UNLIKE))


def _by_camera(keyframes: Sequence[Keyframe]) -> dict[Camera, list[int]]:
    groups: dict[Camera, list[int]] = {}
    for index, keyframe in enumerate(keyframes):
        groups.setdefault(keyframe.camera, []).append(index)
    return groups


def neighbors(
    pairs: ViewPairs, count: int, good_parallax: float, least: float = 0.0
) -> list[np.ndarray]:
    """For each keyframe up to ``count`` others to triangulate with, best first.

    ``good_parallax`` (degrees) is the one liked best, with a weight of 1; without parallax a view
    has the weight ``least``.
    """
    # a smooth preference: rises with parallax up to the good one, falls slowly beyond
    ratio = pairs.parallax / good_parallax
    value = pairs.overlap * (ratio * 2 / (1 + ratio**2)).clip(least)
    np.fill_diagonal(value, 0.0)
    value[(pairs.overlap < _LEAST_OVERLAP) | ~pairs.alike] = 0.0
    chosen = []
    for row in value:
        order = np.argsort(-row)
        useful = order[row[order] > 0.02]
        # of twice as many, every other: the best ones tend to be next to each other
        chosen.append(useful[: 2 * count : 2] if len(useful) >= 2 * count else useful[:count])
    return chosen
