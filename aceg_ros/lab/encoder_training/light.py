"""Photometric augmentation: the same view under another exposure, light and sensor."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from aceg_ros.datasets.base import Frame


def relit(frame: Frame, seed: int) -> Frame:
    """The frame as it might look under other light; the same ``seed`` always does the same."""
    return replace(frame, load_image=partial(_relit, frame, seed))


def _relit(frame: Frame, seed: int) -> np.ndarray:
    return relight(frame.image(), np.random.default_rng([seed, 22]))


def relight(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image (H, W, 3) uint8 with another tone curve, color, light, noise and sharpness."""
    x = image.astype(np.float32) / 255.0
    x = x * rng.uniform(0.8, 1.2, 3).astype(np.float32)  # white balance
    x = np.clip(x, 0, None) ** np.exp(rng.normal(0, 0.35))
    x = (x - 0.5) * np.exp(rng.normal(0, 0.25)) + 0.5 + rng.normal(0, 0.1)
    if rng.random() < 0.5:
        x = x * _light_field(x.shape[:2], rng)[..., None]
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.6))
    noise = rng.standard_normal(x.shape, dtype=np.float32)
    x = x + noise * np.float32(rng.uniform(0, 0.03))
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def _light_field(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A smooth gain over the image, like a lamp at one side or a shadow's soft edge."""
    coarse = np.exp(rng.normal(0, 0.4, (3, 3))).astype(np.float32)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC).clip(0.15, 4)
