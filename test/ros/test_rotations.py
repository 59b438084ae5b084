"""Rotations of messages, by whichever package gives them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aceg_ros.errors import PoseError
from aceg_ros.ros.middleware import rotations


@pytest.fixture(params=['transforms3d', 'tf_transformations'])
def package(request, monkeypatch):
    """Each of the packages in turn."""
    if request.param == 'transforms3d':
        monkeypatch.setattr(rotations, 'tf_transformations', None)
    elif rotations.tf_transformations is None:
        pytest.skip('tf_transformations is a package of ROS, and not installed')


def turns():
    """Rotations of every size: none, tiny, random, and half turns about several axes."""
    vectors = [np.zeros(3), np.array([1e-9, 0.0, 0.0])]
    vectors += list(Rotation.random(50, random_state=1).as_rotvec())
    axes = [*np.eye(3), -np.eye(3)[2], np.array([0.6, 0.8, 0.0])]
    vectors += [np.pi * axis for axis in axes] + [(np.pi - 1e-7) * axis for axis in axes]
    return [Rotation.from_rotvec(vector) for vector in vectors]


def test_quaternions_are_those_of_scipy_both_ways(package):
    for turn in turns():
        matrix = turn.as_matrix()
        xyzw = rotations.quaternion_from_rotation(matrix)
        assert xyzw[3] >= 0
        assert abs(np.dot(xyzw, turn.as_quat())) == pytest.approx(1.0, abs=1e-14)
        np.testing.assert_allclose(rotations.rotation_from_quaternion(xyzw), matrix, atol=2e-15)


def test_rounded_matrices_and_quaternions_become_the_nearest_rotation(package):
    turn = Rotation.from_euler('xyz', [20, -50, 130], degrees=True)
    off = turn.as_matrix() + np.random.default_rng(1).normal(0, 1e-3, (3, 3))
    u, _, vt = np.linalg.svd(off)
    xyzw = rotations.quaternion_from_rotation(off)
    np.testing.assert_allclose(Rotation.from_quat(xyzw).as_matrix(), u @ vt, atol=1e-12)
    found = rotations.rotation_from_quaternion(1.05 * turn.as_quat())
    np.testing.assert_allclose(found, turn.as_matrix(), atol=1e-12)


@pytest.mark.parametrize('xyzw', [(0, 0, 0, 0), (0, 0, 0, 2), (np.nan, 0, 0, 1), (0, 0, 1)])
def test_what_is_no_rotation_is_refused(package, xyzw):
    with pytest.raises(PoseError, match='quaternion'):
        rotations.rotation_from_quaternion(xyzw)


def test_euler_angles_turn_about_fixed_axes(package):
    angles = 0.3, -0.7, 2.1
    found = rotations.rotation_from_euler(*angles)
    np.testing.assert_allclose(found, Rotation.from_euler('xyz', angles).as_matrix(), atol=1e-14)
