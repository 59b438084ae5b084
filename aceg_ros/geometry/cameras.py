"""Camera models: pixels from points in the camera frame, and viewing rays from pixels.

Pixels follow OpenCV and ROS: the center of the top-left pixel is (0, 0). The camera frame is the
optical one: x right, y down, z forward. Coefficients are in OpenCV's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import CameraError
from aceg_ros.geometry.distortion import FisheyeDistortion, PerspectiveDistortion

Array = NDArray[np.float64]

# Accepted counts of coefficients. Three are refused: k1 k2 k3 and k1 k2 p1 cannot be told apart.
COEFFICIENT_COUNTS: dict[str, tuple[int, ...]] = {
    'pinhole': (0,),
    'plumb_bob': (0, 1, 2, 4, 5),
    'rational_polynomial': (8,),
    'equidistant': (4,),
}
# A skew that moves every pixel by less (px) is what a calibration's noise leaves.
MAX_SKEW_SHIFT = 1.0
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsic calibration of one camera at one image size.

    `model` is 'pinhole', 'plumb_bob' (k1 k2 p1 p2 k3), 'rational_polynomial' (the same, then k4 k5
    k6) or 'equidistant' (fisheye, k1 k2 k3 k4). `K` (3, 3) holds fx, fy, cx, cy in pixels. A skew
    that moves no pixel of the image by a pixel is taken as 0. Cameras compare and hash by value;
    their arrays are read-only.

    Raises CameraError when built from a calibration that cannot be used.
    """

    model: str
    width: int
    height: int
    K: Array
    distortion: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if self.model not in COEFFICIENT_COUNTS:
            known = ', '.join(COEFFICIENT_COUNTS)
            raise CameraError(f'camera model {self.model!r} is unknown; use one of {known}')
        try:
            size = int(self.width), int(self.height)
            K = np.array(self.K, dtype=np.float64)
            distortion = np.array(self.distortion, dtype=np.float64).reshape(-1)
        except (TypeError, ValueError, OverflowError) as error:
            raise CameraError(
                'calibration holds something that is no number; width, height, K and distortion '
                'are expected to be numbers'
            ) from error
        if min(size) <= 0:
            raise CameraError(f'image size {size[0]}x{size[1]} is not positive; give it in pixels')
        _check_matrix(K, size[1])
        K[0, 1] = 0.0
        counts = COEFFICIENT_COUNTS[self.model]
        if distortion.size not in counts:
            raise CameraError(
                f'{self.model} takes {" or ".join(map(str, counts))} distortion coefficients, '
                f'not {distortion.size}; check the model and the list'
            )
        if not np.isfinite(distortion).all():
            raise CameraError('distortion has nan or infinite coefficients; calibrate again')
        K.setflags(write=False)
        distortion.setflags(write=False)
        for name, value in zip(
            ('width', 'height', 'K', 'distortion'), (*size, K, distortion), strict=True
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def pinhole(cls, width: int, height: int, fx: float, fy: float, cx: float, cy: float) -> Camera:
        """Make a camera without distortion; all lengths in pixels."""
        return cls('pinhole', width, height, intrinsic_matrix(fx, fy, cx, cy))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Camera):
            return NotImplemented
        return self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def focal(self) -> float:
        """Geometric mean of fx and fy in pixels."""
        return float(np.sqrt(self.K[0, 0] * self.K[1, 1]))

    def project(self, points_cam: Array) -> Array:
        """Pixels (N, 2) of points (N, 3) in the camera frame, also those outside the image.

        nan for points behind the camera (equidistant: straight behind) and where the distortion
        model folds back, so that a far-off point is never drawn into the image.
        """
        points = _table(points_cam, 3)
        if isinstance(self._lens, FisheyeDistortion):
            plane = self._lens.project(points)
        else:
            depth = np.where(points[:, 2] > 0, points[:, 2], np.nan)
            # A depth close to zero sends the point to infinity, which is outside any image.
            with np.errstate(over='ignore'):
                plane = points[:, :2] / depth[:, None]
            if self._lens is not None:
                plane = self._lens.distort(plane)
        return plane * self._focal_lengths + self._center

    def rays(self, points2d: Array) -> Array:
        """Unit bearing vectors (N, 3) in the camera frame of pixels (N, 2).

        Equidistant cameras may look beyond 90 degrees (z < 0). nan where no ray meets the pixel.
        """
        plane = (_table(points2d, 2) - self._center) / self._focal_lengths
        if isinstance(self._lens, FisheyeDistortion):
            return self._lens.unproject(plane)
        if self._lens is not None:
            plane = self._lens.undistort(plane)
        rays = np.concatenate([plane, np.ones((len(plane), 1))], axis=1)
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)

    def scaled(self, width: int, height: int) -> Camera:
        """Calibrate the same view resampled to another image size; distortion is unaffected."""
        if width <= 0 or height <= 0:
            raise CameraError(f'image size {width}x{height} is not positive; give it in pixels')
        factors = np.array([width / self.width, height / self.height])
        fx, fy = self._focal_lengths * factors
        # The image's edge, half a pixel before the first center, is what stays in place.
        cx, cy = (self._center + 0.5) * factors - 0.5
        return Camera(self.model, width, height, intrinsic_matrix(fx, fy, cx, cy), self.distortion)

    def is_like(self, other: Camera) -> bool:
        """Whether the calibrations are the same but for the size of the image, and rounding."""
        same = self.scaled(other.width, other.height)
        return (
            same.model == other.model
            and same.distortion.shape == other.distortion.shape
            and np.allclose(same.K, other.K, rtol=_ROUNDING, atol=0)
            and np.allclose(same.distortion, other.distortion, rtol=_ROUNDING, atol=0)
        )

    def turned(self, turn: int) -> Camera:
        """The camera of the image turned counterclockwise by ``turn`` times 90 degrees.

        `turned_from_cam` takes points into its frame.
        """
        turned = self
        for _ in range(turn % 4):
            (fx, fy), (cx, cy) = turned._focal_lengths, turned._center
            distortion = turned.distortion.copy()
            if turned.model != 'equidistant' and distortion.size >= 4:
                # the tangential terms are the only ones that know of x and y
                distortion[2:4] = -distortion[3], distortion[2]
            K = intrinsic_matrix(fy, fx, cy, turned.width - 1 - cx)
            turned = Camera(turned.model, turned.height, turned.width, K, distortion)
        return turned

    def turned_pixels(self, points2d: Array, turn: int) -> Array:
        """Where pixels (N, 2) of this camera's image are in the image that `turned` is of."""
        x, y = _table(points2d, 2).T
        across, down = self.width - 1 - x, self.height - 1 - y
        return np.stack(((x, y), (y, across), (across, down), (down, x))[turn % 4], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON-able values; `from_dict` reads it back unchanged."""
        return {
            'model': self.model,
            'width': self.width,
            'height': self.height,
            'K': self.K.tolist(),
            'distortion': self.distortion.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Camera:
        """Rebuild a camera from `to_dict`; raises CameraError when an entry is missing or bad."""
        try:
            return cls(
                values['model'],
                values['width'],
                values['height'],
                values['K'],
                values['distortion'],
            )
        except KeyError as error:
            raise CameraError(f'camera description lacks the entry {error}') from error
        except TypeError as error:
            raise CameraError('camera description lacks entries by name') from error

    @cached_property
    def _key(self) -> tuple[object, ...]:
        return (
            self.model,
            self.width,
            self.height,
            tuple(self.K.ravel().tolist()),
            tuple(self.distortion.tolist()),
        )

    @cached_property
    def _focal_lengths(self) -> Array:
        return self.K[[0, 1], [0, 1]]

    @cached_property
    def _center(self) -> Array:
        return self.K[:2, 2]

    @cached_property
    def _lens(self) -> PerspectiveDistortion | FisheyeDistortion | None:
        if self.model == 'equidistant':
            return FisheyeDistortion(self.distortion)
        if not self.distortion.any():
            return None
        coefficients = np.zeros(8)
        coefficients[: self.distortion.size] = self.distortion
        return PerspectiveDistortion(coefficients)


def turned_from_cam(turn: int) -> Array:
    """From a camera's frame to that of `Camera.turned`, (4, 4)."""
    quarter = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return np.linalg.matrix_power(quarter, turn % 4)


def intrinsic_matrix(fx: float, fy: float, cx: float, cy: float) -> Array:
    """Arrange focal lengths and principal point, in pixels, as K (3, 3)."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _check_matrix(K: Array, height: int) -> None:
    """Raise CameraError unless K (3, 3) is a camera matrix with next to no skew."""
    if K.shape != (3, 3):
        raise CameraError(f'K has shape {K.shape}; give 3 rows of 3 numbers')
    if not np.isfinite(K).all():
        raise CameraError('K has nan or infinite entries; calibrate the camera again')
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise CameraError(
            f'focal lengths fx={K[0, 0]:g}, fy={K[1, 1]:g} are not positive: the camera is not '
            'calibrated; calibrate it and give the result'
        )
    if np.abs(K[2] - (0.0, 0.0, 1.0)).max() > 1e-9 or abs(K[1, 0]) > 1e-9:
        raise CameraError('K is not [fx 0 cx; 0 fy cy; 0 0 1]; check the order of its numbers')
    rows = max(abs(K[1, 2]), abs(height - 1 - K[1, 2]))
    shift = abs(K[0, 1]) / K[1, 1] * rows
    if shift >= MAX_SKEW_SHIFT:
        raise CameraError(
            f'K has a skew of {K[0, 1]:g}, which moves pixels by up to {shift:.1f}; only skews '
            'below a pixel are supported. Calibrate with the skew fixed to 0 (ROS: '
            '--fisheye-fix-skew; OpenCV: CALIB_FIX_SKEW)'
        )


def _table(values: Array, columns: int) -> Array:
    """Return float64 (N, columns) or raise ValueError."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != columns:
        raise ValueError(f'expected shape (N, {columns}), got {table.shape}')
    return table
