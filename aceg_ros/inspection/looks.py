"""Whether an image is sharp and well exposed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_JUDGED_WIDTH = 320  # px; images are shrunk to it
_BLUR = 9  # px, of the deliberate blur
_DARK, _BRIGHT = 8, 247  # gray values that hold no detail any more
_MIN_CONTRAST = 6.0  # deviation of the gray values of a picture of something


@dataclass(frozen=True)
class Look:
    """Measures of one image."""

    sharpness: float  # see `sharpness`
    brightness: float  # mean gray value, 0 to 255
    contrast: float  # deviation of the gray values
    dark: float  # part of the pixels that are black
    bright: float  # part of the pixels that are white

    @property
    def blank(self) -> bool:
        """Whether there is nothing to see."""
        return self.contrast < _MIN_CONTRAST


def look_at(image: NDArray[np.uint8]) -> Look:
    """Measure an RGB image (H, W, 3)."""
    gray = _small_gray(image)
    return Look(
        sharpness=_sharpness(gray),
        brightness=float(gray.mean()),
        contrast=float(gray.std()),
        dark=float((gray <= _DARK).mean()),
        bright=float((gray >= _BRIGHT).mean()),
    )


def sharpness(image: NDArray[np.uint8]) -> float:
    """How much of an RGB image's (H, W, 3) contrast a blur takes away: 0 blurred, 1 sharp.

    After the no-reference blur metric of Crete et al. (2007): what is blurred already loses little
    by being blurred again, whether it shows much or little. The worse of both axes counts, because
    motion blurs along one. Sharp photographs have 0.55 to 0.8, motion blur over 3 % of the width
    leaves 0.35.
    """
    return _sharpness(_small_gray(image))


def _small_gray(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if gray.shape[1] > _JUDGED_WIDTH:
        height = max(round(gray.shape[0] * _JUDGED_WIDTH / gray.shape[1]), 1)
        gray = cv2.resize(gray, (_JUDGED_WIDTH, height), interpolation=cv2.INTER_AREA)
    return gray.astype(np.float32)


def _sharpness(gray: NDArray[np.float32]) -> float:
    kept = []
    for axis, kernel in enumerate([(1, _BLUR), (_BLUR, 1)]):
        contrast = np.abs(np.diff(gray, axis=axis))
        blurred = np.abs(np.diff(cv2.blur(gray, kernel), axis=axis))
        lost = np.maximum(contrast - blurred, 0.0).sum()
        kept.append(float(lost / contrast.sum()) if contrast.any() else 0.0)
    return min(kept)
