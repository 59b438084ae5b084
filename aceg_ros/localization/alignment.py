"""The last stage: landmarks are measured in the images, and make the pose exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.landmarks.templates import (
    Detections,
    PlanarPatches,
    find_planar_patches,
    most_frontal,
)
from aceg_ros.localization.options import LandmarkOptions
from aceg_ros.localization.views import View, together
from aceg_ros.pose.matches import Matches, RigMatches
from aceg_ros.pose.refine import MIN_SCALE, RefinedPose, refine_pose

_FEW_LANDMARKS = 50  # fewer say little about a pose
_MOST_SESSIONS = 3  # that an image is measured in
_NEAR_BEST = 0.5  # of the best session's part of landmarks found, that another must reach
_FLOOR_PX = 0.3  # deviation that even the best of matches have


@dataclass(frozen=True)
class AlignedPose:
    """A pose refined on matches of patches and landmarks together."""

    pose: RefinedPose
    matches: RigMatches
    redetected_ratio: float  # part of a session's landmarks in view that agree with the pose
    # (N,) of each match that is a landmark the keyframe on whose ray it lies, of others -1
    keyframe: NDArray[np.int64]
    aligned: bool  # whether landmarks are among the matches

    @classmethod
    def by_patches(
        cls, pose: RefinedPose, matches: RigMatches, redetected_ratio: float
    ) -> AlignedPose:
        """A pose that landmarks do not improve."""
        unknown = np.full(len(matches), -1, np.int64)
        return cls(pose, matches, redetected_ratio, unknown, aligned=False)


def align(
    views: Sequence[View],
    sessions: Sequence[PlanarPatches],
    pose: RefinedPose,
    matches: RigMatches,
    agreeing: np.ndarray,
    options: LandmarkOptions,
) -> AlignedPose:
    """``pose`` of the rig of ``views`` is right to a few pixels.

    Landmarks are measured in the views that ``agreeing`` (V,) says, see `Near`.
    ``sessions`` are the landmarks of each session of the map. Those of the sessions that the images
    are most like are measured, and the part found again is that of the session where it is
    greatest.

    Where few landmarks are found near where ``pose`` expects them, it may be off by more: they are
    sought farther away first, and the pose that more of them agree with is taken.
    """
    grays = [np.asarray(cv2.cvtColor(v.image, cv2.COLOR_RGB2GRAY), np.uint8) for v in views]
    near = _aligned(grays, views, sessions, pose, matches, agreeing, options, options.reach)
    if near.redetected_ratio >= options.sure_redetected:
        return near
    coarse = _aligned(grays, views, sessions, pose, matches, agreeing, options, options.far_reach)
    if coarse.pose is pose:
        return near
    far = _aligned(grays, views, sessions, coarse.pose, matches, agreeing, options, options.reach)
    if far.pose is coarse.pose or far.redetected_ratio <= near.redetected_ratio:
        return near
    return far


def _aligned(
    grays: Sequence[np.ndarray],
    views: Sequence[View],
    sessions: Sequence[PlanarPatches],
    pose: RefinedPose,
    matches: RigMatches,
    agreeing: np.ndarray,
    options: LandmarkOptions,
    reach: int,
) -> AlignedPose:
    """``pose`` refined on matches and landmarks within ``reach`` px, or as it is."""
    poses = [view.world_from_cam(pose.world_from_cam) for view in views]

    def find(of_views: Sequence[PlanarPatches], count: int) -> list[Detections]:
        """The landmarks of one session, in each view."""
        return [
            find_planar_patches(
                gray,
                view.patches.camera,
                world_from_cam,
                landmarks,
                reach,
                options.min_similarity,
                count,
            )
            for gray, view, world_from_cam, landmarks in zip(
                grays, views, poses, of_views, strict=True
            )
        ]

    angle = np.radians(options.max_angle)
    none = np.zeros(0, np.int64)
    frontal = [
        [
            landmarks.subset(most_frontal(landmarks, p[:3, 3], angle) if agrees else none)
            for p, agrees in zip(poses, agreeing, strict=True)
        ]
        for landmarks in sessions
    ]
    if len(frontal) > 1:
        tried = [find(of_views, _FEW_LANDMARKS) for of_views in frontal]
        found_ratio = [_part_found(sum(len(d.index) for d in each), each) for each in tried]
        order = np.argsort(found_ratio)[::-1][:_MOST_SESSIONS]
        frontal = [frontal[i] for i in order if found_ratio[i] >= _NEAR_BEST * max(found_ratio)]
    found = [find(of_views, options.count) for of_views in frontal]
    joined, keyframe = matches, [np.full(len(matches), -1, np.int64)]
    for of_views, seen in zip(frontal, found, strict=True):
        measured = [
            _measured(view, world_from_cam, landmarks, detections, options.sigma_px)
            for view, world_from_cam, landmarks, detections in zip(
                views, poses, of_views, seen, strict=True
            )
        ]
        joined = joined.joined(together(views, measured))
        keyframe += [
            landmarks.keyframe[detections.index]
            for landmarks, detections in zip(of_views, seen, strict=True)
        ]
    refined = refine_pose(
        pose.world_from_cam,
        joined.rays,
        joined.points3d,
        joined.sigma_px(pose.world_from_cam),
        joined.mounting,
        options.threshold_px,
        floor_px=_FLOOR_PX,
        # The sigma of patches may be too large, that of landmarks is known.
        least_scale=np.where(np.concatenate(keyframe) < 0, MIN_SCALE, 1.0),
    )
    if refined is None:
        return AlignedPose.by_patches(pose, matches, 0.0)
    counts = [sum(len(detections.index) for detections in seen) for seen in found]
    ends = len(matches) + np.cumsum(counts, dtype=int)
    inliers = [part.sum() for part in np.split(refined.inliers, [len(matches), *ends])[1:-1]]
    ratio = max(_part_found(int(n), seen) for n, seen in zip(inliers, found, strict=True))
    if ratio < options.min_redetected:
        return AlignedPose.by_patches(pose, matches, ratio)
    return AlignedPose(refined, joined, ratio, np.concatenate(keyframe), aligned=True)


def _part_found(count: int, seen: Sequence[Detections]) -> float:
    """``count`` as a part of the landmarks sought in all views."""
    return count / max(sum(detections.sought for detections in seen), _FEW_LANDMARKS)


def _measured(
    view: View,
    world_from_cam: np.ndarray,
    landmarks: PlanarPatches,
    detections: Detections,
    sigma_px: float,
) -> Matches:
    """The landmarks found in one view."""
    camera = view.patches.camera
    points3d = landmarks.centers[detections.index]
    sigma = sigma_px * np.linalg.norm(points3d - world_from_cam[:3, 3], axis=1) / camera.focal
    return Matches(camera.rays(detections.points2d), detections.points2d, points3d, sigma)
