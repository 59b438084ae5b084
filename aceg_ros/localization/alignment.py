"""The last stage: landmarks are measured in the image, and make the pose exact."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from aceg_ros.geometry.cameras import Camera
from aceg_ros.landmarks.templates import PlanarPatches, find_planar_patches, most_frontal
from aceg_ros.localization.options import LandmarkOptions
from aceg_ros.pose.matches import Matches
from aceg_ros.pose.refine import RefinedPose, refine_pose

_FEW_LANDMARKS = 50  # fewer say little about a pose
_FLOOR_PX = 0.3  # deviation that even the best of matches have


@dataclass(frozen=True)
class AlignedPose:
    """A pose refined on matches of patches and landmarks together."""

    pose: RefinedPose
    matches: Matches
    redetected_ratio: float  # part of the landmarks in view that agree with the pose


def align(
    view: np.ndarray,
    camera: Camera,
    landmarks: PlanarPatches,
    pose: RefinedPose,
    matches: Matches,
    options: LandmarkOptions,
) -> AlignedPose:
    """``view`` (H, W, 3) uint8 RGB is the working image, ``pose`` right to a few pixels.

    Where few landmarks are found near where ``pose`` expects them, it may be off by more: they are
    sought farther away first, and the pose that more of them agree with is taken.
    """
    gray = np.asarray(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), np.uint8)
    near = _aligned(gray, camera, landmarks, pose, matches, options, options.reach)
    if near.redetected_ratio >= options.sure_redetected:
        return near
    far = _aligned(gray, camera, landmarks, pose, matches, options, options.far_reach)
    if far.pose is pose:
        return near
    far = _aligned(gray, camera, landmarks, far.pose, matches, options, options.reach)
    return far if far.redetected_ratio > near.redetected_ratio else near


def _aligned(
    gray: np.ndarray,
    camera: Camera,
    landmarks: PlanarPatches,
    pose: RefinedPose,
    matches: Matches,
    options: LandmarkOptions,
    reach: int,
) -> AlignedPose:
    """``pose`` refined on matches and landmarks within ``reach`` px, or as it is."""
    center = pose.world_from_cam[:3, 3]
    frontal = landmarks.subset(most_frontal(landmarks, center, np.radians(options.max_angle)))
    found = find_planar_patches(
        gray,
        camera,
        pose.world_from_cam,
        frontal,
        reach,
        options.min_similarity,
        options.count,
    )
    points3d = frontal.centers[found.index]
    sigma = options.sigma_px * np.linalg.norm(points3d - center, axis=1) / camera.focal
    together = matches.joined(Matches(camera.rays(found.points2d), found.points2d, points3d, sigma))
    refined = refine_pose(
        pose.world_from_cam,
        together.rays,
        together.points3d,
        together.sigma_px(pose.world_from_cam, camera.focal),
        camera.focal,
        options.threshold_px,
        floor_px=_FLOOR_PX,
    )
    if refined is None:
        return AlignedPose(pose, matches, 0.0)
    agreeing = float(refined.inliers[len(matches) :].sum())
    ratio = agreeing / max(found.sought, _FEW_LANDMARKS)
    if ratio < options.min_redetected:
        return AlignedPose(pose, matches, ratio)
    return AlignedPose(refined, together, ratio)
