"""What flaws do to images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fakes import CAMERA, pose_at, render, texture

from aceg_ros.lab.traps import images

FLAWS = (
    images.motion_blur,
    images.overexposed,
    images.underexposed,
    images.flash,
    images.raindrops,
    images.rolling_noise,
    images.person,
    images.photograph_before_half,
    images.on_a_screen,
    images.poster_elsewhere,
    images.mirrored,
    images.blank_wall,
    images.covered_lens,
    images.another_place,
)


@pytest.fixture(scope='module')
def place() -> np.ndarray:
    return render(CAMERA, pose_at(0.0, 0.0, 0.0))


@pytest.fixture(scope='module')
def other() -> np.ndarray:
    return np.ascontiguousarray(texture(99)[:240, :320])


def apply(flaw, place, other, seed=3):
    return flaw(place, other, np.random.default_rng(seed))


def same(first, second) -> np.ndarray:
    """Which pixels are the same."""
    return (first == second).all(axis=2)


@pytest.mark.parametrize('flaw', FLAWS)
def test_is_an_image_that_another_run_gives_again(flaw, place, other):
    before = place.copy(), other.copy()
    flawed = apply(flaw, place, other)
    assert flawed.dtype == np.uint8
    assert flawed.shape == place.shape
    assert (flawed == apply(flaw, place, other)).all()
    assert not same(flawed, place).all()
    assert (place == before[0]).all()
    assert (other == before[1]).all()


@pytest.mark.parametrize('flaw', [images.blank_wall, images.covered_lens])
def test_nothing_is_left_to_see(flaw, place, other):
    smooth = cv2.GaussianBlur(apply(flaw, place, other), (0, 0), 3).astype(float)
    steps = np.abs(np.diff(smooth, axis=1))
    assert steps.max() < 3.0


def test_exposure(place, other):
    assert apply(images.overexposed, place, other).mean() > 1.3 * place.mean()
    assert apply(images.underexposed, place, other).mean() < 0.2 * place.mean()


def test_blur_takes_detail_away(place, other):
    blurred = apply(images.motion_blur, place, other)
    sharpness = [cv2.Laplacian(image, cv2.CV_64F).var() for image in (blurred, place)]
    assert sharpness[0] < 0.5 * sharpness[1]


@pytest.mark.parametrize('seed', range(4))
def test_half_of_the_lens_stays_free(place, other, seed):
    share = same(apply(images.photograph_before_half, place, other, seed), place).mean()
    assert 0.35 < share < 0.65


@pytest.mark.parametrize('seed', range(4))
def test_person_leaves_an_edge_free(place, other, seed):
    flawed = apply(images.person, place, other, seed).astype(int)
    untouched = (np.abs(flawed - place).max(axis=2) < 20).mean()
    assert 0.1 < untouched < 0.6


@pytest.mark.parametrize(
    ('flaw', 'low', 'high'), [(images.on_a_screen, 0.3, 0.75), (images.poster_elsewhere, 0.7, 0.95)]
)
def test_the_rest_is_the_other_place(place, other, flaw, low, high):
    assert low < same(apply(flaw, place, other), other).mean() < high


def test_mirror_twice_is_nothing(place, other):
    assert (apply(images.mirrored, apply(images.mirrored, place, other), other) == place).all()
