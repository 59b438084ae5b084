"""Scene points while recording, to show what has been seen; a map's own points are far better."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import transform_points
from aceg_ros.recording.recorder import Keyframe

Points = NDArray[np.float64]
Colors = NDArray[np.uint8]

_FEATURES = 1000
_JUDGED_WIDTH = 640  # px; features of larger images would only cost time
# Keyframes back that a new one is matched with: near ones look alike, far ones tell the depth.
_COMPARED = (1, 2, 4, 8)
_MIN_PARALLAX = np.radians(2.0)
_AGREEMENT = 0.08  # of the distance, within which a point is found twice
_MAX_ERROR = np.radians(0.25)  # between a point and the rays it comes from
_DEPTH_GRID = 24  # points along an image's width, where depth is known

_NOTHING: tuple[Points, Colors] = np.zeros((0, 3)), np.zeros((0, 3), np.uint8)


@dataclass(frozen=True)
class _View:
    center: NDArray[np.float64]  # (3,)
    rays: Points  # (N, 3) unit, world axes
    descriptors: NDArray[Any]  # (N, 32) uint8


class ScenePreview:
    """Points that three keyframes agree on, or that depth gives; the newest are kept.

    Two keyframes also agree on wrong matches along a line of sight, which would look like streaks.

    `cloud` has them, world (N, 3) meters and RGB (N, 3); it is replaced as a whole, so that another
    thread may read it.
    """

    def __init__(self, most: int = 20_000) -> None:
        """Keep at most `most` points."""
        self._most = most
        self._views: deque[_View] = deque(maxlen=max(_COMPARED))
        self._orb = cv2.ORB.create(_FEATURES)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
        self.cloud: tuple[Points, Colors] = _NOTHING

    def add(self, keyframe: Keyframe) -> None:
        """Add the points that a new keyframe brings."""
        if keyframe.depth is None:
            points, colors = self._match(keyframe)
        else:
            points, colors = _from_depth(keyframe, keyframe.depth)
        before = self.cloud
        self.cloud = (
            np.concatenate([before[0], points])[-self._most :],
            np.concatenate([before[1], colors])[-self._most :],
        )

    def _match(self, keyframe: Keyframe) -> tuple[Points, Colors]:
        image, camera = _shrunk(keyframe.image, keyframe.camera)
        features, descriptors = self._orb.detectAndCompute(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None
        )
        if len(features) == 0:
            return _NOTHING
        points2d = np.array([feature.pt for feature in features])
        rays = camera.rays(points2d)
        usable = np.isfinite(rays).all(axis=1)
        if not usable.any():
            return _NOTHING
        columns, rows = points2d[usable].astype(int).T
        pose = keyframe.world_from_cam
        view = _View(pose[:3, 3], rays[usable] @ pose[:3, :3].T, descriptors[usable])
        compared = [self._views[-back] for back in _COMPARED if back <= len(self._views)]
        self._views.append(view)
        if len(compared) < 2:
            return _NOTHING
        distances = np.stack([self._distances(view, other) for other in compared])
        nearest, farthest = np.sort(distances, axis=0)[:2]  # nan comes last
        agreed = farthest - nearest < _AGREEMENT * nearest
        along = (nearest + farthest)[agreed] / 2
        points = view.center + along[:, None] * view.rays[agreed]
        return points, image[rows[agreed], columns[agreed]]

    def _distances(self, view: _View, other: _View) -> NDArray[np.float64]:
        """Of the points that two views see, from the first, (N,); nan for rays without one."""
        matches = self._matcher.match(view.descriptors, other.descriptors)
        own = np.array([match.queryIdx for match in matches], dtype=int)
        theirs = np.array([match.trainIdx for match in matches], dtype=int)
        points, good = intersect(view.center, view.rays[own], other.center, other.rays[theirs])
        distances = np.full(len(view.rays), np.nan)
        distances[own[good]] = np.linalg.norm(points[good] - view.center, axis=1)
        return distances


def intersect(
    center_a: NDArray[np.float64], rays_a: Points, center_b: NDArray[np.float64], rays_b: Points
) -> tuple[Points, NDArray[np.bool_]]:
    """Points (N, 3) nearest to pairs of rays (N, 3) from two centers (3,), and which are good.

    A pair is good when it meets in front of both cameras, under an angle that tells the depth.
    """
    baseline = center_b - center_a
    cosine = (rays_a * rays_b).sum(axis=1)
    along_a, along_b = rays_a @ baseline, rays_b @ baseline
    with np.errstate(divide='ignore', invalid='ignore'):
        parting = 1.0 - cosine**2
        distance_a = (along_a - cosine * along_b) / parting
        distance_b = (cosine * along_a - along_b) / parting
        near_a = center_a + distance_a[:, None] * rays_a
        near_b = center_b + distance_b[:, None] * rays_b
        miss = np.linalg.norm(near_a - near_b, axis=1)
        good = (
            (np.arccos(np.clip(cosine, -1.0, 1.0)) > _MIN_PARALLAX)
            & (np.minimum(distance_a, distance_b) > 0)
            & (miss < _MAX_ERROR * (distance_a + distance_b))
        )
    return (near_a + near_b) / 2, good


def _from_depth(keyframe: Keyframe, measured: NDArray[np.float32]) -> tuple[Points, Colors]:
    height, width = keyframe.image.shape[:2]
    step = max(width // _DEPTH_GRID, 1)
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step].reshape(2, -1)
    depth = measured[rows, columns].astype(np.float64)
    rays = keyframe.camera.rays(np.stack([columns, rows], axis=1))
    known = (depth > 0) & np.isfinite(rays).all(axis=1) & (rays[:, 2] > 0)
    in_camera = rays[known] * (depth[known] / rays[known, 2])[:, None]
    points = transform_points(keyframe.world_from_cam, in_camera)
    return points, keyframe.image[rows[known], columns[known]]


def _shrunk(image: NDArray[np.uint8], camera: Camera) -> tuple[NDArray[np.uint8], Camera]:
    if camera.width <= _JUDGED_WIDTH:
        return image, camera
    size = _JUDGED_WIDTH, max(round(camera.height * _JUDGED_WIDTH / camera.width), 1)
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return shrunk.astype(np.uint8, copy=False), camera.scaled(*size)
