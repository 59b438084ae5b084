"""What a pose rests on, drawn into the image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.ros.debug_image import BAD, GOOD

Image = NDArray[np.uint8]

_SEEN = (255, 210, 60)
_SHIFT = 4  # bits after the point of coordinates given to OpenCV


def draw(
    image: Image, camera: Camera, answer: Localization | LocalizationFailure, good: bool
) -> Image:
    """Copy of an RGB image (H, W, 3) with its inliers and where the map puts them at the pose.

    A dot is what the image shows, the ring at the end of its line what the pose makes of it. Lines
    and rings are red unless ``good``.
    """
    drawn = image.copy()
    color = GOOD if good else BAD
    radius = max(2, round(camera.width / 200))
    if isinstance(answer, Localization):
        seen = answer.points2d[answer.inliers]
        points_cam = transform_points(
            inverse(answer.world_from_cam), answer.points3d[answer.inliers]
        )
        expected = camera.project(points_cam)
        known = np.isfinite(expected).all(axis=1)
        for here, there in zip(_fixed(seen[known]), _fixed(expected[known]), strict=True):
            cv2.line(drawn, here, there, color, 1, cv2.LINE_AA, _SHIFT)
            cv2.circle(drawn, there, radius << _SHIFT, color, 1, cv2.LINE_AA, _SHIFT)
            cv2.circle(drawn, here, (radius << _SHIFT) // 2, _SEEN, -1, cv2.LINE_AA, _SHIFT)
    return drawn


def _fixed(points2d: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pixels (N, 2) as OpenCV takes fractions of them."""
    return [(int(x), int(y)) for x, y in np.round(points2d * (1 << _SHIFT))]
