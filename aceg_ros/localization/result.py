"""What a localization gives: a pose with covariance and evidence, or a failure with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

import numpy as np

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import transform_points


class Reason(str, Enum):
    """Why an image was refused."""

    FEATURELESS = 'featureless'  # all patches look alike: blank, dark, overexposed, blurred
    UNKNOWN_VIEW = 'unknown_view'  # too few patches of the image are known to the map
    NO_POSE = 'no_pose'  # RANSAC found no pose with enough inliers
    UNDETERMINED = 'undetermined'  # the matches do not determine a pose
    FEW_INLIERS = 'few_inliers'  # too few of the first matches agree with the pose
    UNLIKE_MAP = 'unlike_map'  # the rest of the image disagrees with the map at this pose
    AMBIGUOUS = 'ambiguous'  # the image could also show another place of the map
    UNCERTAIN = 'uncertain'  # the covariance is too large
    OTHER_DEPTH = 'other_depth'  # measured depths are not those of the pose
    OTHER_CAMERA = 'other_camera'  # the place is seen as by another camera: on a picture
    FAR_VIEW = 'far_view'  # too far from all mapping views, or turned too far from them

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Localization:
    """The pose of a camera, or of a rig of them, with the N matches that it was computed from.

    ``covariance`` orders x, y, z (meters), then rotations about the map's fixed x, y, z axes
    (radians), as ROS does.
    """

    world_from_cam: np.ndarray  # (4, 4), of a rig world_from_rig
    covariance: np.ndarray  # (6, 6)
    points2d: np.ndarray  # (N, 2) px in the image as given
    points3d: np.ndarray  # (N, 3) meters, map frame
    sigma: np.ndarray  # (N,) meters
    inliers: np.ndarray  # (N,) bool
    confidence: float = math.nan  # probability that the pose is right; nan if not estimated
    evidence: dict[str, float] = field(default_factory=dict)  # input of the confidence model
    seconds: dict[str, float] = field(default_factory=dict)  # time of each stage
    map_name: str = ''  # which of several maps it is in, `several`
    # (6, 6) what the residuals alone show of the covariance; None of other methods
    residual_covariance: np.ndarray | None = None
    # (N,) which image of a rig each match is in; None of other methods
    cameras: np.ndarray | None = None
    # quarter turns counterclockwise after which each image was known; 0 without roll
    turns: tuple[int, ...] = ()
    depth_error: float = math.nan  # part by which measured depths differ, a median; nan if unknown

    @property
    def scene_distance(self) -> float:
        """Median distance from the camera to the inliers, meters."""
        points3d = self.points3d[self.inliers]
        return float(np.median(np.linalg.norm(points3d - self.world_from_cam[:3, 3], axis=1)))

    def transformed(self, b_from_a: np.ndarray) -> Localization:
        """The same pose in frame b, where it is in a; ``b_from_a`` (4, 4) is rigid."""
        turn = np.kron(np.eye(2), b_from_a[:3, :3])
        return replace(
            self,
            world_from_cam=b_from_a @ self.world_from_cam,
            points3d=transform_points(b_from_a, self.points3d),
            covariance=turn @ self.covariance @ turn.T,
        )

    def of_camera(self, number: int, rig_from_cam: np.ndarray) -> Localization:
        """Pose and matches of one camera of a rig, at ``rig_from_cam`` (4, 4) on it."""
        rows = np.full(len(self.sigma), True) if self.cameras is None else self.cameras == number
        return replace(
            self,
            world_from_cam=self.world_from_cam @ rig_from_cam,
            points2d=self.points2d[rows],
            points3d=self.points3d[rows],
            sigma=self.sigma[rows],
            inliers=self.inliers[rows],
            cameras=None,
        )

    def map_error(self, angle: float) -> np.ndarray:
        """Covariance (6, 6) that a map error of ``angle`` (rad), as seen by a whole view, gives.

        It rotates the camera by that angle, or shifts it by that angle times the scene's distance.
        """
        shift = angle * self.scene_distance
        return np.diag([shift**2] * 3 + [angle**2] * 3)


@dataclass(frozen=True)
class LocalizationFailure:
    """A refusal: ``reason`` for programs, ``message`` for people. It is false in an ``if``."""

    reason: Reason
    message: str
    seconds: dict[str, float] = field(default_factory=dict)
    confidence: float = 0.0  # of the pose that was refused
    evidence: dict[str, float] = field(default_factory=dict)  # input of the confidence model

    def __bool__(self) -> bool:
        """False, so that `if answer:` asks for a pose."""
        return False


class Localizes(Protocol):
    """Anything that answers "where am I?" for one image."""

    def localize(self, image: np.ndarray, camera: Camera) -> Localization | LocalizationFailure:
        """``image`` (H, W, 3) uint8 RGB, taken by ``camera``."""
