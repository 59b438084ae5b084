"""What a depth camera measures, held against a pose.

A photograph of a place has all that an image of the place has, but not its depth. Nor has another
place that looks alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import ImageError, MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.depth import smooth_depth
from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.localization.result import Localization
from aceg_ros.maps.code import MapCode

# Pixels around an inlier, of the image as given.
_AROUND = np.array([(x, y) for y in (-2.0, 0.0, 2.0) for x in (-2.0, 0.0, 2.0)])


def check_depth(depth: NDArray[np.floating], camera: Camera) -> None:
    """Raise ImageError for what is no depth image, in meters, of a camera."""
    if not isinstance(depth, np.ndarray) or depth.dtype.kind != 'f':
        raise ImageError('depth has to be an array of meters in floating point: divide millimeters')
    if depth.shape != (camera.height, camera.width):
        raise ImageError(
            f'depth of shape {depth.shape} does not go with images of {camera.width}x'
            f'{camera.height}: register it to the camera of the images'
        )


def require_meters(code: MapCode, name: str) -> None:
    """Raise MapCodeError where depth cannot be compared with lengths of a map called ``name``."""
    if not code.info.metric:
        raise MapCodeError(
            f'lengths of {name} are not meters, so that measured depth cannot be compared with '
            'them: localize without depth, or in maps made with poses in meters'
        )


def depth_ratios(
    found: Localization,
    depths: Sequence[NDArray[np.float32] | None],
    rig_from_cam: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Measured depths (M,) of the inliers that have one, each as a part of that at the pose.

    ``depths`` are of the images as given, each (H, W) meters along z, 0 where unknown; their
    cameras are at ``rig_from_cam`` (V, 4, 4). Depth at edges does not count.
    """
    ratios = [np.zeros(0)]
    for number, depth in enumerate(depths):
        if depth is None:
            continue
        rows = found.inliers.copy()
        if found.cameras is not None:
            rows &= found.cameras == number
        world_from_cam = found.world_from_cam @ rig_from_cam[number]
        z = transform_points(inverse(world_from_cam), found.points3d[rows])[:, 2]
        measured = smooth_depth(depth, found.points2d[rows][:, None] + _AROUND)
        known = (measured > 0) & (z > 0)
        ratios.append(measured[known] / z[known])
    return np.concatenate(ratios)
