"""Lens distortion on normalized coordinates, forward and inverse.

Both families bend a radial coordinate t by t * N(t^2) / D(t^2) with polynomials N and D: in the
perspective models (OpenCV calib3d, `plumb_bob` and `rational_polynomial` in ROS) t is the distance
from the axis on the plane z = 1, to which a tangential shift is added; in the fisheye model
(Kannala and Brandt 2006; OpenCV fisheye; `equidistant` in ROS) t is the angle from the axis.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import polynomial as poly
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A perspective model is followed up to this angle from the axis; its coordinates end at 90 degrees.
MAX_PERSPECTIVE_ANGLE = np.deg2rad(89.9)
TABLE_SIZE = 1024
MAX_NEWTON_STEPS = 30
# Distance at which a solution counts as found, in focal lengths: below 1e-7 px in any camera.
TOLERANCE = 1e-11


class RadialProfile:
    """The function t -> t * N(t^2) / D(t^2) on [0, limit], where it grows and can be inverted.

    `limit` ends at the first turning point or pole: beyond it several rays share a pixel.
    """

    def __init__(self, numerator: Array, denominator: Array, samples: Array) -> None:
        """Take coefficients of N and D in rising powers of t^2, and t samples from 0 upwards."""
        self._numerator = numerator
        self._denominator = denominator
        product = poly.polymul(numerator, denominator)
        bend = poly.polysub(
            poly.polymul(poly.polyder(numerator), denominator),
            poly.polymul(numerator, poly.polyder(denominator)),
        )
        self._slope_numerator = poly.polyadd(product, 2.0 * poly.polymulx(bend))
        self._slope_denominator = poly.polymul(denominator, denominator)
        # Stop just short of a turning point or pole, where the inverse is not defined.
        edge = (1.0 - 1e-6) * min(
            _first_positive_root(self._slope_numerator), _first_positive_root(denominator)
        )
        self.limit = min(float(samples[-1]), edge)
        self._samples = np.append(samples[samples < self.limit], self.limit)
        self._values = self._samples * self.factor(self._samples**2)

    def factor(self, squared: Array) -> Array:
        """N / D at t^2 (...)."""
        return poly.polyval(squared, self._numerator) / poly.polyval(squared, self._denominator)

    def factor_slope(self, squared: Array) -> Array:
        """Derivative of N / D by t^2 at t^2 (...)."""
        n, d = poly.polyval(squared, self._numerator), poly.polyval(squared, self._denominator)
        dn = poly.polyval(squared, poly.polyder(self._numerator))
        dd = poly.polyval(squared, poly.polyder(self._denominator))
        return (dn * d - n * dd) / d**2

    def invert(self, bent: Array) -> Array:
        """Solve for t (...) from the bent values (...); nan beyond the limit."""
        t = np.interp(bent, self._values, self._samples)
        t = np.where(bent <= self._values[-1], t, np.nan)
        for _ in range(MAX_NEWTON_STEPS):
            squared = t * t
            error = t * self.factor(squared) - bent
            if not (np.abs(error) > TOLERANCE).any():
                break
            slope = poly.polyval(squared, self._slope_numerator) / poly.polyval(
                squared, self._slope_denominator
            )
            t = np.clip(t - error / slope, 0.0, self.limit)
        return np.where(np.abs(t * self.factor(t * t) - bent) <= TOLERANCE * 100, t, np.nan)


def _first_positive_root(coefficients: Array) -> float:
    """Smallest positive t with polynomial(t^2) = 0, infinite when there is none."""
    roots = poly.polyroots(poly.polytrim(coefficients))
    real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
    return float(np.sqrt(real.min())) if real.size else np.inf


class PerspectiveDistortion:
    """OpenCV's k1, k2, p1, p2, k3, k4, k5, k6 (8,) on the plane z = 1."""

    def __init__(self, coefficients: Array) -> None:
        k1, k2, self._p1, self._p2, k3, k4, k5, k6 = coefficients
        self._profile = RadialProfile(
            np.array([1.0, k1, k2, k3]),
            np.array([1.0, k4, k5, k6]),
            np.tan(np.linspace(0.0, MAX_PERSPECTIVE_ANGLE, TABLE_SIZE)),
        )

    def distort(self, points: Array) -> Array:
        """Bend points (N, 2) of the plane z = 1; nan outside the model's domain."""
        squared = (points**2).sum(axis=1)
        inside = squared <= self._profile.limit**2
        return self._bend(np.where(inside[:, None], points, np.nan))

    def undistort(self, points: Array) -> Array:
        """Straighten bent points (N, 2) by Newton's method; nan where none bends to them."""
        bent_radius = np.linalg.norm(points, axis=1)
        radius = self._profile.invert(bent_radius)
        scale = np.divide(radius, bent_radius, out=np.ones_like(radius), where=bent_radius > 0)
        result = points * scale[:, None]
        if self._p1 == 0.0 and self._p2 == 0.0:
            return result
        # Near the rim the tangential shift can reach what the radial part alone cannot.
        rim = np.isnan(radius) & np.isfinite(bent_radius)
        result[rim] = points[rim] * (0.9 * self._profile.limit / bent_radius[rim])[:, None]
        return self._polish(result, points)

    def _polish(self, result: Array, target: Array) -> Array:
        for _ in range(MAX_NEWTON_STEPS):
            error = self._bend(result) - target
            if not (np.abs(error) > TOLERANCE).any():
                break
            (a, b), (c, d) = self._jacobian(result)
            with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
                determinant = a * d - b * c
                step_x = (d * error[:, 0] - b * error[:, 1]) / determinant
                step_y = (a * error[:, 1] - c * error[:, 0]) / determinant
                result = result - np.stack([step_x, step_y], axis=1)
        with np.errstate(invalid='ignore', over='ignore'):
            error = np.abs(self._bend(result) - target).max(axis=1)
            inside = (result**2).sum(axis=1) <= self._profile.limit**2
            found = (error <= TOLERANCE * 100) & inside
        return np.where(found[:, None], result, np.nan)

    def _bend(self, points: Array) -> Array:
        x, y = points[:, 0], points[:, 1]
        squared = x * x + y * y
        factor = self._profile.factor(squared)
        bent_x = x * factor + 2.0 * self._p1 * x * y + self._p2 * (squared + 2.0 * x * x)
        bent_y = y * factor + self._p1 * (squared + 2.0 * y * y) + 2.0 * self._p2 * x * y
        return np.stack([bent_x, bent_y], axis=1)

    def _jacobian(self, points: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        x, y = points[:, 0], points[:, 1]
        squared = x * x + y * y
        factor = self._profile.factor(squared)
        slope = 2.0 * self._profile.factor_slope(squared)
        xx = factor + slope * x * x + 2.0 * self._p1 * y + 6.0 * self._p2 * x
        yy = factor + slope * y * y + 6.0 * self._p1 * y + 2.0 * self._p2 * x
        xy = slope * x * y + 2.0 * self._p1 * x + 2.0 * self._p2 * y
        return (xx, xy), (xy, yy)


class FisheyeDistortion:
    """Kannala and Brandt's k1, k2, k3, k4 (4,): bent angle = a (1 + k1 a^2 + ... + k4 a^8)."""

    def __init__(self, coefficients: Array) -> None:
        self._profile = RadialProfile(
            np.concatenate([[1.0], coefficients]),
            np.ones(1),
            np.linspace(0.0, np.pi, TABLE_SIZE),
        )

    def project(self, points_cam: Array) -> Array:
        """Image plane coordinates (N, 2), in focal lengths, of camera points (N, 3)."""
        radius = np.linalg.norm(points_cam[:, :2], axis=1)
        depth = points_cam[:, 2]
        angle = np.arctan2(radius, depth)
        bent = angle * self._profile.factor(angle * angle)
        # Straight behind the camera every direction in the image is as right as another.
        seen = (angle <= self._profile.limit) & ((radius > 0) | (depth > 0))
        scale = np.divide(bent, radius, out=np.zeros_like(bent), where=radius > 0)
        return np.where(seen[:, None], points_cam[:, :2] * scale[:, None], np.nan)

    def unproject(self, points: Array) -> Array:
        """Unit rays (N, 3) of image plane coordinates (N, 2); nan beyond the model's domain."""
        bent = np.linalg.norm(points, axis=1)
        angle = self._profile.invert(bent)
        scale = np.divide(np.sin(angle), bent, out=np.ones_like(bent), where=bent > 0)
        return np.concatenate([points * scale[:, None], np.cos(angle)[:, None]], axis=1)
