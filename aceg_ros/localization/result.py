"""What a localization gives: a pose with covariance and evidence, or a failure with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from aceg_ros.geometry.cameras import Camera


@dataclass(frozen=True)
class Localization:
    """A camera pose in the map, and the correspondences it rests on.

    ``covariance`` orders x, y, z (meters), then rotations about the map's fixed x, y, z axes
    (radians), as ROS does.
    """

    world_from_cam: np.ndarray  # (4, 4)
    covariance: np.ndarray  # (6, 6)
    points2d: np.ndarray  # (N, 2) px in the image as given
    points3d: np.ndarray  # (N, 3) meters, map frame
    sigma: np.ndarray  # (N,) meters
    inliers: np.ndarray  # (N,) bool
    seconds: dict[str, float] = field(default_factory=dict)  # time of each stage


@dataclass(frozen=True)
class LocalizationFailure:
    """No pose is given, and why: ``reason`` is a short code, ``message`` says it in words."""

    reason: str
    message: str
    seconds: dict[str, float] = field(default_factory=dict)


class Localizes(Protocol):
    """Anything that answers "where am I?" for one image."""

    def localize(self, image: np.ndarray, camera: Camera) -> Localization | LocalizationFailure:
        """``image`` (H, W, 3) uint8 RGB, taken by ``camera``."""
