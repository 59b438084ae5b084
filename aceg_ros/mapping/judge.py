"""A map's judgement of itself: how well keyframes it never saw are found, and where it is thin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder
from aceg_ros.errors import AcegError
from aceg_ros.geometry.poses import pose_error
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.map_code.code import MapCode
from aceg_ros.mapping.keyframes import MIN_KEYFRAMES
from aceg_ros.mapping.progress import Progress
from aceg_ros.mapping.sweep import SceneDepths
from aceg_ros.regressor.regressor import Regressor

_MOST_HELD_OUT = 12
_CLOSE_DEG = 2.0
_CLOSE = 0.025  # of the median depth: 5 cm at 2 m
_MANY_INLIERS = 200


def held_out_frames(frames: Sequence[Frame], part: float) -> tuple[list[Frame], list[Frame]]:
    """Frames to map and frames to judge by, the latter evenly spread and never the outermost."""
    count = min(round(part * len(frames)), _MOST_HELD_OUT, len(frames) - MIN_KEYFRAMES)
    if count < 1:
        return list(frames), []
    chosen = set(np.linspace(0, len(frames) - 1, count + 2).round().astype(int)[1:-1].tolist())
    mapped = [frame for index, frame in enumerate(frames) if index not in chosen]
    return mapped, [frames[index] for index in sorted(chosen)]


def judge(
    code: MapCode,
    held_out: Sequence[Frame],
    depths: SceneDepths,
    encoder: Encoder,
    regressor: Regressor,
    progress: Progress,
) -> dict[str, Any]:
    """The quality report: JSON-able, lengths in map units.

    ``verdict`` is 'good', 'fair', 'poor' or 'unknown' (too few keyframes to hold any out), ``advice``
    says what to record more, ``thin`` names the held-out views that were found badly and where they
    were taken.
    """
    localizer = Localizer(code, encoder, regressor)
    errors, inliers, thin = [], [], []
    for index, frame in enumerate(held_out):
        progress('judge', index / len(held_out), frame.name)
        try:
            found = localizer.localize(frame.image(), frame.camera)
        except AcegError:
            continue  # a broken image says nothing about the map
        pose = np.asarray(frame.world_from_cam, dtype=np.float64)
        if isinstance(found, Localization):
            distance, angle = pose_error(found.world_from_cam, pose)
            agreeing = int(found.inliers.sum())
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
    return report | _verdict(errors, inliers, thin)


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
