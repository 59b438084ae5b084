"""A textured plane, seen by any camera: images whose every point's place is known."""

from __future__ import annotations

import cv2
import numpy as np

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, so3_exp

_TEXELS = 2048
_TEXEL = 0.002  # meters
_GRAIN = 4.0  # texels, of the finest spots: about a pixel of a camera 2 m away


class TexturedPlane:
    """The plane z = 0 of the map, 4 m wide about the origin, painted with random spots."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((_TEXELS, _TEXELS), np.float32)
        fine = cv2.GaussianBlur(noise, (0, 0), _GRAIN)
        coarse = cv2.resize(noise[:100, :100], (_TEXELS, _TEXELS), interpolation=cv2.INTER_CUBIC)
        self._texture = np.float32(120 + 30 * fine / fine.std() + 15 * coarse / coarse.std())
        self._rng = rng

    def gray(
        self, camera: Camera, world_from_cam: np.ndarray, gain: float = 1.0, offset: float = 0.0
    ) -> np.ndarray:
        """Image (H, W) float32 of whole gray values, with noise of two of them; 0 off the plane."""
        texels = self.meet(camera, world_from_cam)[:, :2] / _TEXEL + (_TEXELS - 1) / 2
        places = np.nan_to_num(texels, nan=-10.0).astype(np.float32)
        places = places.reshape(camera.height, camera.width, 2)
        seen = cv2.remap(self._texture, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
        noisy = gain * seen + offset + self._rng.normal(0.0, 2.0, seen.shape)
        return np.where(seen > 0, noisy.round().clip(0, 255), 0).astype(np.float32)

    @staticmethod
    def meet(
        camera: Camera, world_from_cam: np.ndarray, points2d: np.ndarray | None = None
    ) -> np.ndarray:
        """Points (N, 3) where the rays of pixels, or of all, meet the plane; nan without one."""
        if points2d is None:
            columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
            points2d = np.stack([columns, rows], axis=-1).reshape(-1, 2)
        towards = camera.rays(points2d) @ world_from_cam[:3, :3].T
        with np.errstate(divide='ignore', invalid='ignore'):
            distance = -world_from_cam[2, 3] / towards[:, 2]
        distance = np.where(distance > 0, distance, np.nan)
        return world_from_cam[:3, 3] + towards * distance[:, None]


def above(
    x: float = 0.0, y: float = 0.0, height: float = 2.0, turn: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> np.ndarray:
    """Pose of a camera at (x, y), ``height`` meters from the plane; degrees about its own axes."""
    return make_pose(so3_exp(np.radians(turn)), [x, y, -height])
