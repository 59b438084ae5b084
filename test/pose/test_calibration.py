"""The camera that fits matches best, beside the one that is calibrated."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.geometry.poses import inverse, make_pose, so3_exp, transform_points
from aceg_ros.pose.calibration import CameraFit, fit_camera

FOCAL = 500.0
POSE = make_pose(so3_exp([0.2, -0.4, 0.1]), np.array([1.0, -2.0, 0.5]))
OFF = make_pose(so3_exp([0.01, 0.0, -0.01]), np.array([0.05, 0.02, -0.05]))


def matches(factor=1.0, shift=(0.0, 0.0), depth=(1.0, 6.0), noise_px=2.0, count=400):
    """Rays as a camera takes them whose focal length is ``factor`` times the calibrated one."""
    rng = np.random.default_rng(0)
    plane = rng.uniform([-0.6, -0.45], [0.6, 0.45], (count, 2))
    local = np.c_[plane, np.ones(count)] * rng.uniform(*depth, (count, 1))
    seen = factor * plane + shift + rng.normal(0, noise_px / FOCAL, (count, 2))
    rays = np.c_[seen, np.ones(count)]
    return rays / np.linalg.norm(rays, axis=1, keepdims=True), transform_points(POSE, local)


def fit(rays, points3d, start=POSE):
    return fit_camera(rays, points3d, np.ones(len(rays)), FOCAL, start)


def test_calibrated_one_fits():
    found = fit(*matches(), start=POSE @ OFF)
    assert found.focal_factor == pytest.approx(1.0, abs=0.03)
    assert found.misfit(0.03, 0.05) < 2


@pytest.mark.parametrize('factor', [0.6, 0.8, 1.2])
def test_another_focal_length_and_principal_point(factor):
    """From the pose at which the calibrated camera sees these matches best."""
    rays, points3d = matches(factor, (0.05, -0.03))
    back = POSE.copy()
    back[:3, 3] -= POSE[:3, 2] * 2.5 * (1 / factor - 1)
    found = fit(rays, points3d, back)
    assert found.focal_factor == pytest.approx(factor, rel=0.05)
    np.testing.assert_allclose(found.change[1:], (0.05, -0.03), atol=0.02)
    assert (found.misfit(0.03, 0.05) > 5) == (factor < 1)


def test_its_deviation_holds():
    rays, points3d = matches()
    rng = np.random.default_rng(1)
    changes = []
    for _ in range(30):
        some = rng.choice(len(rays), 200, replace=False)
        found = fit(rays[some], points3d[some])
        changes.append(found.change[0] / np.sqrt(found.covariance[0, 0]))
    assert 0.4 < np.sqrt(np.mean(np.square(changes))) < 2.0


def test_a_plane_does_not_tell():
    """A pose makes up for any focal length where all is equally far away."""
    rays, points3d = matches(0.7, depth=(3.0, 3.0))
    back = POSE.copy()
    back[:3, 3] -= POSE[:3, 2] * 3.0 * (1 / 0.7 - 1)
    assert fit(rays, points3d, back).misfit(0.03, 0.05) < 2


def test_wrong_matches_do_not_count():
    rays, points3d = matches()
    points3d[:150] += np.random.default_rng(2).uniform(-3, 3, (150, 3))
    assert fit(rays, points3d).focal_factor == pytest.approx(1.0, abs=0.04)


def test_few_matches_say_nothing():
    rays, points3d = matches(count=25)
    assert fit(rays, points3d) is None


def test_points_behind_the_camera():
    rays, points3d = matches()
    behind = transform_points(POSE, transform_points(inverse(POSE), points3d) * [1, 1, -1])
    assert fit(rays, behind) is None


class TestMisfit:
    """Deviations by which the calibrated camera is off."""

    def misfit(self, factor, x=0.0, focal_tolerance=0.04):
        change = np.array([np.log(factor), x, 0.0])
        return CameraFit(change, 0.03**2 * np.eye(3)).misfit(focal_tolerance, 0.04)

    def test_counts_a_shorter_focal_length(self):
        assert self.misfit(np.exp(-0.2)) == pytest.approx(4.0)

    def test_and_the_principal_point_with_it(self):
        assert self.misfit(np.exp(-0.2), 0.15) == pytest.approx(5.0)

    def test_but_no_longer_one(self):
        assert self.misfit(np.exp(0.2), 0.15) == 0.0

    def test_begins_at_nothing(self):
        """The principal point counts by as much as the focal length is shorter."""
        assert self.misfit(1.0, 0.15) == 0.0
        assert 0.0 < self.misfit(np.exp(-0.01), 0.15) < 0.2 * self.misfit(np.exp(-0.05), 0.15) * 1.1

    def test_the_greater_the_tolerance_the_less(self):
        assert self.misfit(np.exp(-0.2), focal_tolerance=0.1) < 2
