"""Which of two poses is likelier, and how likely it is then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.localization.candidate import Candidate, likelier
from aceg_ros.localization.result import Localization


def candidate(confidence, x=0.0):
    """At x meters from the origin; what it sees is 2 m away."""
    pose = np.eye(4)
    pose[0, 3] = x
    found = Localization(
        pose,
        np.eye(6),
        points2d=np.zeros((1, 2)),
        points3d=np.array([[x, 0.0, 2.0]]),
        sigma=np.ones(1),
        inliers=np.ones(1, bool),
        confidence=confidence,
    )
    return Candidate(found, None, None, None, None, None)


@pytest.mark.parametrize('order', [1, -1])
def test_the_greater_confidence(order):
    both = [candidate(0.6), candidate(0.8, x=0.01)][::order]
    assert likelier(*both).found.world_from_cam[0, 3] == 0.01


def test_the_same_pose_does_not_make_it_less_likely():
    assert likelier(candidate(0.8), candidate(0.6, x=0.09)).found.confidence == 0.8


def test_another_pose_makes_it_less_likely():
    """Of 9 : 1 against none and 4 : 1 against none, 9 of 14 are for the first."""
    assert likelier(candidate(0.9), candidate(0.8, x=0.11)).found.confidence == pytest.approx(
        9 / 14
    )


def test_two_poses_alike_are_refused_both():
    assert likelier(candidate(0.99), candidate(0.99, x=1.0)).found.confidence < 0.5


def test_an_unlikely_pose_elsewhere_changes_little():
    assert likelier(candidate(0.9), candidate(0.01, x=1.0)).found.confidence == pytest.approx(
        0.9, abs=1e-3
    )


@pytest.mark.parametrize('confidence', [0.0, 1.0])
def test_certainty_stays_finite(confidence):
    found = likelier(candidate(confidence), candidate(confidence, x=1.0)).found
    assert 0 <= found.confidence <= 0.5


def test_is_sure():
    each = candidate(0.9)
    assert (each.is_sure(0.9), each.is_sure(0.91)) == (True, False)
    without = replace(each, found=replace(each.found, confidence=float('nan')))
    assert without.is_sure(1.0)
