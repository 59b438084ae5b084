"""Whether an estimate's error is what its covariance promises."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import so3_log

Array = NDArray[np.float64]


def pose_residual(world_from_cam: Array, estimate: Array) -> Array:
    """Error (6,) of an `estimate`, in the axes and order of `Localization.covariance`.

    The step from the estimate to the truth `world_from_cam`: meters along the map's x, y, z, then
    the rotation vector, in radians about the same axes, of exp(r) R_estimate = R_truth.
    """
    shift = world_from_cam[:3, 3] - estimate[:3, 3]
    turn = so3_log(world_from_cam[:3, :3] @ estimate[:3, :3].T)
    return np.concatenate([shift, turn])


def normalized_errors(
    world_from_cam: Array, estimate: Array, covariance: Array
) -> tuple[float, float, float]:
    """Normalized error squared of an `estimate` as a whole, of its position and of its rotation.

    e' P^-1 e with the error e and its covariance P, which is chi-squared with 6, 3 and 3 degrees of
    freedom when P is honest (Bar-Shalom et al., "Estimation with Applications to Tracking and
    Navigation", 2001, section 5.4). Infinite when P is not positive definite.
    """
    error = pose_residual(world_from_cam, estimate)
    return (
        mahalanobis2(error, covariance),
        mahalanobis2(error[:3], covariance[:3, :3]),
        mahalanobis2(error[3:], covariance[3:, 3:]),
    )


def mahalanobis2(error: Array, covariance: Array) -> float:
    """e' P^-1 e of an error (N,) and its covariance (N, N); infinite when that is not positive."""
    if not np.isfinite(covariance).all():
        return math.inf
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return math.inf
    return float((np.linalg.solve(root, error) ** 2).sum())
