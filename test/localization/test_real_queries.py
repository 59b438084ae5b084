"""A small map of a real kitchen: it finds its own views, knows how well, and refuses others."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets import open_dataset
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import LocalizationFailure
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import FitOptions, MappingOptions

OPTIONS = MappingOptions(budget=600.0, tokens=2048, fit=FitOptions(epochs=4, buffer_patches=30_000))


@pytest.fixture(scope='module')
def kitchen(shared):
    """Frames of the kitchen's first sequence, 300 in all."""
    return open_dataset(shared / 'data/redkitchen').select('seq-01').frames


@pytest.fixture(scope='module')
def localizer(kitchen, engine):
    """Of a map made from every 10th frame."""
    result = map_scene(kitchen[::10], engine, OPTIONS)
    return Localizer(result.code, engine)


@pytest.fixture(scope='module')
def evaluation(localizer, kitchen):
    """Of 30 frames midway between keyframes."""
    return evaluate(localizer, kitchen[5::10])


def test_finds_views_between_the_keyframes(evaluation):
    close = [result.within(15.0) for result in evaluation.results]
    assert np.mean(close) > 0.9


def test_covariance_is_honest(evaluation):
    """Errors are neither much larger nor much smaller than the covariances say.

    The normalized error squared of the position has 3 degrees of freedom and a median of 2.4 when
    covariances are perfect. A tenth to five times that is asked for: standard deviations that are
    at most 2.2 times too small or three times too large, from 30 views with correlated errors.
    """
    calibration = evaluation.calibration()['position']
    assert 0.25 < calibration['median'] < 12.0
    assert calibration['within_95'] > 0.5


def test_images_of_another_place_are_refused(localizer, shared):
    frames = open_dataset(shared / 'data/tum_fr1_rpy').select(every=10).frames
    answers = [localizer.localize(frame.image(), frame.camera) for frame in frames]
    assert all(isinstance(answer, LocalizationFailure) for answer in answers)
