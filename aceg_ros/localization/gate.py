"""The gate: what a pose must show to be given out. To change what is let through, change this."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aceg_ros.localization.options import GateOptions
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.localization.verification import ConfidenceModel, Evidence, odds_of
from aceg_ros.pose.calibration import CameraFit

# What is said of a pose that is too unlikely, by the evidence that speaks most against it.
_AGAINST = {
    'first_inliers': Reason.FEW_INLIERS,
    'first_ratio': Reason.FEW_INLIERS,
    'near_ratio': Reason.UNLIKE_MAP,
    'support_ratio': Reason.UNLIKE_MAP,
    'expected_ratio': Reason.UNLIKE_MAP,
    'redetected_ratio': Reason.UNLIKE_MAP,
    'blocks': Reason.FEW_INLIERS,
    'position_std': Reason.UNCERTAIN,
    'rotation_std': Reason.UNCERTAIN,
    'distance': Reason.FAR_VIEW,
    'angle': Reason.FAR_VIEW,
    'rival': Reason.AMBIGUOUS,
    'rival_margin': Reason.AMBIGUOUS,
}
# Matches that must agree, and their part of all, where a map gives no more evidence.
_UNJUDGED_INLIERS, _UNJUDGED_RATIO = 60, 0.22
_WORDS = {
    Reason.FEW_INLIERS: 'too few patches agree on it',
    Reason.UNLIKE_MAP: 'the rest of the image is not as mapped there',
    Reason.UNCERTAIN: 'the matches do not determine it well',
    Reason.FAR_VIEW: 'nothing was mapped from near it',
    Reason.AMBIGUOUS: 'another place of the map looks like it',
}


def refusal(
    found: Localization, evidence: Evidence, model: ConfidenceModel, options: GateOptions
) -> tuple[Reason, str] | None:
    """Why a pose is not given out, with words for people; None when it is."""
    agreeing = round(math.expm1(evidence.first_inliers))
    if agreeing < options.min_inliers:
        return Reason.FEW_INLIERS, f'only {agreeing} patches agree on a pose'
    position = math.exp(evidence.position_std)
    rotation = math.degrees(math.exp(evidence.rotation_std))
    if position > options.max_position_std or rotation > options.max_rotation_std:
        return Reason.UNCERTAIN, (
            f'the pose is too uncertain: {position:.0%} of the distance to the scene and '
            f'{rotation:.1f} degrees'
        )
    if math.isnan(found.confidence):
        if agreeing < _UNJUDGED_INLIERS or evidence.first_ratio < _UNJUDGED_RATIO:
            return Reason.FEW_INLIERS, f'only {agreeing} patches agree on a pose'
        return None
    if found.confidence < options.min_confidence:
        against = model.contributions(evidence)
        reason = _AGAINST[min(against, key=against.__getitem__)]
        return reason, (
            f'the pose found is right with a probability of only {found.confidence:.0%}: '
            f'{_WORDS[reason]}'
        )
    if (
        evidence.rival > math.log(max(options.max_rival, 1e-9))
        and evidence.rival_margin < options.min_rival_margin
    ):
        return Reason.AMBIGUOUS, f'{_WORDS[Reason.AMBIGUOUS]}: the image could be of either'
    return None


def with_camera(found: Localization, fit: CameraFit | None, options: GateOptions) -> Localization:
    """``found`` with the confidence that is left where its matches ``fit`` another camera."""
    if fit is None:
        return found
    misfit = fit.misfit(options.focal_tolerance, options.center_tolerance)
    odds = odds_of(found.confidence) * math.exp(
        -options.camera_weight * max(misfit - options.camera_slack, 0.0)
    )
    return replace(found, confidence=odds / (1 + odds))


def other_camera(
    found: Localization, fit: CameraFit | None, options: GateOptions
) -> tuple[Reason, str] | None:
    """Why a pose `with_camera` is not given out, with words for people; None when it is."""
    if fit is None or found.confidence >= options.min_confidence:
        return None
    return Reason.OTHER_CAMERA, (
        f'the pose found is right with a probability of only {found.confidence:.0%}: the place is '
        f'seen as by a camera of {fit.focal_factor:.2g} times the focal length, as on a picture of '
        'it or with a wrong calibration'
    )


def with_depth(
    found: Localization, ratios: NDArray[np.float64], options: GateOptions
) -> Localization | LocalizationFailure:
    """``found`` with its `depth_error`, by `depth_ratios` (M,); refused where they contradict it.

    Where too few were measured it stays as it is.
    """
    if len(ratios) < options.min_depth_points:
        return found
    error = float(np.median(np.abs(ratios - 1)))
    if error <= options.max_depth_error:
        return replace(found, depth_error=error)
    return LocalizationFailure(
        Reason.OTHER_DEPTH,
        f'measured depths are {np.median(ratios):.2g} times those at the pose found, and differ by '
        f'{error:.0%}: it is another place, or a picture of this one; if not, '
        'check the unit of depth, and its registration',
        found.seconds,
        found.confidence,
        found.evidence,
    )
