"""Covariances of poses given from outside."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.errors import PoseError
from aceg_ros.tracking.pose_prior import believable


def test_directions_left_out_become_wide():
    # What rviz's tool sends: x, y and yaw only.
    given = np.diag([0.25, 0.25, 0.0, 0.0, 0.0, 0.068])
    given[0, 1] = given[1, 0] = 0.1
    filled = believable(given)
    kept = np.ix_([0, 1, 5], [0, 1, 5])
    np.testing.assert_array_equal(filled[kept], given[kept])
    np.testing.assert_allclose(np.sqrt(np.diag(filled))[2:5], [1.0, np.pi / 6, np.pi / 6])
    assert np.linalg.eigvalsh(filled)[0] > 0


def test_nothing_given_is_wide_everywhere():
    assert np.linalg.eigvalsh(believable(np.zeros((6, 6))))[0] > 0.2


@pytest.mark.parametrize(
    ('covariance', 'words'),
    [
        (np.full((6, 6), np.nan), 'nan'),
        (np.diag([1.0, 1.0, 1.0, 1.0, 1.0, np.inf]), 'infinite'),
        (np.eye(6) + np.eye(6, k=1), 'symmetric'),
        (np.diag([1.0, 1.0, -1.0, 1.0, 1.0, 1.0]), 'negative'),
    ],
)
def test_no_covariance(covariance, words):
    with pytest.raises(PoseError, match=words):
        believable(covariance)
