"""Which images of a moving camera are worth keeping: sharp ones of new views."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import rotation_angle_deg

_JUDGED_WIDTH = 320  # px; images are shrunk to it
_BLUR = 9  # px, of the deliberate blur


@dataclass(frozen=True)
class KeyframeRules:
    """What makes an image a keyframe."""

    translation: float = 0.05  # m to every other keyframe, or
    rotation_deg: float = 5.0  # degrees to those nearer than that
    sharpness: float = 0.45  # least `sharpness`; 0 takes every image


class KeyframeChooser:
    """Compares views with all keyframes there are, so that no view is taken twice."""

    def __init__(self, rules: KeyframeRules, poses: Iterable[NDArray[np.float64]] = ()) -> None:
        """`poses` (4, 4) are the world_from_cam of keyframes that exist already."""
        self.rules = rules
        self._poses = list(poses)

    def is_new_view(self, world_from_cam: NDArray[np.float64]) -> bool:
        """Whether no keyframe looks from nearly the same place in nearly the same direction."""
        if not self._poses:
            return True
        poses = np.stack(self._poses)
        distances = np.linalg.norm(poses[:, :3, 3] - world_from_cam[:3, 3], axis=1)
        near = poses[distances < self.rules.translation]
        angles = rotation_angle_deg(near[:, :3, :3], world_from_cam[:3, :3])
        return bool((angles >= self.rules.rotation_deg).all())

    def is_sharp(self, image: NDArray[np.uint8]) -> bool:
        """Whether an RGB image (H, W, 3) is sharp enough."""
        return sharpness(image) >= self.rules.sharpness

    def add(self, world_from_cam: NDArray[np.float64]) -> None:
        """Take note of a new keyframe."""
        self._poses.append(world_from_cam)


def sharpness(image: NDArray[np.uint8]) -> float:
    """How much of an RGB image's (H, W, 3) contrast a blur takes away: 0 blurred, 1 sharp.

    After the no-reference blur metric of Crete et al. (2007): what is blurred already loses little
    by being blurred again, whether it shows much or little. The worse of both axes counts, because
    motion blurs along one. Sharp photographs have 0.55 to 0.8, motion blur over 3 % of the width
    leaves 0.35.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if gray.shape[1] > _JUDGED_WIDTH:
        height = max(round(gray.shape[0] * _JUDGED_WIDTH / gray.shape[1]), 1)
        gray = cv2.resize(gray, (_JUDGED_WIDTH, height), interpolation=cv2.INTER_AREA)
    gray = gray.astype(np.float32)
    kept = []
    for axis, kernel in enumerate([(1, _BLUR), (_BLUR, 1)]):
        contrast = np.abs(np.diff(gray, axis=axis))
        blurred = np.abs(np.diff(cv2.blur(gray, kernel), axis=axis))
        lost = np.maximum(contrast - blurred, 0.0).sum()
        kept.append(float(lost / contrast.sum()) if contrast.any() else 0.0)
    return min(kept)
