"""Makers of tiny datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aceg_ros.geometry.poses import make_pose, so3_exp


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Write a tiled random picture; `size` (width, height) is in multiples of 16."""

    def write(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        tile = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(np.tile(tile, (size[1] // 16, size[0] // 16, 1))).save(path)
        return path

    return write


@pytest.fixture
def write_depth() -> Callable[..., Path]:
    """Write raw 16-bit depth: 2000 everywhere, 0 and 65535 in the first two pixels."""

    def write(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = np.full((size[1], size[0]), 2000, np.uint16)
        raw[0, :2] = 0, 65535
        Image.fromarray(raw).save(path)
        return path

    return write


@pytest.fixture
def poses() -> np.ndarray:
    """Ten poses (10, 4, 4) along a gentle curve."""
    return np.array(
        [make_pose(so3_exp([0.0, 0.1 * i, 0.02 * i]), [0.2 * i, 0.01 * i, -0.1]) for i in range(10)]
    )


SIMPLE_CALIBRATION = """\
width: 64
height: 48
fx: 60.0
fy: 61.0
cx: 31.5
cy: 23.5
distortion_model: plumb_bob
distortion: [0.1, -0.05, 0.001, 0.002, 0.0]
"""


@pytest.fixture
def simple_calibration() -> str:
    """Text of a calibration file for 64x48 images."""
    return SIMPLE_CALIBRATION
