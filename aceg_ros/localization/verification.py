"""Verification: all the evidence for and against a pose, and the probability that it is right.

A pose is right when it is within 5 % of the scene's distance, or 10 cm where that is more, and
within 5 degrees. One number is not enough. Things that exist twice agree with a wrong pose. Few or
one-sided matches agree with a pose that is right for only a part of the image. A logistic model
weighs the evidence together. It was trained on other scenes, see models/confidence.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.errors import WeightsError
from aceg_ros.geometry.poses import nearest_pose, pose_error
from aceg_ros.localization.alignment import AlignedPose
from aceg_ros.localization.result import Localization
from aceg_ros.localization.search import FoundPose
from aceg_ros.localization.views import View, first_matches, near, together, weighted_mean
from aceg_ros.maps.code import MapCode
from aceg_ros.models import model_path
from aceg_ros.pose.matches import RigMatches
from aceg_ros.pose.ransac import ransac_pose
from aceg_ros.readers.base import CodeReader

MODEL = 'confidence.json'
NEAREST_RIGHT, RIGHT_PART, RIGHT_DEG = 0.10, 0.05, 5.0  # m, of the scene's distance, degrees
_GROSS, _GROSS_DEG = 0.25, 5.0  # m, degrees
_LEAST_PROBABILITY = 1e-9  # and of its complement
_FORMAT = 'aceg-confidence'
_RIVAL_PX = 24.0  # matches this far from a pose's rays may belong to another pose
_RIVAL_ITERATIONS = 300
_RIVAL_SHARE = 0.25  # of the pose's own matches; a weaker rival is not looked at more closely
_GRID = 4  # blocks along a side of the image


@dataclass(frozen=True)
class Evidence:
    """What speaks for or against a pose; nan where the kind of map cannot tell."""

    first_inliers: float  # log(1 + matches of the first prediction that agree with the pose)
    first_ratio: float  # these as a part of all matches of the first prediction
    near_ratio: float  # part of the matches near the pose that agree with it
    support_ratio: float  # how much of the image the pose explains, see `Prediction`
    expected_ratio: float  # how much of what the map expects is there, see `CodeReader`
    redetected_ratio: float  # part of the landmarks in view that were found again
    blocks: float  # part of the image's blocks in which first matches agree
    position_std: float  # log of the claimed deviation over the scene's distance
    rotation_std: float  # log of the claimed deviation, radians
    distance: float  # to the nearest keyframe, over the scene's distance
    angle: float  # to the nearest keyframe, radians
    rival: float  # log of a rival pose's agreeing matches over the pose's own
    rival_margin: float  # expected and support ratio of the pose less the rival's

    def values(self) -> np.ndarray:
        """All numbers in order, (E,)."""
        return np.array([getattr(self, entry.name) for entry in fields(self)])

    def to_dict(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


EVIDENCE = tuple(entry.name for entry in fields(Evidence))


def is_right(found: Localization, world_from_cam: np.ndarray) -> bool:
    """Whether a pose is right in the sense of this module, given the true one (4, 4)."""
    distance, degrees = pose_error(found.world_from_cam, world_from_cam)
    return bool(
        distance <= max(NEAREST_RIGHT, RIGHT_PART * found.scene_distance) and degrees <= RIGHT_DEG
    )


def is_gross(found: Localization, world_from_cam: np.ndarray) -> bool:
    """Whether a pose is not right, and off by more than 25 cm or 5 degrees."""
    distance, degrees = pose_error(found.world_from_cam, world_from_cam)
    off = bool(distance > _GROSS or degrees > _GROSS_DEG)
    return off and not is_right(found, world_from_cam)


def odds_of(probability: float) -> float:
    """The odds, finite and above 0 for every probability."""
    bounded = min(max(probability, _LEAST_PROBABILITY), 1 - _LEAST_PROBABILITY)
    return bounded / (1 - bounded)


@dataclass(frozen=True)
class Rival:
    """The best pose among places that do not agree with the pose found."""

    strength: float  # `Evidence.rival`
    margin: float  # `Evidence.rival_margin`
    world_from_cam: np.ndarray | None  # (4, 4), None where it is too weak to be looked at closely


def gather(
    reader: CodeReader,
    views: Sequence[View],
    searched: FoundPose,
    aligned: AlignedPose,
    found: Localization,
) -> tuple[Evidence, Rival]:
    """The evidence for the pose ``found``, which ``searched`` and ``aligned`` are steps to.

    The covariance of ``found`` has to be the one that the model was trained with.

    Of a rig the evidence of all ``views`` counts as that of one image would. Counts are summed.
    Ratios are means, in which a view weighs as much as there is of the map to be seen in it. So a
    view that contradicts the pose speaks against it, and one of what was never mapped is silent.
    """
    pose = found.world_from_cam
    first = first_matches(views)
    agreeing = first.errors(pose) < reader.threshold_px
    by_view = [agreeing[first.mounting.camera == index] for index in range(len(views))]
    counts = np.array([each.sum() for each in by_view], np.float64)
    sizes = np.array([[v.patches.camera.width, v.patches.camera.height] for v in views])
    camera = first.mounting.camera[agreeing]
    blocks = (first.points2d[agreeing] * _GRID / sizes[camera]).astype(int)
    scene = max(found.scene_distance, 1e-9)
    nearest, angle = _nearest_keyframe(reader.code, views, counts, pose, scene)
    expected = _expected(reader, views, searched.weights, pose)
    support = _number(searched.support_ratio)
    rival = _rival(reader, views, pose, support + expected)
    evidence = Evidence(
        first_inliers=math.log1p(int(agreeing.sum())),
        first_ratio=weighted_mean(
            np.array([each.mean() if len(each) else 0.0 for each in by_view]), searched.weights
        ),
        near_ratio=float(searched.pose.inliers.mean()),
        support_ratio=support,
        expected_ratio=expected,
        redetected_ratio=aligned.redetected_ratio,
        blocks=min(len(np.unique(np.c_[camera, blocks], axis=0)) / _GRID**2, 1.0),
        position_std=math.log(_largest_std(found.covariance[:3, :3]) / scene),
        rotation_std=math.log(_largest_std(found.covariance[3:, 3:])),
        distance=nearest,
        angle=angle,
        rival=rival.strength,
        rival_margin=rival.margin,
    )
    return evidence, rival


def _rival(
    reader: CodeReader,
    views: Sequence[View],
    pose: np.ndarray,
    own_ratios: float,
) -> Rival:
    """The best pose among places that do not agree with ``pose``."""
    alternatives = [reader.alternatives(view.patches, view.first) for view in views]
    known = [each for each in alternatives if each is not None]
    if len(known) < len(views):
        return Rival(math.nan, math.nan, None)
    others = together(views, known)
    errors = others.errors(pose)
    own = _patches_in(others.rows(errors < reader.threshold_px))
    rest = others.rows(errors > _RIVAL_PX)
    sampled = ransac_pose(
        rest.rays,
        rest.points3d,
        rest.mounting,
        reader.threshold_px,
        max_iterations=_RIVAL_ITERATIONS,
    )
    if sampled is None:
        return Rival(math.log(1 / (own + 10)), own_ratios, None)
    rival, inliers = sampled
    count = _patches_in(rest.rows(inliers))
    strength = math.log((count + 10) / (own + 10))
    if count < _RIVAL_SHARE * own:
        return Rival(strength, own_ratios, None)
    there = near(reader, views, rival)
    expected = _expected(reader, views, there.weights, rival)
    margin = own_ratios - _number(there.support_ratio) - expected
    return Rival(strength, margin, rival)


def _expected(
    reader: CodeReader, views: Sequence[View], weights: np.ndarray, pose: np.ndarray
) -> float:
    """`CodeReader.expected_ratio` of the views that can tell; nan where none can."""
    ratios = np.array(
        [_number(reader.expected_ratio(v.patches, v.world_from_cam(pose))) for v in views]
    )
    known = np.isfinite(ratios) & (weights > 0)
    return weighted_mean(ratios[known], weights[known]) if known.any() else math.nan


def _patches_in(matches: RigMatches) -> int:
    """How many patches have a match; a patch may have several."""
    return len(np.unique(np.c_[matches.mounting.camera, matches.points2d], axis=0))


def _nearest_keyframe(
    code: MapCode, views: Sequence[View], counts: np.ndarray, pose: np.ndarray, scene: float
) -> tuple[float, float]:
    """Distance over the scene's distance, and angle (rad), to the keyframe most like a view.

    The means over ``views``, in which each weighs as much as it has agreeing matches, ``counts``
    (V,).
    """
    if not len(code.keyframes):
        return math.nan, math.nan
    to_nearest = np.array(
        [nearest_pose(code.keyframes, v.world_from_cam(pose), scene)[1:] for v in views]
    )
    distance, angle = np.average(to_nearest, axis=0, weights=counts + 1e-9).tolist()
    return distance, angle


def _largest_std(covariance: np.ndarray) -> float:
    return float(np.sqrt(max(np.linalg.eigvalsh(covariance)[-1], 1e-18)))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


@dataclass(frozen=True)
class ConfidenceModel:
    """A logistic model: 1 / (1 + exp(-(bias + weights . (evidence - mean) / scale)))."""

    mean: np.ndarray  # (E,) of the evidence in training; stands in where there is none
    scale: np.ndarray  # (E,) its deviation
    weights: np.ndarray  # (E,)
    bias: float

    @classmethod
    def load(cls, path: Path | None = None) -> ConfidenceModel:
        """The model that is shipped, or another; raises WeightsError when it cannot be used."""
        path = path or model_path(MODEL)
        try:
            values = json.loads(path.read_text(encoding='utf-8'))
            if values['format'] != _FORMAT or tuple(values['evidence']) != EVIDENCE:
                raise ValueError('its kinds of evidence differ')
            mean, scale, weights = (
                np.array(values[n], float) for n in ('mean', 'scale', 'weights')
            )
            if not mean.shape == scale.shape == weights.shape == (len(EVIDENCE),):
                raise ValueError('its number of weights differs')
            return cls(mean, scale, weights, float(values['bias']))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f'{path} is no confidence model ({error}); take the file from the project, or make '
                'one with "aceg train-confidence"'
            ) from error

    def to_dict(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """As the file holds it, with what else there is to say."""
        return {
            'format': _FORMAT,
            'evidence': list(EVIDENCE),
            'mean': self.mean.tolist(),
            'scale': self.scale.tolist(),
            'weights': self.weights.tolist(),
            'bias': self.bias,
            **about,
        }

    def contributions(self, evidence: Evidence) -> dict[str, float]:
        """What each piece of evidence adds to the logit, less what it adds on average."""
        values = evidence.values()
        values = np.where(np.isfinite(values), values, self.mean)
        added = self.weights * np.clip((values - self.mean) / self.scale, -4, 4)
        return dict(zip(EVIDENCE, added.tolist(), strict=True))

    def probability(self, evidence: Evidence) -> float:
        """The probability that the pose is right; nan for maps that give too little evidence."""
        if math.isnan(evidence.support_ratio):
            return math.nan
        logit = self.bias + sum(self.contributions(evidence).values())
        return 1 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))
