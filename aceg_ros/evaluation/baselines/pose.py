"""The camera pose from 2D-3D matches, found for both baselines by the package's own solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aceg_ros.geometry.cameras import Camera
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.pose.ransac import ransac_pose
from aceg_ros.pose.refine import refine_pose


@dataclass(frozen=True)
class PoseOptions:
    """When a match counts as an inlier, and inliers as a pose."""

    threshold_px: float = 12.0
    min_inliers: int = 15  # images of another room reach 13


def localize_matches(
    points2d: np.ndarray, points3d: np.ndarray, camera: Camera, options: PoseOptions
) -> Localization | LocalizationFailure:
    """Pose of `camera` from pixels `points2d` (N, 2) that show `points3d` (N, 3) m, some wrongly.

    The matches are taken to be equally exact; the result's `sigma`, which neither baseline knows,
    is nan.
    """
    rays = camera.rays(points2d)
    found = ransac_pose(rays, points3d, camera.focal, options.threshold_px)
    if found is None:
        return LocalizationFailure(
            Reason.NO_POSE, f'no pose agrees with any of {len(rays)} matches'
        )
    sigma_px = np.zeros(len(rays))
    refined = refine_pose(found[0], rays, points3d, sigma_px, camera.focal, options.threshold_px)
    if refined is None:
        return LocalizationFailure(Reason.UNDETERMINED, 'the matches leave the pose undetermined')
    inliers = int(refined.inliers.sum())
    if inliers < options.min_inliers:
        return LocalizationFailure(
            Reason.FEW_INLIERS,
            f'only {inliers} of {len(rays)} matches agree on a pose; {options.min_inliers} must',
        )
    return Localization(
        refined.world_from_cam,
        refined.covariance,
        points2d,
        points3d,
        np.full(len(rays), np.nan),
        refined.inliers,
    )
