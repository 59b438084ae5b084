"""Calibrations of the cameras of keyframes, and changes to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera

Array = NDArray[np.float64]

# A change is of the focal length, as a part of it; of the principal point in x and y, as parts of
# the focal length; and of the first two coefficients of radial distortion. These deviations are
# what to expect: focal lengths are mostly known, distortion often is not.
DEVIATIONS = np.array([0.005, 0.005, 0.005, 0.1, 0.1])
_LEAST_KEYFRAMES = 6  # of a camera, to tell its errors from those of their poses


def changed(camera: Camera, change: Array) -> Camera:
    """The camera with its calibration changed by ``change`` (5,), see `DEVIATIONS`."""
    if not change.any():
        return camera
    K = camera.K.copy()
    K[:2, 2] += K[[0, 1], [0, 1]] * change[1:3]
    K[[0, 1], [0, 1]] *= 1 + change[0]
    model = 'plumb_bob' if camera.model == 'pinhole' else camera.model
    distortion = np.zeros(max(camera.distortion.size, 2))
    distortion[: camera.distortion.size] = camera.distortion
    distortion[:2] += change[3:]
    return Camera(model, camera.width, camera.height, K, distortion)


@dataclass(frozen=True)
class Intrinsics:
    """The C different cameras of K keyframes."""

    given: tuple[Camera, ...]
    of_keyframe: NDArray[np.int64]  # (K,) which of them

    @classmethod
    def of(cls, cameras: Sequence[Camera]) -> Intrinsics:
        """Those of ``cameras``, one for each keyframe."""
        given = tuple(dict.fromkeys(cameras))
        places = {camera: place for place, camera in enumerate(given)}
        return cls(given, np.array([places[camera] for camera in cameras], np.int64))

    @cached_property
    def adjustable(self) -> NDArray[np.bool_]:
        """Which cameras (C,) took enough keyframes to be adjusted.

        A phone that focuses has another calibration in each image. Its mounting and calibration
        would take up the error of that one pose.
        """
        taken = np.bincount(self.of_keyframe, minlength=len(self.given))
        return np.asarray(taken >= min(_LEAST_KEYFRAMES, len(self.of_keyframe)))

    @property
    def focals(self) -> Array:
        """Focal lengths (K,) as given, px."""
        return np.array([camera.focal for camera in self.given])[self.of_keyframe]

    def unchanged(self) -> Array:
        """Changes (C, 5) that leave all cameras as given."""
        return np.zeros((len(self.given), len(DEVIATIONS)))

    def cameras(self, changes: Array) -> list[Camera]:
        """The camera of each keyframe after ``changes`` (C, 5)."""
        cameras = [changed(*pair) for pair in zip(self.given, changes, strict=True)]
        return [cameras[place] for place in self.of_keyframe]

    def pixels(self, rays: Array, keyframe: NDArray[np.int64], changes: Array) -> Array:
        """Pixels (N, 2) of ``rays`` (N, 3) in the keyframes (N,), after ``changes`` (C, 5)."""
        pixels = np.empty((len(rays), 2))
        for camera, rows in self._groups(keyframe, changes):
            pixels[rows] = camera.project(rays[rows])
        return pixels

    def rays(self, points2d: Array, keyframe: NDArray[np.int64], changes: Array) -> Array:
        """Unit rays (N, 3) of pixels (N, 2) of the keyframes (N,), after ``changes`` (C, 5)."""
        rays = np.empty((len(points2d), 3))
        for camera, rows in self._groups(keyframe, changes):
            rays[rows] = camera.rays(points2d[rows])
        return rays

    def _groups(
        self, keyframe: NDArray[np.int64], changes: Array
    ) -> list[tuple[Camera, NDArray[np.bool_]]]:
        """Each camera after the changes, and which rows are of it."""
        place = self.of_keyframe[keyframe]
        return [
            (changed(*pair), place == number)
            for number, pair in enumerate(zip(self.given, changes, strict=True))
        ]
