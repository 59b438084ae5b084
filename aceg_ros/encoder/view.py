"""An image at the size the encoder works at, with the viewing rays of its patches."""

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


def working_view(image: np.ndarray, camera: Camera) -> tuple[np.ndarray, Camera]:
    """``image`` (H, W, 3) uint8 RGB as the encoder takes it, and its camera at that size.

    Raises ImageError when the image is no such array or not of the camera's size.
    """
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
    scale = math.sqrt(MAX_PIXELS / (camera.width * camera.height))
    if scale >= 1:
        return image, camera
    width, height = round(camera.width * scale), round(camera.height * scale)
    smaller = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller), camera.scaled(width, height)


@lru_cache(maxsize=64)
def patch_rays(camera: Camera, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres (P, 2) px and unit viewing rays (P, 3) of the patches of an image, row by row.

    Rays of patches outside the camera model's domain are nan.
    """
    centres = PatchFeatures.grid(camera.width // stride, camera.height // stride, stride)
    return centres, camera.rays(centres)
