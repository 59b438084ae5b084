"""A map's judgment of itself: how well keyframes it never saw are found, and where it is thin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri

from aceg_ros.datasets.base import Frame
from aceg_ros.engine import Engine
from aceg_ros.errors import AcegError
from aceg_ros.geometry.poses import pose_error
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.mapping.options import MIN_KEYFRAMES, ValidationOptions
from aceg_ros.mapping.sweep import SceneDepths
from aceg_ros.maps.code import (
    AnchoredCode,
    FreeCode,
    MapQuality,
    Rating,
    ThinPlace,
    advice_on,
)
from aceg_ros.maps.sessions import judged
from aceg_ros.monitor import Monitor
from aceg_ros.pose.consistency import mahalanobis2, pose_residual

_MANY_FRAMES = 24  # of which a few can be spared

Code = TypeVar('Code', AnchoredCode, FreeCode)

_MEDIAN = float(chdtri(6, 0.5))  # of the normalized error squared of poses, which is chi-squared
_MOST_ANGLE = 0.1
_LEAST_SCALE = 0.1  # of covariances


def held_out_frames(
    frames: Sequence[Frame], options: ValidationOptions
) -> tuple[list[Frame], list[Frame]]:
    """Frames to map and frames to test by, the latter evenly spread and never the outermost."""
    wanted = round(options.held_out * len(frames))
    if wanted and len(frames) >= _MANY_FRAMES:
        wanted = max(wanted, options.min_held_out)
    count = min(wanted, options.max_held_out, len(frames) - MIN_KEYFRAMES)
    if count < 1:
        return list(frames), []
    chosen = set(np.linspace(0, len(frames) - 1, count + 2).round().astype(int)[1:-1].tolist())
    mapped = [frame for index, frame in enumerate(frames) if index not in chosen]
    return mapped, [frames[index] for index in sorted(chosen)]


def validate_map(
    code: Code,
    held_out: Sequence[Frame],
    depths: SceneDepths,
    engine: Engine,
    options: ValidationOptions,
    skipped: list[str],
    monitor: Monitor,
) -> Code:
    """``code`` with its quality and errors, from keyframes its last session has not seen.

    Errors common to a whole view, such as those of the map, do not show in the residuals of one
    image, but they do against true poses. Frames that cannot be read are added to ``skipped`` with
    the reason.
    """
    before = code.info.angular_error  # of earlier sessions
    # A new map does not know yet how far its scene is, by which answers find its recorded frame.
    known = code.info.quality
    known = replace(known, median_depth=known.median_depth or depths.median)
    info = replace(code.info, quality=known, view_error=0.0, covariance_scale=1.0)
    localizer = Localizer(replace(code, info=info), engine)
    tested: list[_Tested] = []
    localized = []
    for index, frame in enumerate(held_out):
        monitor.report('validate', index / len(held_out), frame.name)
        try:
            pose = frame.pose()
            found = localizer.localize(frame.image(), frame.camera)
        except AcegError as error:
            skipped.append(f'{frame.name}: {error}')
            continue
        if isinstance(found, Localization):
            distance, angle = map(float, pose_error(found.world_from_cam, pose))
            tested.append(_Tested(frame.name, pose, distance, angle, int(found.inliers.sum())))
            localized.append((found, pose))
        else:
            tested.append(_Tested(frame.name, pose, np.inf, np.inf, 0))
    quality = _quality(tested, depths, options)
    info = judged(
        code.info,
        quality,
        _angular_error(localized, before, options),
        _view_error(localized, options),
        _covariance_scale(localized, options),
    )
    return replace(code, info=info)


@dataclass(frozen=True)
class _Tested:
    """A held-out view, and how it was found."""

    name: str
    world_from_cam: np.ndarray  # (4, 4), the true pose
    distance: float  # error, map units; infinite where it was not localized
    angle: float  # error, degrees
    inliers: int

    @property
    def position(self) -> tuple[float, float, float]:
        """Of the camera, rounded, for people."""
        x, y, z = self.world_from_cam[:3, 3].round(3).tolist()
        return x, y, z

    def thin(self, depth: float, options: ValidationOptions) -> bool:
        """Whether the map is thin there."""
        close = self.distance <= options.close * depth and self.angle <= options.close_deg
        return not close or self.inliers < options.many_inliers


def _angular_error(
    found: list[tuple[Localization, np.ndarray]], before: float, options: ValidationOptions
) -> float:
    """The error (rad) that makes what the residuals show honest, input of the confidence model.

    At least that of earlier sessions, ``before``. Drawn towards the usual when there are few views.
    """
    covariances = [_simple_covariance(answer, before) for answer, _ in found]
    whole = float(np.hypot(before, _missing_angle(found, covariances)))
    return _drawn_towards(whole, len(found), options.usual_angle, options)


def _view_error(found: list[tuple[Localization, np.ndarray]], options: ValidationOptions) -> float:
    """The error (rad) that covariances lack, given true poses; drawn towards none."""
    missing = _missing_angle(found, [answer.covariance for answer, _ in found])
    return _drawn_towards(missing, len(found), 0.0, options)


def _covariance_scale(
    found: list[tuple[Localization, np.ndarray]], options: ValidationOptions
) -> float:
    """The part of covariances that is enough, given true poses; drawn towards all of it."""
    if not found:
        return 1.0
    enough = np.median(_normalized(found, [answer.covariance for answer, _ in found])) / _MEDIAN
    share = len(found) / (len(found) + options.usual_weight)
    return float(np.clip(enough**share, _LEAST_SCALE, 1.0))


def _simple_covariance(answer: Localization, angle: float) -> np.ndarray:
    """(6, 6) of the residuals, and a map error in rad."""
    if answer.residual_covariance is None:  # which the localizer always gives
        return answer.covariance
    return np.asarray(answer.residual_covariance + answer.map_error(angle))


def _missing_angle(
    found: list[tuple[Localization, np.ndarray]], covariances: Sequence[np.ndarray]
) -> float:
    """The map error (rad) with which the median normalized error squared is chi-squared's."""

    def excess(angle: float) -> float:
        wider = [c + f.map_error(angle) for (f, _), c in zip(found, covariances, strict=True)]
        return float(np.median(_normalized(found, wider))) - _MEDIAN

    if not found or excess(0.0) <= 0:
        return 0.0
    if excess(_MOST_ANGLE) >= 0:
        return _MOST_ANGLE
    return float(brentq(excess, 0.0, _MOST_ANGLE, xtol=1e-6))


def _normalized(
    found: list[tuple[Localization, np.ndarray]], covariances: Sequence[np.ndarray]
) -> list[float]:
    """The error squared of each, by a covariance (6, 6) of its own."""
    return [
        mahalanobis2(pose_residual(pose, answer.world_from_cam), covariance)
        for (answer, pose), covariance in zip(found, covariances, strict=True)
    ]


def _drawn_towards(measured: float, count: int, usual: float, options: ValidationOptions) -> float:
    """An angle measured on ``count`` views, averaged in squares with the usual one."""
    weight = options.usual_weight
    if not count + weight:
        return usual
    return float(np.sqrt((count * measured**2 + weight * usual**2) / (count + weight)))


def _quality(
    tested: Sequence[_Tested], depths: SceneDepths, options: ValidationOptions
) -> MapQuality:
    depth = round(depths.median, 4)
    if not tested:
        advice = 'record more keyframes, so that some can be held out'
        return MapQuality(advice=advice, median_depth=depth)
    thin = tuple(
        ThinPlace(test.name, test.position) for test in tested if test.thin(depths.median, options)
    )
    good = 1 - len(thin) / len(tested)
    localized = sum(np.isfinite(test.distance) for test in tested)
    most = localized > len(tested) / 2
    return MapQuality(
        rating=Rating.GOOD if good >= 0.8 else Rating.FAIR if good >= 0.5 else Rating.POOR,
        advice=advice_on(thin),
        held_out=len(tested),
        localized=int(localized),
        median_error=round(float(np.median([t.distance for t in tested])), 4) if most else None,
        median_error_deg=round(float(np.median([t.angle for t in tested])), 3) if most else None,
        median_inliers=int(np.median([test.inliers for test in tested])),
        median_depth=depth,
        thin=thin,
    )
