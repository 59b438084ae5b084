"""The last stage: landmarks are measured in the image, and make the pose exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera
from aceg_ros.landmarks.templates import (
    Detections,
    PlanarPatches,
    find_planar_patches,
    most_frontal,
)
from aceg_ros.localization.options import LandmarkOptions
from aceg_ros.pose.matches import Matches
from aceg_ros.pose.refine import RefinedPose, refine_pose

_FEW_LANDMARKS = 50  # fewer say little about a pose
_MOST_SESSIONS = 3  # that an image is measured in
_NEAR_BEST = 0.5  # of the best session's part of landmarks found, that another must reach
_FLOOR_PX = 0.3  # deviation that even the best of matches have


@dataclass(frozen=True)
class AlignedPose:
    """A pose refined on matches of patches and landmarks together."""

    pose: RefinedPose
    matches: Matches
    redetected_ratio: float  # part of a session's landmarks in view that agree with the pose
    # (N,) of each match that is a landmark the keyframe on whose ray it lies, of others -1
    keyframe: NDArray[np.int64]
    aligned: bool  # whether landmarks are among the matches

    @classmethod
    def by_patches(
        cls, pose: RefinedPose, matches: Matches, redetected_ratio: float
    ) -> AlignedPose:
        """A pose that landmarks do not improve."""
        unknown = np.full(len(matches), -1, np.int64)
        return cls(pose, matches, redetected_ratio, unknown, aligned=False)


def align(
    view: np.ndarray,
    camera: Camera,
    sessions: Sequence[PlanarPatches],
    pose: RefinedPose,
    matches: Matches,
    options: LandmarkOptions,
) -> AlignedPose:
    """``view`` (H, W, 3) uint8 RGB is the working image, ``pose`` right to a few pixels.

    ``sessions`` are the landmarks of each session of the map. Those of the sessions that the image
    is most like are measured, and the part found again is that of the session where it is greatest.

    Where few landmarks are found near where ``pose`` expects them, it may be off by more: they are
    sought farther away first, and the pose that more of them agree with is taken.
    """
    gray = np.asarray(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), np.uint8)
    near = _aligned(gray, camera, sessions, pose, matches, options, options.reach)
    if near.redetected_ratio >= options.sure_redetected:
        return near
    coarse = _aligned(gray, camera, sessions, pose, matches, options, options.far_reach)
    if coarse.pose is pose:
        return near
    far = _aligned(gray, camera, sessions, coarse.pose, matches, options, options.reach)
    if far.pose is coarse.pose or far.redetected_ratio <= near.redetected_ratio:
        return near
    return far


def _aligned(
    gray: np.ndarray,
    camera: Camera,
    sessions: Sequence[PlanarPatches],
    pose: RefinedPose,
    matches: Matches,
    options: LandmarkOptions,
    reach: int,
) -> AlignedPose:
    """``pose`` refined on matches and landmarks within ``reach`` px, or as it is."""
    center = pose.world_from_cam[:3, 3]

    def find(landmarks: PlanarPatches, count: int) -> Detections:
        return find_planar_patches(
            gray,
            camera,
            pose.world_from_cam,
            landmarks,
            reach,
            options.min_similarity,
            count,
        )

    frontal = [
        landmarks.subset(most_frontal(landmarks, center, np.radians(options.max_angle)))
        for landmarks in sessions
    ]
    if len(frontal) > 1:
        tried = [find(landmarks, _FEW_LANDMARKS) for landmarks in frontal]
        found_ratio = [len(found.index) / max(found.sought, _FEW_LANDMARKS) for found in tried]
        order = np.argsort(found_ratio)[::-1][:_MOST_SESSIONS]
        frontal = [frontal[i] for i in order if found_ratio[i] >= _NEAR_BEST * max(found_ratio)]
    found = [find(landmarks, options.count) for landmarks in frontal]
    together, keyframe = matches, [np.full(len(matches), -1, np.int64)]
    for landmarks, seen in zip(frontal, found, strict=True):
        points3d = landmarks.centers[seen.index]
        sigma = options.sigma_px * np.linalg.norm(points3d - center, axis=1) / camera.focal
        rays = camera.rays(seen.points2d)
        together = together.joined(Matches(rays, seen.points2d, points3d, sigma))
        keyframe.append(landmarks.keyframe[seen.index])
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
        return AlignedPose.by_patches(pose, matches, 0.0)
    ends = len(matches) + np.cumsum([len(seen.index) for seen in found], dtype=int)
    agreeing = [part.sum() for part in np.split(refined.inliers, [len(matches), *ends])[1:-1]]
    ratio = max(
        float(count) / max(seen.sought, _FEW_LANDMARKS)
        for count, seen in zip(agreeing, found, strict=True)
    )
    if ratio < options.min_redetected:
        return AlignedPose.by_patches(pose, matches, ratio)
    return AlignedPose(refined, together, ratio, np.concatenate(keyframe), aligned=True)
