"""Which images of a moving camera are worth keeping: sharp ones of new views."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import rotation_angle_deg
from aceg_ros.inspection.looks import sharpness


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
