"""What an answer says of its own matches."""

from __future__ import annotations

import numpy as np

from aceg_ros.geometry.poses import inverse, transform_points


def reprojection_errors(answer, camera):
    """By how much the pose given misses its matches, (N,) px."""
    points_cam = transform_points(inverse(answer.world_from_cam), answer.points3d)
    return np.linalg.norm(camera.project(points_cam) - answer.points2d, axis=1)
