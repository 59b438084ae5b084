"""A map's judgment of itself: how well keyframes it never saw are found, and where it is thin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder
from aceg_ros.errors import AcegError
from aceg_ros.geometry.poses import pose_error
from aceg_ros.localization.localizer import Localizer, with_map_error
from aceg_ros.localization.result import Localization
from aceg_ros.mapping.keyframes import pose_of
from aceg_ros.mapping.options import MIN_KEYFRAMES
from aceg_ros.mapping.sweep import SceneDepths
from aceg_ros.maps.code import MapCode
from aceg_ros.pose.consistency import normalized_errors
from aceg_ros.progress import Progress
from aceg_ros.regressor.base import SceneRegressor

_MOST_HELD_OUT = 12
_CLOSE_DEG = 2.0
_CLOSE = 0.025  # of the median depth: 5 cm at 2 m
_MANY_INLIERS = 200
# rad, between the 0 of EuRoC and the 0.0045 of RedKitchen; worth this many held-out views.
_USUAL_ANGLE, _USUAL_WEIGHT = 0.002, 2
_MOST_ANGLE = 0.1


def held_out_frames(frames: Sequence[Frame], part: float) -> tuple[list[Frame], list[Frame]]:
    """Frames to map and frames to judge by, the latter evenly spread and never the outermost."""
    count = min(round(part * len(frames)), _MOST_HELD_OUT, len(frames) - MIN_KEYFRAMES)
    if count < 1:
        return list(frames), []
    chosen = set(np.linspace(0, len(frames) - 1, count + 2).round().astype(int)[1:-1].tolist())
    mapped = [frame for index, frame in enumerate(frames) if index not in chosen]
    return mapped, [frames[index] for index in sorted(chosen)]


def validate_map(
    code: MapCode,
    held_out: Sequence[Frame],
    depths: SceneDepths,
    encoder: Encoder,
    regressor: SceneRegressor,
    progress: Progress,
    skipped: list[str],
) -> MapCode:
    """``code`` with its quality report and angular error, from keyframes it has not seen.

    The report is JSON-able, lengths are in map units: ``verdict`` is 'good', 'fair', 'poor' or
    'unknown' (too few keyframes to hold any out), ``advice`` says what to record more, ``thin``
    names the held-out views that were found badly and where they were taken. The angular error is
    what covariances lacked: errors common to a whole view, such as those of the map itself, do not
    show in one image's residuals but do against true poses. Frames that cannot be read are added
    to ``skipped`` with the reason.
    """
    localizer = Localizer(code, encoder, regressor)
    errors, inliers, thin, localized = [], [], [], []
    for index, frame in enumerate(held_out):
        progress('judge', index / len(held_out), frame.name)
        try:
            pose = pose_of(frame)
            found = localizer.localize(frame.image(), frame.camera)
        except AcegError as error:
            skipped.append(f'{frame.name}: {error}')
            continue
        if isinstance(found, Localization):
            distance, angle = map(float, pose_error(found.world_from_cam, pose))
            agreeing = int(found.inliers.sum())
            localized.append((found, pose))
        else:
            distance, angle, agreeing = float('inf'), float('inf'), 0
        errors.append((distance, angle))
        inliers.append(agreeing)
        if agreeing < _MANY_INLIERS or distance > _CLOSE * depths.median or angle > _CLOSE_DEG:
            thin.append({'frame': frame.name, 'position': pose[:3, 3].round(3).tolist()})
    report: dict[str, Any] = {
        'held_out': len(errors),
        'median_depth': round(depths.median, 4),
        'thin': thin,
    }
    info = replace(
        code.info,
        quality=report | _verdict(errors, inliers, thin),
        angular_error=_angular_error(localized),
    )
    return replace(code, info=info)


def _angular_error(found: list[tuple[Localization, np.ndarray]]) -> float:
    """The error (rad) that makes the covariances of localized views honest, given their true poses.

    With it the median normalized error squared is that of chi-squared with six degrees of freedom;
    drawn towards the usual when there are few views.
    """

    def excess(angle: float) -> float:
        normalized = [normalized_errors(with_map_error(f, angle), pose)[0] for f, pose in found]
        return float(np.median(normalized)) - float(chi2.median(6))

    if not found or excess(0.0) <= 0:
        measured = 0.0
    elif excess(_MOST_ANGLE) >= 0:
        measured = _MOST_ANGLE
    else:
        measured = float(brentq(excess, 0.0, _MOST_ANGLE, xtol=1e-6))
    count = len(found)
    mean_square = (count * measured**2 + _USUAL_WEIGHT * _USUAL_ANGLE**2) / (count + _USUAL_WEIGHT)
    return float(np.sqrt(mean_square))


def _verdict(
    errors: list[tuple[float, float]], inliers: list[int], thin: list[dict[str, Any]]
) -> dict[str, Any]:
    if not errors:
        return {
            'verdict': 'unknown',
            'advice': 'record more keyframes, so that some can be held out',
        }
    distances, angles = np.array(errors).T
    found = np.isfinite(distances)
    share = 1 - len(thin) / len(errors)
    verdict = 'good' if share >= 0.8 else 'fair' if share >= 0.5 else 'poor'
    advice = 'none needed'
    if thin:
        places = '; '.join(f'{t["frame"]} at {t["position"]}' for t in thin[:4])
        advice = f'record more views, from several positions each, around {places}'
    return {
        'verdict': verdict,
        'advice': advice,
        'localized': int(found.sum()),
        'median_error': round(float(np.median(distances)), 4) if found.mean() > 0.5 else None,
        'median_error_deg': round(float(np.median(angles)), 3) if found.mean() > 0.5 else None,
        'median_inliers': int(np.median(inliers)),
    }
