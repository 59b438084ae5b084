"""The search for a pose: sampling, then predictions near the pose, until it has settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.localization.clock import Clock
from aceg_ros.localization.options import SearchOptions
from aceg_ros.localization.result import Reason
from aceg_ros.localization.views import View, first_matches, near
from aceg_ros.pose.matches import RigMatches
from aceg_ros.pose.ransac import ransac_poses
from aceg_ros.pose.refine import RefinedPose, refine_pose
from aceg_ros.readers.base import CodeReader


@dataclass(frozen=True)
class FoundPose:
    """A pose, and the prediction that it was refined on."""

    pose: RefinedPose
    matches: RigMatches
    support_ratio: float | None  # see `Near`
    weights: np.ndarray  # (V,) see `Near`
    agreeing: np.ndarray  # (V,) see `Near`

    def explains(self, part: float) -> bool:
        """Whether it explains such a part of the images; False where that is not known."""
        return self.support_ratio is not None and self.support_ratio >= part


def search_pose(
    reader: CodeReader,
    views: Sequence[View],
    prior: np.ndarray | None,
    options: SearchOptions,
    clock: Clock,
) -> FoundPose | Reason:
    """The settled pose that explains most of the images, or why there is none.

    Poses are those of the rig that the ``views`` are of. Where matches are few and lie in one part
    of the image, sampling may end in a pose that is right for that part only.
    """
    first = first_matches(views)
    settled: list[FoundPose] = []
    reason = Reason.NO_POSE
    for seed, factor in enumerate(options.attempts):
        sampled = ransac_poses(
            first.rays,
            first.points3d,
            first.mounting,
            factor * reader.threshold_px,
            prior,
            seed,
        )
        clock.lap('ransac')
        # Of several views those that disagree may outvote one that is right.
        for coarse, _ in sampled if len(views) > 1 else sampled[:1]:
            if any(_is_near(coarse, found, options.same_px) for found in settled):
                continue  # it would settle where that one did
            found = _settle(reader, views, coarse, options)
            clock.lap('refine')
            if found is None:
                reason = Reason.UNDETERMINED
                continue
            if found.support_ratio is None:
                return found
            settled.append(found)
            settled.sort(key=lambda each: each.support_ratio or 0.0, reverse=True)
            if (
                found is settled[0]
                and found.pose.inliers.mean() >= options.sure_inlier_ratio
                and found.explains(options.sure_support_ratio)
            ):
                return found
        least = options.least_support_ratios[: seed + 1]
        if settled and least and not settled[0].explains(least[-1]):
            break  # the map does not know this image
    return settled[0] if settled else reason


def _settle(
    reader: CodeReader,
    views: Sequence[View],
    pose: np.ndarray,
    options: SearchOptions,
) -> FoundPose | None:
    """Predict near the pose and refine it, until it moves no more."""
    for left in reversed(range(options.rounds)):
        read = near(reader, views, pose)
        matches = read.matches
        refined = refine_pose(
            pose,
            matches.rays,
            matches.points3d,
            matches.sigma_px(pose),
            matches.mounting,
            reader.threshold_px,
        )
        if refined is None:
            return None
        shift = _shift_px(pose, refined.world_from_cam, matches)
        if read.support_ratio is None or not left or shift < options.settled_px:
            return FoundPose(refined, matches, read.support_ratio, read.weights, read.agreeing)
        pose = refined.world_from_cam
    return None


def _is_near(pose: np.ndarray, found: FoundPose, limit_px: float) -> bool:
    inliers = found.matches.rows(found.pose.inliers)
    return _shift_px(found.pose.world_from_cam, pose, inliers) < limit_px


def _shift_px(before: np.ndarray, after: np.ndarray, matches: RigMatches) -> float:
    """Median angle by which a new pose moves the points in view, times the focal length."""
    centers = matches.mounting.centers
    seen = [transform_points(inverse(pose), matches.points3d) - centers for pose in (before, after)]
    first, second = (points / np.linalg.norm(points, axis=1, keepdims=True) for points in seen)
    return float(np.median(np.linalg.norm(second - first, axis=1) * matches.mounting.focals))
