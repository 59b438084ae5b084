"""How a camera's pose becomes that of the body that carries it, and of its odometry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import inverse, skew

Array = NDArray[np.float64]

# The axes of a body (x forward, y left, z up) that looks where an optical frame does, REP-103.
BODY_FROM_OPTICAL = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


def carry(map_from_a: Array, covariance: Array, a_from_b: Array) -> tuple[Array, Array]:
    """Pose map_from_b (4, 4) and its covariance (6, 6) of a frame b held rigidly by frame a.

    Covariances order x, y, z (meters), then rotations about the map's fixed axes (radians). A turn
    of a moves b by the lever arm between the two, so b's position is less certain than a's.
    """
    map_from_b = map_from_a @ a_from_b
    lever = map_from_b[:3, 3] - map_from_a[:3, 3]
    jacobian = np.eye(6)
    jacobian[:3, 3:] = -skew(lever)
    return map_from_b, jacobian @ covariance @ jacobian.T


def map_from_odom(map_from_body: Array, odom_from_body: Array) -> Array:
    """Where the odometry's origin lies in the map (4, 4), from the same body at one instant."""
    return map_from_body @ inverse(odom_from_body)
