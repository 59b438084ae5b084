"""What covariances lack, or have too much, as held-out views show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.localization.result import Localization
from aceg_ros.mapping.options import ValidationOptions
from aceg_ros.mapping.validation import _angular_error, _covariance_scale, _view_error

DISTANCE = 4.0  # m, of the scene
CLAIMED = 1e-3  # rad


def views(count, error, rng):
    """Poses at the origin that claim `CLAIMED`, and true ones that differ by ``error`` (rad)."""
    points3d = np.tile([0.0, 0.0, DISTANCE], (20, 1))
    scale = np.array([DISTANCE] * 3 + [1.0] * 3)
    found = []
    for _ in range(count):
        step = rng.normal(size=6) * error * scale
        truth = make_pose(so3_exp(step[3:]), step[:3])
        answer = Localization(
            np.eye(4),
            np.diag((CLAIMED * scale) ** 2),
            points3d[:, :2],
            points3d,
            np.ones(20),
            np.ones(20, bool),
        )
        found.append((answer, truth))
    return found


def test_is_what_the_covariances_lack():
    found = views(200, 5e-3, np.random.default_rng(0))
    lacking = np.sqrt(5e-3**2 - CLAIMED**2)
    assert _view_error(found, ValidationOptions()) == pytest.approx(lacking, rel=0.1)


def test_is_none_where_covariances_hold():
    found = views(200, 0.9 * CLAIMED, np.random.default_rng(0))
    assert _view_error(found, ValidationOptions()) == 0.0


def test_is_less_where_few_views_tell():
    found = views(3, 5e-3, np.random.default_rng(0))
    sure, doubtful = (
        _view_error(found, ValidationOptions(usual_weight=weight)) for weight in (0.0, 2.0)
    )
    assert doubtful == pytest.approx(sure * np.sqrt(3 / 5))
    assert _view_error([], ValidationOptions()) == 0.0


class TestAngularError:
    """Of a session that extends a map it has that of the earlier ones in it."""

    def test_is_at_least_that_of_earlier_sessions(self):
        found = [
            (replace(answer, residual_covariance=answer.covariance), truth)
            for answer, truth in views(200, 5e-3, np.random.default_rng(0))
        ]
        options = ValidationOptions(usual_weight=0.0)
        alone = _angular_error(found, 0.0, options)
        assert _angular_error(found, 0.6 * alone, options) == pytest.approx(alone, rel=0.01)
        assert _angular_error(found, 2 * alone, options) == 2 * alone

    def test_without_views_or_a_usual_one(self):
        assert _angular_error([], 0.0, ValidationOptions(usual_weight=0.0)) > 0


class TestCovarianceScale:
    def test_is_what_errors_need(self):
        found = views(200, 0.5 * CLAIMED, np.random.default_rng(0))
        assert _covariance_scale(found, ValidationOptions()) == pytest.approx(0.25, rel=0.15)

    def test_is_one_where_covariances_are_too_small(self):
        found = views(200, 2 * CLAIMED, np.random.default_rng(0))
        assert _covariance_scale(found, ValidationOptions()) == 1.0

    def test_is_nearer_to_one_where_few_views_tell(self):
        found = views(4, 0.5 * CLAIMED, np.random.default_rng(0))
        sure, doubtful = (
            _covariance_scale(found, ValidationOptions(usual_weight=weight))
            for weight in (0.0, 2.0)
        )
        assert sure < 0.6
        assert doubtful == pytest.approx(sure ** (4 / 6))
        assert _covariance_scale([], ValidationOptions()) == 1.0

    def test_is_never_next_to_nothing(self):
        found = views(200, 1e-6, np.random.default_rng(0))
        assert _covariance_scale(found, ValidationOptions()) == 0.1
