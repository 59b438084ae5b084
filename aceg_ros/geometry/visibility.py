"""Which points a camera sees: those in its image, but for those that nearer ones hide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera

Array = NDArray[np.float64]

_HIDDEN = 1.25  # farther than the nearest point of its cell by this factor: behind it


@dataclass(frozen=True)
class VisiblePoints:
    """Some of N points, as a camera sees them."""

    index: NDArray[np.intp]  # (n,) which they are
    pixels: Array  # (n, 2) px
    distance: Array  # (n,) from the camera
    cell: NDArray[np.intp]  # (n,) in which they are, counted row by row
    cells: int  # in the image


def visible_points(
    points: Array, world_from_cam: Array, camera: Camera, cell_px: float
) -> VisiblePoints:
    """Those of ``points`` (N, 3) that a camera at a pose sees.

    The image is parted into square cells. In each the nearest points are seen, as if they were the
    surface that hides what is behind.
    """
    local = (points - world_from_cam[:3, 3]) @ world_from_cam[:3, :3]
    pixels = np.nan_to_num(camera.project(local), nan=-1e6)
    # Pixel centers are whole numbers, so that the image begins at -0.5.
    x, y = (pixels + 0.5).T
    index = np.flatnonzero((x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height))
    distance = np.linalg.norm(local[index], axis=1)
    columns, rows = (int(np.ceil(side / cell_px)) for side in (camera.width, camera.height))
    cell = (y[index] // cell_px).astype(int) * columns + (x[index] // cell_px).astype(int)
    nearest = np.full(rows * columns, np.inf)
    np.minimum.at(nearest, cell, distance)
    seen = distance < _HIDDEN * nearest[cell]
    index = index[seen]
    return VisiblePoints(index, pixels[index], distance[seen], cell[seen], rows * columns)
