"""Poses that were found but not yet given, and which of two is likelier."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from aceg_ros.localization.alignment import AlignedPose
from aceg_ros.localization.result import Localization
from aceg_ros.localization.search import FoundPose
from aceg_ros.localization.verification import Evidence, Rival, is_right, odds_of
from aceg_ros.pose.calibration import CameraFit, fit_camera
from aceg_ros.pose.matches import RigMatches


@dataclass(frozen=True)
class Candidate:
    """A pose with the evidence for it, and the steps that led to it."""

    found: Localization  # its covariance is the one that the confidence model knows
    evidence: Evidence
    settled: FoundPose
    aligned: AlignedPose
    rival: Rival
    first: RigMatches  # of the first prediction, which knew no pose

    def is_sure(self, confidence: float) -> bool:
        """Whether it has such a confidence, or none, as free codes."""
        return math.isnan(self.found.confidence) or self.found.confidence >= confidence

    def camera_fit(self) -> CameraFit | None:
        """The camera that fits the first matches best; None of a rig, and of free codes."""
        mounting = self.first.mounting
        if len(mounting.focal) > 1 or self.settled.support_ratio is None:
            return None
        pose = self.found.world_from_cam
        return fit_camera(
            self.first.rays,
            self.first.points3d,
            self.first.sigma_px(pose),
            float(mounting.focal[0]),
            pose @ mounting.rig_from_cam[0],
        )


def likelier(first: Candidate, second: Candidate) -> Candidate:
    """The one of greater confidence, which is less where the other one is a different pose.

    At most one of two different poses is right. The odds of each are those against none of them, so
    that its probability is its odds by the sum of both and 1.
    """
    best, other = sorted((first, second), key=lambda each: each.found.confidence, reverse=True)
    if is_right(best.found, other.found.world_from_cam):
        return best
    odds, other_odds = (odds_of(each.found.confidence) for each in (best, other))
    found = replace(best.found, confidence=odds / (1 + odds + other_odds))
    return replace(best, found=found)
