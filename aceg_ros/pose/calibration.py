"""Whether 2D-3D matches fit the camera as it is calibrated.

A picture of a place, on a screen or on paper, shows the place as the camera saw it that took the
picture. Where it fits into an image, it is smaller than the view that it shows. So it looks as if
taken with a shorter focal length, and another principal point. A pose can make up for that only
where everything is equally far away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.pose.covariance import image_blocks
from aceg_ros.pose.reprojection import moved

Array = NDArray[np.float64]

_MIN_RAY_Z = 0.3  # rays farther from the axis are not used
_MIN_DEPTH = 1e-6
_MIN_MATCHES = 30
_LIMITS_PX = (16.0, 16.0, 12.0)  # of the residuals that count, one after the other
_STEPS = 8  # for each limit
_FLOOR_PX = 2.0  # deviation that even the best of matches have
_KERNEL = 1.5  # deviations, from which on residuals count less
_DAMPING = 1e-6  # of the normal matrix, relative to its diagonal
_SETTLED = 1e-6


@dataclass(frozen=True)
class CameraFit:
    """The camera that fits matches best, beside the one that is calibrated."""

    # (3,) logarithm of the factor on the focal length, shift of the principal point in x and y as
    # parts of the focal length; all 0 where the calibration fits
    change: Array
    covariance: Array  # (3, 3)

    @property
    def focal_factor(self) -> float:
        """By how much the focal length fits better."""
        return float(np.exp(self.change[0]))

    def misfit(self, focal_tolerance: float, center_tolerance: float) -> float:
        """How many standard deviations the calibrated camera is from the one that fits.

        0 where a longer focal length fits, because a picture within an image has a shorter one.
        Where it is shorter by less than a deviation, the part of that counts. The tolerances are
        standard deviations of calibrated cameras: of the logarithm of the focal length, and of the
        principal point as a part of it. (Mahalanobis distance.)
        """
        tolerance = np.diag([focal_tolerance, center_tolerance, center_tolerance])
        covariance = self.covariance + tolerance**2
        shorter = np.clip(-self.change[0] / np.sqrt(covariance[0, 0]), 0.0, 1.0)
        return float(shorter * np.sqrt(self.change @ np.linalg.solve(covariance, self.change)))


def fit_camera(
    rays: Array, points3d: Array, sigma_px: Array, focal: float, world_from_cam: Array
) -> CameraFit | None:
    """The camera that fits matches best, together with its pose, which begins at one (4, 4).

    ``rays`` (N, 3) are unit bearings in the camera frame, ``points3d`` (N, 3) map units,
    ``sigma_px`` (N,) deviations per axis, ``focal`` pixels. Gauss-Newton steps on residuals that
    are reweighted by 1 / sqrt(1 + s^2) (Huber's loss made smooth). None with fewer than 30 matches
    that agree, or where they do not determine the camera.
    """
    usable = rays[:, 2] > _MIN_RAY_Z
    seen = rays[usable, :2] / rays[usable, 2:]
    points, sigma = points3d[usable], np.hypot(sigma_px[usable], _FLOOR_PX) / focal
    pose, change = world_from_cam, np.zeros(3)
    for limit in _LIMITS_PX:
        residuals, _ = _linearized(pose, change, points, seen)
        near = np.linalg.norm(residuals, axis=1) * focal < limit
        if near.sum() < _MIN_MATCHES:
            return None
        for _ in range(_STEPS):
            residuals, jacobian = _linearized(pose, change, points[near], seen[near])
            scaled = residuals / sigma[near, None]
            root = np.sqrt(1 + (scaled**2).sum(axis=1) / _KERNEL**2)
            weight = (1 / (root * sigma[near] ** 2))[:, None, None]
            normal = (jacobian * weight).reshape(-1, 9).T @ jacobian.reshape(-1, 9)
            gradient = ((jacobian * weight) * residuals[..., None]).sum(axis=(0, 1))
            normal += _DAMPING * np.diag(np.diag(normal))
            try:
                step = -np.linalg.solve(normal, gradient)
            except np.linalg.LinAlgError:
                return None
            if not np.isfinite(step).all():
                return None
            pose = moved(pose, step[:6])
            change = change + step[6:]
            if float(-gradient @ step) < _SETTLED * len(residuals):
                break
    # Neighboring patches err together, so that the covariance is that of groups of them.
    pulls = (jacobian * weight * residuals[..., None]).sum(axis=1)
    group = image_blocks(rays[usable][near], np.zeros(int(near.sum()), int))
    summed = np.zeros((int(group.max()) + 1, 9))
    np.add.at(summed, group, pulls)
    inverse_normal = np.linalg.inv(normal)
    covariance = (inverse_normal @ (summed.T @ summed) @ inverse_normal)[6:, 6:]
    return CameraFit(change, covariance) if np.isfinite(covariance).all() else None


def _linearized(pose: Array, change: Array, points: Array, seen: Array) -> tuple[Array, Array]:
    """Residuals (N, 2) in focal lengths, and their Jacobian (N, 2, 9).

    By a shift and a turn of the camera about its own axes, and by the change of the camera.
    """
    local = transform_points(inverse(pose), points)
    x, y, z = local.T
    z = np.maximum(z, _MIN_DEPTH)
    plane = np.stack([x / z, y / z], axis=1)
    factor = np.exp(change[0])
    residuals = factor * plane + change[1:] - seen
    by_point = np.zeros((len(points), 2, 3))
    by_point[:, 0, 0] = by_point[:, 1, 1] = factor / z
    by_point[:, :, 2] = -factor * plane / z[:, None]
    jacobian = np.zeros((len(points), 2, 9))
    jacobian[:, :, :3] = -by_point
    # A camera turned by w sees the point p at p - w x p, and g.(p x w) = w.(g x p).
    jacobian[:, :, 3:6] = np.cross(by_point, local[:, None])
    jacobian[:, :, 6] = factor * plane
    jacobian[:, 0, 7] = jacobian[:, 1, 8] = 1.0
    return residuals, jacobian
