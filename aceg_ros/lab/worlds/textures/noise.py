"""Building blocks of textures: tileable noise, colors. Images are float32 in [0, 1]."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

Rng = np.random.Generator


def value_noise(rng: Rng, size: int, cells_x: int, cells_y: int | None = None) -> np.ndarray:
    """(size, size) smooth noise in [0, 1] that tiles, with so many random cells across."""
    cells_y = cells_x if cells_y is None else cells_y
    grid = rng.random((cells_y, cells_x), dtype=np.float32)
    grid = np.pad(grid, 2, mode='wrap')
    step_x, step_y = size / cells_x, size / cells_y
    # Sampled so that cell centers line up over the seam.
    x = (np.arange(size, dtype=np.float32) + 0.5) / step_x + 1.5
    y = (np.arange(size, dtype=np.float32) + 0.5) / step_y + 1.5
    map_x, map_y = np.meshgrid(x, y)
    return np.clip(cv2.remap(grid, map_x, map_y, cv2.INTER_CUBIC), 0, 1)


def fractal(
    rng: Rng, size: int, cells: int, octaves: int, stretch: int = 1, gain: float = 0.55
) -> np.ndarray:
    """(size, size) octaves of `value_noise` summed to [0, 1]; `stretch` draws it out along x."""
    total = np.zeros((size, size), np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        rows = min(cells << octave, size)
        total += amplitude * value_noise(rng, size, max(rows // stretch, 1), rows)
        amplitude *= gain
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def color(rng: Rng, saturation: tuple[float, float], value: tuple[float, float]) -> np.ndarray:
    """Random RGB color with saturation and value in the given ranges."""
    hue = rng.random()
    return np.array(
        colorsys.hsv_to_rgb(hue, rng.uniform(*saturation), rng.uniform(*value)), np.float32
    )


def shade(rgb: np.ndarray | float, field: np.ndarray, contrast: float) -> np.ndarray:
    """(S, S, 3), or (S, S, 1) for a gray level: a color varied by a field in [0, 1]."""
    return rgb * (1 + contrast * (field - 0.5)).astype(np.float32)[..., None]


def blend(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mix colors or images a and b by a field, 0 giving a."""
    weight = weight[..., None]
    return a * (1 - weight) + b * weight


def to_bytes(image: np.ndarray) -> np.ndarray:
    """uint8 picture of a float image in [0, 1]."""
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
