"""Synthetic 2D-3D matches with a known pose, for cameras of every model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aceg_ros.geometry.cameras import Camera, intrinsic_matrix
from aceg_ros.geometry.poses import make_pose, so3_exp, so3_log, transform_points

WIDE_K = intrinsic_matrix(310.0, 300.0, 350.2, 210.7)
CAMERAS = {
    'pinhole': Camera.pinhole(640, 480, 525.0, 525.0, 320.0, 240.0),
    'plumb_bob': Camera('plumb_bob', 640, 480, WIDE_K, [-0.28, 0.074, 0.002, -0.003]),
    'rational_polynomial': Camera(
        'rational_polynomial', 640, 480, WIDE_K, [16.7, 30.3, 1.2e-3, -8e-4, 4.1, 17.0, 36.0, 12.9]
    ),
    # A lens of more than 180 degrees across.
    'equidistant': Camera(
        'equidistant',
        848,
        800,
        intrinsic_matrix(230.0, 232.0, 424.355, 393.742),
        [-0.01, 0.004, -0.001, 0.0001],
    ),
}


@dataclass(frozen=True)
class Matches:
    """Rays and points of one view; the first `outliers` rows are wrong."""

    camera: Camera
    world_from_cam: np.ndarray
    rays: np.ndarray
    points3d: np.ndarray
    outliers: int

    @property
    def is_true(self):
        return np.arange(len(self.rays)) >= self.outliers


def random_pose(rng):
    return make_pose(so3_exp(rng.normal(size=3)), rng.normal(size=3) * 3.0)


def matches(camera, rng, count=400, outliers=0.0, noise_px=1.0, offsets_px=None):
    """Points 1 to 4 m away, seen with Gaussian noise or with the `offsets_px` (N, 2) given."""
    world_from_cam = random_pose(rng)
    size = camera.width, camera.height
    points2d = rng.uniform(0, size, (4 * count, 2))
    points2d = points2d[np.isfinite(camera.rays(points2d)).all(axis=1)][:count]
    points_cam = camera.rays(points2d) * rng.uniform(1.0, 4.0, (count, 1))
    if offsets_px is None:
        offsets_px = rng.normal(size=(count, 2)) * noise_px
    else:
        offsets_px = offsets_px(points2d)
    rays = camera.rays(points2d + offsets_px)
    wrong = int(count * outliers)
    points_cam[:wrong] = rng.uniform([-4, -4, -1], [4, 4, 5], (wrong, 3))
    points3d = transform_points(world_from_cam, points_cam)
    return Matches(camera, world_from_cam, rays, points3d, wrong)


def perturbed(world_from_cam, rng, meters=0.03, radians=0.01):
    turn = so3_exp(rng.normal(size=3) * radians)
    center = world_from_cam[:3, 3] + rng.normal(size=3) * meters
    return make_pose(turn @ world_from_cam[:3, :3], center)


def error_vector(estimate, truth):
    """What `estimate` lacks of `truth`, (6,), in the convention of the covariance."""
    turn = so3_log(truth[:3, :3] @ estimate[:3, :3].T)
    return np.concatenate([truth[:3, 3] - estimate[:3, 3], turn])


def normalized_error_squared(refined, truth):
    error = error_vector(refined.world_from_cam, truth)
    return float(error @ np.linalg.solve(refined.covariance, error))
