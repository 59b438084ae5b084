"""What the gate lets through, by the evidence and a model that weighs it."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest

from aceg_ros.localization.gate import other_camera, refusal, with_camera
from aceg_ros.localization.options import GateOptions
from aceg_ros.localization.result import Localization, Reason
from aceg_ros.localization.verification import EVIDENCE, ConfidenceModel, Evidence
from aceg_ros.pose.calibration import CameraFit

OPTIONS = GateOptions(
    min_confidence=0.5, min_inliers=60, max_position_std=0.12, max_rotation_std=5.0
)
# Evidence is good at 0 and speaks against a pose the more it is below.
MODEL = ConfidenceModel(
    mean=np.zeros(len(EVIDENCE)),
    scale=np.ones(len(EVIDENCE)),
    weights=np.ones(len(EVIDENCE)),
    bias=2.0,
)
USUAL = Evidence(
    **dict.fromkeys(EVIDENCE, 0.0)
    | {
        'first_inliers': math.log1p(200),
        'position_std': math.log(0.01),
        'rotation_std': math.log(math.radians(0.5)),
        'rival_margin': 1.0,
    }
)

FOUND = Localization(
    np.eye(4),
    np.eye(6),
    np.zeros((0, 2)),
    np.zeros((0, 3)),
    np.zeros(0),
    np.zeros(0, bool),
)


def model_at(evidence: Evidence) -> ConfidenceModel:
    """The model, to which this evidence is the usual one."""
    return replace(MODEL, mean=evidence.values())


def reason(
    evidence: Evidence, options: GateOptions = OPTIONS, usual: Evidence = USUAL
) -> Reason | None:
    refused = refused_with(evidence, options, usual)
    return refused[0] if refused else None


def refused_with(evidence, options=OPTIONS, usual=USUAL):
    model = model_at(usual)
    pose = replace(FOUND, confidence=model.probability(evidence))
    return refusal(pose, evidence, model, options)


def test_a_good_pose_passes():
    assert refused_with(USUAL) is None
    assert refused_with(USUAL, GateOptions()) is None


class TestRival:
    @pytest.mark.parametrize(
        ('rival', 'margin', 'expected'),
        [
            (0.95, 0.02, Reason.AMBIGUOUS),
            (1.5, -0.3, Reason.AMBIGUOUS),
            (0.95, 0.3, None),
            (0.3, 0.02, None),
            (math.exp(-9), 0.02, None),
        ],
    )
    def test_a_place_that_could_be_it_as_well(self, rival, margin, expected):
        evidence = replace(USUAL, rival=math.log(rival), rival_margin=margin)
        assert reason(evidence, usual=evidence) == expected

    def test_may_be_given_out_all_the_same(self):
        evidence = replace(USUAL, rival=0.0, rival_margin=0.0)
        assert reason(evidence, replace(OPTIONS, max_rival=10.0), usual=evidence) is None


class TestInliers:
    @pytest.mark.parametrize(
        ('inliers', 'expected'),
        [(60, None), (59, Reason.FEW_INLIERS), (0, Reason.FEW_INLIERS), (500, None)],
    )
    def test_so_many_are_needed_whatever_the_confidence(self, inliers, expected):
        evidence = replace(USUAL, first_inliers=math.log1p(inliers))
        assert reason(evidence, usual=evidence) == expected

    def test_are_told(self):
        few = replace(USUAL, first_inliers=math.log1p(12))
        assert refused_with(few, usual=few)[1] == 'only 12 patches agree on a pose'

    def test_number_is_an_option(self):
        assert reason(USUAL, replace(OPTIONS, min_inliers=200)) is None
        assert reason(USUAL, replace(OPTIONS, min_inliers=201)) == Reason.FEW_INLIERS


class TestCertainty:
    @pytest.mark.parametrize(('part', 'expected'), [(0.119, None), (0.121, Reason.UNCERTAIN)])
    def test_of_the_position_as_part_of_the_distance(self, part, expected):
        evidence = replace(USUAL, position_std=math.log(part))
        assert reason(evidence, usual=evidence) == expected

    @pytest.mark.parametrize(('degrees', 'expected'), [(4.99, None), (5.01, Reason.UNCERTAIN)])
    def test_of_the_rotation(self, degrees, expected):
        evidence = replace(USUAL, rotation_std=math.log(math.radians(degrees)))
        assert reason(evidence, usual=evidence) == expected

    def test_is_told_in_numbers(self):
        std = {'position_std': math.log(0.25), 'rotation_std': math.log(math.radians(7.0))}
        vague = replace(USUAL, **std)
        _, words = refused_with(vague, usual=vague)
        assert '25% of the distance to the scene and 7.0 degrees' in words

    def test_limits_are_options(self):
        std = {'position_std': math.log(0.15), 'rotation_std': math.log(math.radians(6.0))}
        vague = replace(USUAL, **std)
        assert reason(vague, usual=vague) == Reason.UNCERTAIN
        lenient = replace(OPTIONS, max_position_std=0.2, max_rotation_std=7.0)
        assert reason(vague, lenient, usual=vague) is None


AGAINST = {
    'first_inliers': Reason.FEW_INLIERS,
    'first_ratio': Reason.FEW_INLIERS,
    'blocks': Reason.FEW_INLIERS,
    'near_ratio': Reason.UNLIKE_MAP,
    'support_ratio': Reason.UNLIKE_MAP,
    'expected_ratio': Reason.UNLIKE_MAP,
    'redetected_ratio': Reason.UNLIKE_MAP,
    'position_std': Reason.UNCERTAIN,
    'rotation_std': Reason.UNCERTAIN,
    'distance': Reason.FAR_VIEW,
    'angle': Reason.FAR_VIEW,
    'rival': Reason.AMBIGUOUS,
    'rival_margin': Reason.AMBIGUOUS,
}


class TestConfidence:
    def test_each_kind_of_evidence_has_its_reason(self):
        assert set(AGAINST) == set(EVIDENCE) == {entry.name for entry in fields(Evidence)}

    @pytest.mark.parametrize('name', EVIDENCE)
    def test_the_reason_is_what_speaks_most_against_it(self, name):
        usual = replace(USUAL, first_inliers=math.log1p(10_000))
        others = {other: getattr(usual, other) - 0.1 for other in EVIDENCE}
        evidence = Evidence(**others | {name: getattr(usual, name) - 3.0})
        assert reason(evidence, usual=usual) == AGAINST[name]

    def test_is_told(self):
        evidence = replace(USUAL, rival=-4.0)
        _, words = refused_with(evidence)
        assert 'a probability of only 12%' in words  # 1 / (1 + e^2)
        assert 'another place' in words

    def test_limit_is_an_option(self):
        evidence = replace(USUAL, support_ratio=-2.5)  # 0.38
        assert reason(evidence) == Reason.UNLIKE_MAP
        assert reason(evidence, replace(OPTIONS, min_confidence=0.37)) is None
        assert reason(USUAL, replace(OPTIONS, min_confidence=0.9)) is not None  # 0.88

    def test_none_is_asked_for(self):
        evidence = replace(USUAL, support_ratio=-4.0, rival=-4.0)
        assert reason(evidence, replace(OPTIONS, min_confidence=0.0)) is None

    def test_what_a_kind_of_map_cannot_tell_does_not_count(self):
        unknown = dict.fromkeys(('expected_ratio', 'rival', 'rival_margin'))
        evidence = replace(USUAL, **dict.fromkeys(unknown, math.nan))
        assert reason(evidence) is None
        assert reason(replace(evidence, first_ratio=-3.0)) == Reason.FEW_INLIERS


class TestReasons:
    @pytest.mark.parametrize('each', Reason)
    def test_are_words_to_programs(self, each):
        assert str(each) == f'{each}' == each.value == each
        assert json.loads(json.dumps({'reason': each})) == {'reason': each.value}


class TestOtherCamera:
    """A camera that fits better than the calibrated one."""

    def answer(self, factor, confidence, deviation=0.01, options=OPTIONS):
        """The pose with the confidence left, and why it is refused."""
        fit = CameraFit(np.array([math.log(factor), 0.0, 0.0]), np.eye(3) * deviation**2)
        found = with_camera(replace(FOUND, confidence=confidence), fit, options)
        return found, other_camera(found, fit, options)

    def test_a_shorter_focal_length_is_refused(self):
        found, (refused, words) = self.answer(0.7, 0.99)
        assert refused is Reason.OTHER_CAMERA
        assert '0.7 times the focal length' in words
        assert found.confidence < 0.01

    def test_unless_all_else_speaks_for_the_pose(self):
        found, refused = self.answer(0.85, 1 - 1e-6)
        assert refused is None
        assert found.confidence < 1 - 1e-6
        assert self.answer(0.85, 0.9)[1]

    @pytest.mark.parametrize('factor', [0.95, 1.0, 1.4])
    def test_others_cost_nothing(self, factor):
        """Calibrations are off by a little; what is nearer than the map reaches looks longer."""
        found, refused = self.answer(factor, 0.6)
        assert refused is None
        assert found.confidence == pytest.approx(0.6)

    def test_nor_does_one_that_matches_do_not_determine(self):
        assert self.answer(0.7, 0.6, deviation=0.2)[1] is None
        found = replace(FOUND, confidence=0.6)
        assert with_camera(found, None, OPTIONS) is found
        assert other_camera(found, None, OPTIONS) is None

    def test_by_the_options(self):
        for setting in ({'camera_weight': 0.0}, {'camera_slack': 99.0}, {'focal_tolerance': 1.0}):
            assert self.answer(0.7, 0.6, options=replace(OPTIONS, **setting))[1] is None
