"""The model that weighs the evidence for a pose, and its file."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.errors import WeightsError
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.localization.result import Localization
from aceg_ros.localization.verification import EVIDENCE, ConfidenceModel, Evidence, is_right

COUNT = len(EVIDENCE)


@pytest.fixture
def model() -> ConfidenceModel:
    rng = np.random.default_rng(0)
    return ConfidenceModel(
        rng.normal(size=COUNT), rng.uniform(0.5, 2, COUNT), rng.normal(size=COUNT), 0.7
    )


@pytest.fixture
def evidence(model) -> Evidence:
    """Not far from the usual."""
    return Evidence(*(model.mean + np.random.default_rng(1).normal(size=COUNT)).tolist())


def slow_probability(model, evidence) -> float:
    logit = model.bias
    for index, name in enumerate(EVIDENCE):
        value = (getattr(evidence, name) - model.mean[index]) / model.scale[index]
        logit += model.weights[index] * value
    return 1 / (1 + math.exp(-logit))


class TestModel:
    def test_is_logistic(self, model, evidence):
        assert model.probability(evidence) == pytest.approx(slow_probability(model, evidence))

    def test_the_usual_has_the_probability_of_the_bias(self, model):
        usual = Evidence(*model.mean.tolist())
        assert model.probability(usual) == pytest.approx(1 / (1 + math.exp(-0.7)))
        assert set(model.contributions(usual).values()) == {0.0}

    def test_contributions_have_names_and_add_up(self, model, evidence):
        added = model.contributions(evidence)
        assert tuple(added) == EVIDENCE
        logit = model.bias + sum(added.values())
        assert model.probability(evidence) == pytest.approx(1 / (1 + math.exp(-logit)))

    def test_what_is_unknown_counts_as_usual(self, model, evidence):
        unknown = replace(evidence, rival=math.nan)
        assert model.contributions(unknown)['rival'] == 0.0
        usual = replace(evidence, rival=float(model.mean[EVIDENCE.index('rival')]))
        assert model.probability(unknown) == pytest.approx(model.probability(usual))

    @pytest.mark.parametrize('value', [-1e9, 1e9, math.inf, -math.inf, math.nan])
    def test_no_single_piece_of_evidence_decides(self, model, evidence, value):
        extreme = replace(evidence, distance=value)
        assert 0.0 < model.probability(extreme) < 1.0
        limit = 4 * abs(model.weights[EVIDENCE.index('distance')])
        assert abs(model.contributions(extreme)['distance']) <= limit + 1e-9

    def test_extreme_weights_do_not_overflow(self, model, evidence):
        for sign in (1, -1):
            sure = replace(model, bias=1e6 * sign)
            assert sure.probability(evidence) == pytest.approx(0.5 + 0.5 * sign, abs=1e-12)


class TestFile:
    @pytest.fixture
    def file(self, model, tmp_path):
        path = tmp_path / 'confidence.json'
        path.write_text(json.dumps(model.to_dict({'trained_on': 'nothing'})), encoding='utf-8')
        return path

    def test_there_and_back(self, model, file, evidence):
        read = ConfidenceModel.load(file)
        for name in ('mean', 'scale', 'weights', 'bias'):
            np.testing.assert_array_equal(getattr(read, name), getattr(model, name), name)
        assert json.loads(file.read_text())['trained_on'] == 'nothing'

    def test_one_is_shipped(self):
        model = ConfidenceModel.load()
        assert np.isfinite([*model.mean, *model.scale, *model.weights, model.bias]).all()
        assert (model.scale > 0).all()

    @pytest.mark.parametrize(
        'change',
        [
            {'format': 'other'},
            {'evidence': ['first_inliers']},
            {'evidence': list(reversed(EVIDENCE))},
            {'weights': [1.0]},
            {'mean': 'none'},
            {'bias': None},
        ],
    )
    def test_of_something_else(self, file, change):
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
        with pytest.raises(WeightsError, match=r'confidence\.json is no confidence model'):
            ConfidenceModel.load(file)

    @pytest.mark.parametrize('name', ['format', 'evidence', 'mean', 'scale', 'weights', 'bias'])
    def test_that_lacks_something(self, file, name):
        values = json.loads(file.read_text())
        del values[name]
        file.write_text(json.dumps(values))
        with pytest.raises(WeightsError, match='no confidence model'):
            ConfidenceModel.load(file)

    @pytest.mark.parametrize('content', [b'', b'[]', b'null', b'\xff\xfe', b'{"format": '])
    def test_that_is_none(self, file, content):
        file.write_bytes(content)
        with pytest.raises(WeightsError, match='no confidence model'):
            ConfidenceModel.load(file)

    def test_missing(self, tmp_path):
        with pytest.raises(WeightsError, match='no confidence model'):
            ConfidenceModel.load(tmp_path / 'none.json')


class TestRight:
    @pytest.mark.parametrize(
        ('meters', 'degrees', 'distance', 'expected'),
        [
            (0.09, 0.0, 1.0, True),
            (0.11, 0.0, 1.0, False),
            (0.11, 0.0, 4.0, True),
            (0.21, 0.0, 4.0, False),
            (0.0, 4.9, 4.0, True),
            (0.0, 5.1, 4.0, False),
        ],
    )
    def test_within_a_part_of_the_distance(self, meters, degrees, distance, expected):
        points3d = np.tile([0.0, 0.0, distance], (4, 1))
        ones = np.ones(4)
        found = Localization(
            np.eye(4), np.eye(6), np.zeros((4, 2)), points3d, ones, ones.astype(bool)
        )
        truth = make_pose(so3_exp([0.0, math.radians(degrees), 0.0]), [meters, 0.0, 0.0])
        assert is_right(found, truth) is expected
