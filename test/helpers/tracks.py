"""Poses, covariances and odometry that the tracking tests share."""

from __future__ import annotations

import numpy as np

from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.tracking.gate import Fix

COVARIANCE = np.diag([0.02, 0.02, 0.03, 0.004, 0.004, 0.005]) ** 2
# An odometry that started anywhere.
MAP_FROM_ODOM = make_pose(so3_exp([0.0, 0.0, 2.1]), [4.0, -3.0, 0.2])


def at(x: float, y: float = 0.0, yaw_deg: float = 0.0) -> np.ndarray:
    """A body on the floor: meters and degrees."""
    return make_pose(so3_exp([0.0, 0.0, np.radians(yaw_deg)]), [x, y, 0.0])


def fix(stamp: float, pose: np.ndarray, odom: np.ndarray | None = None, map_id: str = '') -> Fix:
    """A fix of usual certainty."""
    return Fix(stamp, pose, COVARIANCE, odom, map_id)


def disturbed(pose: np.ndarray, error: np.ndarray) -> np.ndarray:
    """``pose`` moved and turned by ``error`` (6,) in the map's axes, as covariances mean it."""
    return make_pose(so3_exp(error[3:]) @ pose[:3, :3], pose[:3, 3] + error[:3])
