"""Residuals between measured viewing rays and map points, for cameras of any field of view.

A point is compared with its ray on the plane that touches the unit sphere at the ray (the gnomonic
projection). With b the unit bearing, e1 and e2 an orthonormal basis of the plane and p the point in
the camera frame, r = focal * [e1.p, e2.p] / b.p. Near the optical axis r is the reprojection error
in pixels; off it, other than on the plane z = 1, the unit stays about one pixel of a fisheye lens,
and rays beyond 90 degrees are like any other. A pinhole image is stretched towards its rim, so
there r is a little smaller than the distance in that image.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.pose.mounting import Mounting

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Meters along the ray below which a point counts as behind the camera.
MIN_DEPTH = 1e-6


class Reprojection:
    """Tangent-plane residuals of unit `rays` (N, 3) against `points3d` (N, 3) in meters.

    `cameras` is the focal length of one camera in pixels, or how several are mounted on a rig:
    poses are then the rig's. All numbers are taken to be finite; `usable_rows` tells which ones
    are. What is computed has the measurements along its last axis, which is the fast way round.
    Raises ValueError when the two tables do not pair.
    """

    def __init__(self, rays: Array, points3d: Array, cameras: float | Mounting) -> None:
        if rays.ndim != 2 or rays.shape[1] != 3 or rays.shape != points3d.shape:
            raise ValueError(f'rays {rays.shape} and points {points3d.shape} are not both (N, 3)')
        mounting = Mounting.of(cameras, len(rays))
        self._focal = mounting.focals
        self._centers = np.ascontiguousarray(mounting.centers.T)
        self._points3d = np.ascontiguousarray(points3d.T, dtype=np.float64)
        self._frames = tangent_frames(mounting.turned(np.asarray(rays, dtype=np.float64)))

    def at(self, world_from_cam: Array) -> Residuals:
        """The residuals with the camera at a pose (4, 4)."""
        rotation, center = world_from_cam[:3, :3], world_from_cam[:3, 3]
        points_rig = rotation.T @ (self._points3d - center[:, None])
        local = np.einsum('jkn,jn->kn', self._frames, points_rig - self._centers)
        depth = local[2]
        ahead = depth > MIN_DEPTH
        inverse_depth = np.divide(1.0, depth, out=np.zeros_like(depth), where=ahead)
        plane = (self._focal * inverse_depth) * local[:2]
        return Residuals(plane, points_rig, inverse_depth, self._frames, self._focal)

    def errors(self, world_from_cam: Array) -> Array:
        """Lengths (N,) of the residuals in pixels, infinite behind a ray's tangent plane."""
        return np.asarray(np.sqrt(self.at(world_from_cam).squared()))

    def linearized(self, world_from_cam: Array) -> tuple[Array, Array]:
        """Residuals (2, N) px and their Jacobian (6, 2, N) by `moved`'s step; zeros when behind."""
        residuals = self.at(world_from_cam)
        return residuals.plane, residuals.jacobian()

    def scaled(self, factors: Array) -> Reprojection:
        """The same with residuals and Jacobians times ``factors`` (N,)."""
        result = copy(self)
        result._focal = self._focal * factors
        return result

    def subset(self, rows: Mask) -> Reprojection:
        """Return the same for the rows (N,) chosen."""
        result = copy(self)
        result._focal = self._focal[rows]
        result._centers = self._centers[:, rows]
        result._points3d = self._points3d[:, rows]
        result._frames = self._frames[:, :, rows]
        return result


@dataclass(frozen=True)
class Residuals:
    """Residuals of N points at one pose, and what their Jacobian is made of."""

    plane: Array  # (2, N) px, 0 behind a ray's tangent plane
    points_rig: Array  # (3, N) meters
    inverse_depth: Array  # (N,) 1 / b.p, 0 if behind
    frames: Array  # (3, 3, N) see `tangent_frames`
    focal: Array  # (N,) px

    def squared(self) -> Array:
        """Squared lengths (N,), infinite behind a ray's tangent plane."""
        x, y = self.plane
        return np.where(self.inverse_depth > 0, x * x + y * y, np.inf)

    def jacobian(self) -> Array:
        """(6, 2, N) by `moved`'s step; zeros when behind."""
        axes, bearing = self.frames[:, :2], self.frames[:, 2:]
        # By the point in the rig, (3, 2, N).
        gx, gy, gz = by_point = (axes * self.focal - self.plane * bearing) * self.inverse_depth
        x, y, z = self.points_rig
        jacobian = np.empty((6, *self.plane.shape))
        np.negative(by_point, out=jacobian[:3])
        # A camera turned by w sees the point p at p - w x p, and g.(p x w) = w.(g x p).
        jacobian[3] = gy * z - gz * y
        jacobian[4] = gz * x - gx * z
        jacobian[5] = gx * y - gy * x
        return jacobian


def moved(world_from_cam: Array, step: NDArray[np.floating]) -> Array:
    """Shift a camera by `step[:3]` meters and turn it by `step[3:]` radians about its own axes."""
    rotation = world_from_cam[:3, :3]
    return make_pose(rotation @ so3_exp(step[3:]), world_from_cam[:3, 3] + rotation @ step[:3])


def tangent_frames(rays: Array) -> Array:
    """Right-handed frames of unit `rays` (N, 3): result[:, 0], [:, 1], [:, 2] (3, N) are e1, e2, b.

    e1 and e2 tend to the camera's x and y near its axis and are defined in every direction (Duff et
    al., "Building an Orthonormal Basis, Revisited", JCGT 2017).
    """
    x, y, z = rays.T
    sign = np.copysign(1.0, z)
    a = -1.0 / (sign + z)
    b = x * y * a
    e1 = np.stack([1.0 + sign * x * x * a, sign * b, -sign * x])
    e2 = np.stack([b, sign + y * y * a, -y])
    return np.stack([e1, e2, rays.T], axis=1)


def usable_rows(*tables: Array) -> Mask:
    """Rows (N,) in which all tables, (N,) or (N, k), hold finite numbers."""
    return np.logical_and.reduce(
        [np.isfinite(table).all(axis=tuple(range(1, table.ndim))) for table in tables]
    )
