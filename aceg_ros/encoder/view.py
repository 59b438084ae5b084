"""Images at the sizes encoders work at, with the viewing rays of their patches."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.errors import ImageError
from aceg_ros.geometry.cameras import Camera

# Larger images are shrunk to this many pixels: 1.2 times VGA keeps time and memory bounded.
MAX_PIXELS = 640 * 480 * 1.2


def bounded_view(image: np.ndarray, camera: Camera) -> tuple[np.ndarray, Camera]:
    """``image`` (H, W, 3) uint8 RGB of at most `MAX_PIXELS`, and its camera at that size.

    Raises ImageError when the image is no such array or not of the camera's size.
    """
    _check(image, camera)
    scale = math.sqrt(MAX_PIXELS / (camera.width * camera.height))
    if scale >= 1:
        return image, camera
    width, height = round(camera.width * scale), round(camera.height * scale)
    return _resized(image, camera, width, height)


def cropped_view(
    image: np.ndarray, camera: Camera, short_side: int, multiple: int
) -> tuple[np.ndarray, Camera]:
    """``image`` (H, W, 3) uint8 RGB with its short side at ``short_side`` px, and its camera there.

    The right and bottom are then cut to multiples of ``multiple`` px. Raises ImageError as
    `bounded_view` does.
    """
    _check(image, camera)
    shorter = min(camera.width, camera.height)
    width, height = (short_side * side // shorter for side in (camera.width, camera.height))
    view, camera = _resized(image, camera, width, height)
    width, height = (side // multiple * multiple for side in (width, height))
    cut = Camera(camera.model, width, height, camera.K, camera.distortion)
    return np.ascontiguousarray(view[:height, :width]), cut


def full_size(points2d: np.ndarray, view: Camera, camera: Camera) -> np.ndarray:
    """Pixels (N, 2) of a view as pixels of the image it was made of, taken by ``camera``."""
    # The images' corners, not the centers of their first pixels, are in the same place.
    scale = camera.K[[0, 1], [0, 1]] / view.K[[0, 1], [0, 1]]
    return (points2d + 0.5) * scale - 0.5


def same_view(camera: Camera, other: Camera, view: Camera) -> Camera:
    """The camera of a view of an image by ``camera``, as ``view`` is of one by ``other``."""
    scale = view.K[[0, 1], [0, 1]] / other.K[[0, 1], [0, 1]]
    K = camera.K.copy()
    K[[0, 1], [0, 1]] *= scale
    K[:2, 2] = (K[:2, 2] + 0.5) * scale - 0.5
    return Camera(camera.model, view.width, view.height, K, camera.distortion)


def _resized(
    image: np.ndarray, camera: Camera, width: int, height: int
) -> tuple[np.ndarray, Camera]:
    if (width, height) == (camera.width, camera.height):
        return image, camera
    smoothing = cv2.INTER_AREA if width < camera.width else cv2.INTER_LINEAR
    resized = cv2.resize(image, (width, height), interpolation=smoothing)
    return np.asarray(resized), camera.scaled(width, height)


def _check(image: np.ndarray, camera: Camera) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ImageError(
            f'an image is (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}; '
            'convert it first (read_image does)'
        )
    if image.shape[:2] != (camera.height, camera.width):
        raise ImageError(
            f'the image is {image.shape[1]}x{image.shape[0]} px but its camera is calibrated for '
            f'{camera.width}x{camera.height}; give the calibration of this size (Camera.scaled)'
        )


@lru_cache(maxsize=64)
def patch_rays(camera: Camera, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Centers (P, 2) px and unit viewing rays (P, 3) of the patches of an image, row by row.

    Rays of patches outside the camera model's domain are nan.
    """
    centers = PatchFeatures.grid(camera.width // stride, camera.height // stride, stride)
    return centers, camera.rays(centers)
