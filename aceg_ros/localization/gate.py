"""The gate: what a pose must show to be given out. To change what is let through, change this.

The first prediction knew nothing of the pose, so its matches are independent evidence; a
prediction near the pose agrees with any pose to some degree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aceg_ros.localization.options import GateOptions
from aceg_ros.localization.result import Localization, Reason


@dataclass(frozen=True)
class Evidence:
    """What speaks for a pose."""

    first_inliers: int  # matches of the first prediction that agree with the pose
    first_matches: int  # all matches of it
    support_ratio: float | None  # see `readers.Prediction`; None where the kind of map has none
    redetected_ratio: float  # part of the landmarks in view that agree


def refusal(
    found: Localization, evidence: Evidence, options: GateOptions
) -> tuple[Reason, str] | None:
    """Why a pose is not given out, with words for people; None when it is."""
    needed = max(options.min_inliers, options.min_inlier_ratio * evidence.first_matches)
    if evidence.first_inliers < needed:
        return Reason.FEW_INLIERS, (
            f'only {evidence.first_inliers} of {evidence.first_matches} patches agree on a pose'
        )
    if (
        evidence.support_ratio is not None
        and evidence.support_ratio < options.min_support_ratio
        and evidence.redetected_ratio < options.min_redetected_ratio
    ):
        return Reason.UNLIKE_MAP, (
            'repeated things agree on a pose, but the rest of the image is not as mapped there'
        )
    position = float(np.sqrt(np.linalg.eigvalsh(found.covariance[:3, :3])[-1]))
    rotation = float(np.degrees(np.sqrt(np.linalg.eigvalsh(found.covariance[3:, 3:])[-1])))
    limit = options.max_position_std * found.scene_distance
    if position > limit or rotation > options.max_rotation_std:
        return Reason.UNCERTAIN, (
            f'the pose is too uncertain: {position:.2f} m and {rotation:.1f} degrees'
        )
    return None
