"""What a pose rests on, drawn into the image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.localization.result import Localization, LocalizationFailure

Image = NDArray[np.uint8]

_GOOD, _BAD = (60, 220, 80), (240, 70, 60)
_SEEN = (255, 210, 60)
_SHIFT = 4  # bits after the point of coordinates given to OpenCV


def draw(
    image: Image, camera: Camera, answer: Localization | LocalizationFailure, words: str, good: bool
) -> Image:
    """Copy of an RGB image (H, W, 3) with its inliers and where the map puts them at the pose.

    A dot is what the image shows, the ring at the end of its line what the pose makes of it.
    ``words`` are written above; all is red unless ``good``.
    """
    drawn = image.copy()
    color = _GOOD if good else _BAD
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
    _write(drawn, words, color)
    return drawn


def _fixed(points2d: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pixels (N, 2) as OpenCV takes fractions of them."""
    return [(int(x), int(y)) for x, y in np.round(points2d * (1 << _SHIFT))]


def _write(image: Image, words: str, color: tuple[int, int, int]) -> None:
    """Write one line at the top, shrunk to the image's width; OpenCV has ASCII only."""
    words = words.encode('ascii', 'replace').decode()
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, _), _ = cv2.getTextSize(words, font, 1.0, 1)
    scale = min(0.9 * image.shape[1] / max(width, 1), image.shape[0] / 480)
    (_, height), base = cv2.getTextSize(words, font, scale, 1)
    cv2.rectangle(image, (0, 0), (image.shape[1], height + 2 * base), (0, 0, 0), -1)
    cv2.putText(image, words, (base, height + base), font, scale, color, 1, cv2.LINE_AA)
