"""What the gate lets through, by the evidence alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.localization.gate import Evidence, refusal
from aceg_ros.localization.options import GateOptions
from aceg_ros.localization.result import Localization, Reason

OPTIONS = GateOptions(
    min_inliers=60,
    min_inlier_ratio=0.2,
    min_support_ratio=0.76,
    min_redetected_ratio=0.5,
    max_position_std=0.12,
    max_rotation_std=5.0,
)
GOOD = Evidence(first_inliers=200, first_matches=400, support_ratio=0.9, redetected_ratio=0.8)


def found(meters: float = 0.01, degrees: float = 0.5, distance: float = 2.0) -> Localization:
    """A pose of these deviations, ``distance`` from its points; outliers are far off."""
    covariance = np.diag([meters**2] * 3 + [np.radians(degrees) ** 2] * 3)
    points3d = np.tile([0.0, 0.0, distance], (9, 1))
    inliers = np.arange(9) < 6
    points3d[~inliers] *= 100
    return Localization(np.eye(4), covariance, np.zeros((9, 2)), points3d, np.full(9, 0.1), inliers)


def reason(pose: Localization, evidence: Evidence, options: GateOptions = OPTIONS) -> Reason | None:
    refused = refusal(pose, evidence, options)
    return refused[0] if refused else None


def test_a_good_pose_passes():
    assert refusal(found(), GOOD, OPTIONS) is None


def test_a_good_pose_passes_by_default():
    assert refusal(found(), GOOD, GateOptions()) is None


class TestInliers:
    @pytest.mark.parametrize(
        ('inliers', 'matches', 'expected'),
        [
            (60, 100, None),
            (59, 100, Reason.FEW_INLIERS),
            (59, 59, Reason.FEW_INLIERS),
            (100, 500, None),
            (99, 500, Reason.FEW_INLIERS),
            (0, 0, Reason.FEW_INLIERS),
        ],
    )
    def test_enough_and_enough_of_all(self, inliers, matches, expected):
        evidence = replace(GOOD, first_inliers=inliers, first_matches=matches)
        assert reason(found(), evidence) == expected

    def test_are_told(self):
        _, words = refusal(found(), replace(GOOD, first_inliers=12), OPTIONS)
        assert words == 'only 12 of 400 patches agree on a pose'

    def test_limits_are_options(self):
        assert reason(found(), GOOD, replace(OPTIONS, min_inliers=201)) == Reason.FEW_INLIERS
        assert reason(found(), GOOD, replace(OPTIONS, min_inlier_ratio=0.51)) == Reason.FEW_INLIERS
        few = replace(GOOD, first_inliers=10)
        lenient = replace(OPTIONS, min_inliers=10, min_inlier_ratio=0.0)
        assert reason(found(), few, lenient) is None


class TestSupport:
    @pytest.mark.parametrize(
        ('support', 'redetected', 'expected'),
        [
            (0.75, 0.49, Reason.UNLIKE_MAP),
            (0.0, 0.0, Reason.UNLIKE_MAP),
            (0.76, 0.0, None),
            (0.0, 0.5, None),
            (None, 0.0, None),
        ],
    )
    def test_by_patches_or_by_landmarks(self, support, redetected, expected):
        """Of kinds of maps that have no support ratio none is asked for."""
        evidence = replace(GOOD, support_ratio=support, redetected_ratio=redetected)
        assert reason(found(), evidence) == expected

    def test_says_that_things_repeat(self):
        evidence = replace(GOOD, support_ratio=0.2, redetected_ratio=0.2)
        assert 'repeated things' in refusal(found(), evidence, OPTIONS)[1]

    def test_limits_are_options(self):
        weak = replace(GOOD, support_ratio=0.5, redetected_ratio=0.3)
        assert reason(found(), weak) == Reason.UNLIKE_MAP
        assert reason(found(), weak, replace(OPTIONS, min_support_ratio=0.5)) is None
        assert reason(found(), weak, replace(OPTIONS, min_redetected_ratio=0.3)) is None


class TestCertainty:
    @pytest.mark.parametrize(
        ('meters', 'distance', 'expected'),
        [
            (0.23, 2.0, None),
            (0.25, 2.0, Reason.UNCERTAIN),
            (0.25, 2.2, None),
            (0.025, 0.2, Reason.UNCERTAIN),
        ],
    )
    def test_of_the_position_as_part_of_the_distance(self, meters, distance, expected):
        assert reason(found(meters=meters, distance=distance), GOOD) == expected

    @pytest.mark.parametrize(('degrees', 'expected'), [(4.9, None), (5.1, Reason.UNCERTAIN)])
    @pytest.mark.parametrize('distance', [0.2, 50.0])
    def test_of_the_rotation(self, degrees, distance, expected):
        assert reason(found(0.001, degrees, distance), GOOD) == expected

    @pytest.mark.parametrize('part', [slice(0, 3), slice(3, 6)], ids=['position', 'rotation'])
    def test_the_worst_direction_counts(self, part):
        """Along a diagonal of the axes, where each axis alone would pass."""
        pose = found()
        std = {0: 0.3, 3: np.radians(6.0)}[part.start]
        diagonal = np.ones(3) / np.sqrt(3)
        pose.covariance[part, part] += std**2 * np.outer(diagonal, diagonal)
        assert reason(pose, GOOD) == Reason.UNCERTAIN

    def test_is_told_in_numbers(self):
        _, words = refusal(found(meters=0.5, degrees=7.0), GOOD, OPTIONS)
        assert words == 'the pose is too uncertain: 0.50 m and 7.0 degrees'

    def test_limits_are_options(self):
        vague = found(meters=0.3, degrees=6.0)
        assert reason(vague, GOOD) == Reason.UNCERTAIN
        lenient = replace(OPTIONS, max_position_std=0.2, max_rotation_std=7.0)
        assert reason(vague, GOOD, lenient) is None


class TestReasons:
    def test_the_first_that_applies(self):
        bad = Evidence(first_inliers=3, first_matches=400, support_ratio=0.1, redetected_ratio=0.0)
        vague = found(meters=9.0)
        assert reason(vague, bad) == Reason.FEW_INLIERS
        assert reason(vague, replace(bad, first_inliers=200)) == Reason.UNLIKE_MAP
        assert reason(vague, GOOD) == Reason.UNCERTAIN

    @pytest.mark.parametrize('each', Reason)
    def test_are_words_to_programs(self, each):
        assert str(each) == f'{each}' == each.value == each
        assert json.loads(json.dumps({'reason': each})) == {'reason': each.value}
