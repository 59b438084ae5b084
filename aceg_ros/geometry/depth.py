"""Depth images of one camera as another camera sees them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Array, Camera
from aceg_ros.geometry.poses import transform_points

_MIN_FORWARD = 0.05  # z of a unit ray: depth along z says nothing about rays across
_EDGE = 0.05  # part of the depth
_WIDEST = 16  # px that a depth pixel may cover


def register_depth(
    depth: NDArray[np.float32],
    depth_camera: Camera,
    color_camera: Camera,
    color_from_depth: Array | None = None,
) -> NDArray[np.float32]:
    """Depth (H, W) of `color_camera` from the depth (h, w) of `depth_camera`, both along z.

    Values are meters, 0 where unknown; nan counts as unknown. `color_from_depth` (4, 4) takes
    points of the depth camera's frame to that of the color camera; None: the two are the same.
    Where several points fall on one pixel, the nearest is seen. A pixel of a coarse depth image
    covers as many pixels as it is wide; places that only the color camera sees stay 0. Raises
    ValueError when the depth is of another size than its camera.
    """
    if depth.shape != (depth_camera.height, depth_camera.width):
        raise ValueError(f'depth has shape {depth.shape}, not that of its camera')
    known = np.flatnonzero(np.isfinite(depth) & (depth > 0))
    points = _directions(depth_camera)[known] * depth.reshape(-1, 1)[known]
    if color_from_depth is not None:
        points = transform_points(color_from_depth, points)
    z = points[:, 2].astype(np.float32)
    # A pixel of the depth image covers side x side pixels, of which these are the first.
    side = min(int(np.ceil(color_camera.focal / depth_camera.focal - 1e-6)), _WIDEST)
    columns, rows = np.rint(color_camera.project(points).T - (side - 1) / 2)
    width, height = color_camera.width, color_camera.height
    nearest = np.full(height * width, np.inf, np.float32)
    for row in range(side):
        for column in range(side):
            x, y = columns + column, rows + row
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (z > 0)
            np.minimum.at(nearest, (y[inside] * width + x[inside]).astype(np.int64), z[inside])
    nearest[np.isinf(nearest)] = 0.0
    return nearest.reshape(height, width)


def smooth_depth(depth: NDArray[np.float32], around: Array) -> Array:
    """Mean depth (N,) of ``depth`` (H, W) at places, each given by A pixels (N, A, 2) around it.

    0 at holes, which nan and 0 are, and at edges: where half of the pixels or more are holes, or
    depths differ by more than 5 %. Pixels beyond the border count as those at the border.
    """
    height, width = depth.shape
    columns, rows = np.rint(np.moveaxis(around, 2, 0)).astype(np.int64)
    z = np.nan_to_num(depth, posinf=0.0)[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    known = z > 0
    low, high = np.where(known, z, np.inf).min(axis=1), z.max(axis=1)
    smooth = (known.mean(axis=1) > 0.5) & (high - low < _EDGE * low)
    mean = np.where(known, z, 0.0).sum(axis=1) / known.sum(axis=1).clip(1)
    return np.asarray(np.where(smooth, mean, 0.0), np.float64)


@lru_cache(maxsize=4)
def _directions(camera: Camera) -> Array:
    """Points (N, 3) at z = 1 that the pixels see, row by row; nan where depth says nothing."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    rays = camera.rays(np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64))
    forward = np.where(rays[:, 2] > _MIN_FORWARD, rays[:, 2], np.nan)
    directions = rays / forward[:, None]
    directions.setflags(write=False)
    return directions
