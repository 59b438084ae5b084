"""Where a map lies in another, from pairs of poses of the same images."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.errors import AlignmentError
from aceg_ros.geometry.poses import inverse, make_pose, se3_exp, so3_exp
from aceg_ros.localization.registration import PosePair, register, require_known
from aceg_ros.localization.result import Localization
from aceg_ros.pose.consistency import mahalanobis2, pose_residual

TRUE = make_pose(so3_exp([0.1, -0.2, 2.0]), [30.0, -7.0, 1.0])
STD = np.array([0.02] * 3 + [0.004] * 3)


def answer(pose):
    """A localization at a pose, of things 3 m away."""
    points = pose[:3, 3] + 3.0 * np.eye(3)
    return Localization(
        pose, np.diag(STD**2), np.zeros((3, 2)), points, np.ones(3), np.ones(3, bool)
    )


def noisy(pose, rng):
    shift, turn = np.split(rng.normal(size=6) * STD, 2)
    return make_pose(so3_exp(turn) @ pose[:3, :3], pose[:3, 3] + shift)


def pairs(count=40, wrong=0, seed=0, spread=3.0):
    """Images localized in two maps, the last ``wrong`` of them elsewhere in the second."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        second = make_pose(so3_exp(rng.normal(size=3)), spread * rng.normal(size=3))
        first = TRUE @ second
        if index >= count - wrong:
            second = second @ se3_exp(rng.normal(size=6))
        found.append(PosePair(answer(noisy(first, rng)), answer(noisy(second, rng))))
    return found


def error_of(found):
    """Shift and turn (6,) about the registration's center that lead from it to the truth."""
    about = make_pose(np.eye(3), found.center)
    rest = TRUE @ inverse(found.new_from_old)
    return pose_residual(inverse(about) @ rest @ about, np.eye(4))


def test_the_transform_is_found():
    found = register(pairs(), 0.0)
    error = error_of(found)
    assert np.linalg.norm(error[:3]) < 0.02
    assert np.degrees(np.linalg.norm(error[3:])) < 0.15
    assert found.agreeing.all()


@pytest.mark.parametrize('seed', range(3))
def test_wrong_poses_do_not_matter(seed):
    given = pairs(wrong=14, seed=seed)
    found = register(given, 0.0)
    np.testing.assert_array_equal(found.agreeing, np.arange(40) < 26)
    clean = register(given[:26], 0.0)
    np.testing.assert_allclose(found.new_from_old, clean.new_from_old, atol=1e-9)


def test_the_covariance_is_honest():
    """Normalized errors squared are those of chi-squared with six degrees of freedom."""
    squares = []
    for seed in range(60):
        found = register(pairs(count=12, seed=seed), 0.0)
        squares.append(mahalanobis2(error_of(found), found.covariance[:6, :6]))
    assert 3.0 < np.mean(squares) < 8.0


def test_errors_of_the_maps_do_not_average_out():
    small, large = (register(pairs(), angle) for angle in (0.0, 0.01))
    assert small.turn_std < 0.1
    assert large.turn_std == pytest.approx(np.degrees(0.01), rel=0.1)


def test_far_places_are_less_sure():
    found = register(pairs(), 0.002)
    near, far = found.std_at(found.center), found.std_at(found.center + [100.0, 0.0, 0.0])
    assert near < 0.02
    assert far > 0.15
    require_known(found, found.center[None])
    with pytest.raises(AlignmentError, match='second map may be off by'):
        require_known(found, found.center + [[100.0, 0.0, 0.0]])


def test_too_few_images():
    with pytest.raises(AlignmentError, match='4 images were localized in both maps, but 5'):
        register(pairs(count=4), 0.0)


def test_poses_that_do_not_agree():
    with pytest.raises(AlignmentError, match=r'only 1\d of 20 images have poses in both maps'):
        register(pairs(count=20, wrong=9), 0.0)
