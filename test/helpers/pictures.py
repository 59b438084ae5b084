"""Pictures made on the spot."""

from __future__ import annotations

import cv2
import numpy as np


def cloudy(size: int, seed: int) -> np.ndarray:
    """A picture (size, size, 3) with detail at all scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, 3), np.float32)
    for cells in (5, 12, 30, 70):
        noise = rng.normal(size=(cells, cells, 3)).astype(np.float32)
        total += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 40 * total, 0, 255).astype(np.uint8)
