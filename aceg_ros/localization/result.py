"""What a localization gives: a pose with covariance and evidence, or a failure with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

import numpy as np

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import shifted


class Reason(str, Enum):
    """Why an image was given no pose."""

    FEATURELESS = 'featureless'  # all of the image looks alike: blank, dark, overexposed, blurred
    UNKNOWN_VIEW = 'unknown_view'  # the map knows too few patches of the image
    NO_POSE = 'no_pose'  # sampling found no pose that enough patches agree with
    UNDETERMINED = 'undetermined'  # the matches do not determine a pose
    FEW_INLIERS = 'few_inliers'  # too few of the first matches agree with the pose found
    UNLIKE_MAP = 'unlike_map'  # the rest of the image is not as the map says for this pose
    AMBIGUOUS = 'ambiguous'  # the image could be of another place of the map as well
    UNCERTAIN = 'uncertain'  # the pose is not determined well enough
    FAR_VIEW = 'far_view'  # too far from, or turned too much away from, all that was mapped

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Localization:
    """A camera pose in the map, and the matches it rests on.

    ``covariance`` orders x, y, z (meters), then rotations about the map's fixed x, y, z axes
    (radians), as ROS does.
    """

    world_from_cam: np.ndarray  # (4, 4)
    covariance: np.ndarray  # (6, 6)
    points2d: np.ndarray  # (N, 2) px in the image as given
    points3d: np.ndarray  # (N, 3) meters, map frame
    sigma: np.ndarray  # (N,) meters
    inliers: np.ndarray  # (N,) bool
    confidence: float = math.nan  # probability that it is right, `verification`; nan: not judged
    evidence: dict[str, float] = field(default_factory=dict)  # that the confidence rests on
    seconds: dict[str, float] = field(default_factory=dict)  # time of each stage
    map_name: str = ''  # which of several maps it is in, `several`

    @property
    def scene_distance(self) -> float:
        """Median distance from the camera to the points that the pose rests on, meters."""
        points3d = self.points3d[self.inliers]
        return float(np.median(np.linalg.norm(points3d - self.world_from_cam[:3, 3], axis=1)))

    def shifted(self, offset: np.ndarray) -> Localization:
        """The same in a frame with the same axes, in which this one's origin is at ``offset``."""
        pose = shifted(self.world_from_cam, offset)
        return replace(self, world_from_cam=pose, points3d=self.points3d + offset)

    def with_map_error(self, angle: float) -> Localization:
        """The same with the map's own error in its covariance.

        A map that is off by ``angle`` (rad), as a whole view shows it, turns the camera by as much
        or shifts it by as much of the scene's distance.
        """
        shift = angle * self.scene_distance
        added = np.diag([shift**2] * 3 + [angle**2] * 3)
        return replace(self, covariance=self.covariance + added)


@dataclass(frozen=True)
class LocalizationFailure:
    """No pose is given, and why: ``reason`` for programs, ``message`` for people."""

    reason: Reason
    message: str
    seconds: dict[str, float] = field(default_factory=dict)
    confidence: float = 0.0  # of the pose that was refused
    evidence: dict[str, float] = field(default_factory=dict)  # that the confidence rests on

    def __bool__(self) -> bool:
        """False, so that `if answer:` asks for a pose."""
        return False


class Localizes(Protocol):
    """Anything that answers "where am I?" for one image."""

    def localize(self, image: np.ndarray, camera: Camera) -> Localization | LocalizationFailure:
        """``image`` (H, W, 3) uint8 RGB, taken by ``camera``."""
