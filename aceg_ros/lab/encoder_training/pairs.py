"""Pairs of image crops with known correspondences, by random homographies or depth and poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.encoder.compact import STRIDE
from aceg_ros.geometry.poses import inverse


@dataclass(frozen=True)
class Pair:
    """Two crops of one size; ``points_b[i]`` shows in b what the patch at ``points_a[i]`` shows."""

    image_a: np.ndarray  # (S, S, 3) uint8
    image_b: np.ndarray  # (S, S, 3) uint8
    points_a: np.ndarray  # (N, 2) px
    points_b: np.ndarray  # (N, 2) px


class PairSource(Protocol):
    """Draws pairs; ``size`` is the crops' side in pixels."""

    def draw(self, rng: np.random.Generator, size: int) -> Pair | None:
        """A pair, or None when this draw had too little overlap."""


class HomographyPairs:
    """Two random perspective crops of the same picture. Serves images without any pose."""

    def __init__(self, images: Sequence[np.ndarray]):
        self._images = list(images)

    def draw(self, rng: np.random.Generator, size: int) -> Pair | None:
        image = self._images[rng.integers(len(self._images))]
        first = random_homography(rng, image.shape[:2], size)
        second = perturbed(rng, first, size)
        b_from_a = second @ np.linalg.inv(first)
        points_a = PatchFeatures.grid(size // STRIDE, size // STRIDE, STRIDE)
        points_b = cv2.perspectiveTransform(points_a[None], b_from_a)[0]
        crops = [
            cv2.warpPerspective(
                image, matrix, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
            )
            for matrix in (first, second)
        ]
        return _pair_inside(crops[0], crops[1], points_a, points_b, size)


class PosedPairs:
    """Crops of two views of one scene whose correspondences follow from depth and poses."""

    def __init__(self, frames: Sequence[Frame], reach: int, depth_tolerance: float = 0.05):
        """``reach``: how many frames apart two views may be; the tolerance is relative."""
        self._frames = [f for f in frames if f.load_depth is not None and f.depth_camera is None]
        self._images = [frame.image() for frame in self._frames]
        self._depths = [frame.depth() for frame in self._frames]
        self._reach = reach
        self._tolerance = depth_tolerance

    def __len__(self) -> int:
        return len(self._frames)

    def draw(self, rng: np.random.Generator, size: int) -> Pair | None:
        a = int(rng.integers(len(self._frames)))
        b = a + int(rng.integers(-self._reach, self._reach + 1))
        if not 0 <= b < len(self._frames) or a == b:
            return None
        points_a, points_b = self._correspondences(a, b)
        if len(points_a) < 32:
            return None
        center = rng.integers(len(points_a))
        corner_a = _corner(points_a[center], self._images[a].shape, size)
        # crops keep the patch grid, or patch centers would no longer be patch centers
        corner_a -= corner_a % STRIDE
        corner_b = _corner(points_b[center], self._images[b].shape, size)
        return _pair_inside(
            _cut(self._images[a], corner_a, size),
            _cut(self._images[b], corner_b, size),
            points_a - corner_a,
            points_b - corner_b,
            size,
        )

    def _correspondences(self, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
        frame_a, frame_b = self._frames[a], self._frames[b]
        if frame_a.world_from_cam is None or frame_b.world_from_cam is None:
            return np.empty((0, 2)), np.empty((0, 2))
        camera = frame_a.camera
        points_a = PatchFeatures.grid(camera.width // STRIDE, camera.height // STRIDE, STRIDE)
        z = _nearest(self._depths[a], points_a)
        known = z > 0
        rays = frame_a.camera.rays(points_a[known])
        points3d = rays / rays[:, 2:] * z[known, None]
        b_from_a = inverse(frame_b.world_from_cam) @ frame_a.world_from_cam
        in_b = points3d @ b_from_a[:3, :3].T + b_from_a[:3, 3]
        points_b = frame_b.camera.project(in_b)
        seen = np.isfinite(points_b).all(axis=1)
        seen &= (points_b > 0).all(axis=1)
        seen &= (points_b < [frame_b.camera.width - 1, frame_b.camera.height - 1]).all(axis=1)
        z_b = np.zeros(len(points_b))
        z_b[seen] = _nearest(self._depths[b], points_b[seen])
        seen &= np.abs(z_b - in_b[:, 2]) < self._tolerance * in_b[:, 2]
        return points_a[known][seen], points_b[seen]


def random_homography(rng: np.random.Generator, shape: tuple[int, int], size: int) -> np.ndarray:
    """Maps picture pixels to a crop: random center, scale, turn and perspective."""
    height, width = shape
    zoom = np.exp(rng.uniform(np.log(0.6), np.log(1.6)))
    zoom = max(zoom, 0.8 * size / min(height, width))
    half = size / 2 / zoom
    x = rng.uniform(min(half, width / 2), max(width - half, width / 2))
    y = rng.uniform(min(half, height / 2), max(height - half, height / 2))
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]]) + [x, y]
    target = np.array([[0, 0], [size, 0], [size, size], [0, size]], dtype=float)
    base = cv2.getPerspectiveTransform(corners.astype(np.float32), target.astype(np.float32))
    return perturbed(rng, base, size, turn=15.0, zoom=1.0, bend=0.1)


def perturbed(
    rng: np.random.Generator,
    homography: np.ndarray,
    size: int,
    turn: float = 30.0,
    zoom: float = 1.5,
    bend: float = 0.15,
) -> np.ndarray:
    """The homography into a crop of ``size`` px, followed by a random change of that crop."""
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size]], dtype=float)
    angle = np.radians(rng.normal(0, turn / 2))
    scale = np.exp(rng.uniform(-np.log(zoom), np.log(zoom)))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (corners - size / 2) @ rotation.T * scale + size / 2
    moved += rng.uniform(-0.15, 0.15, 2) * size + rng.uniform(-bend, bend, (4, 2)) * size
    change = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    return change @ homography


def _pair_inside(
    image_a: np.ndarray, image_b: np.ndarray, points_a: np.ndarray, points_b: np.ndarray, size: int
) -> Pair | None:
    margin = STRIDE / 2
    inside = ((points_a >= 0) & (points_a <= size - 1)).all(axis=1)
    inside &= ((points_b >= margin) & (points_b <= size - 1 - margin)).all(axis=1)
    if inside.sum() < 32:
        return None
    return Pair(image_a, image_b, points_a[inside], points_b[inside])


def _corner(point: np.ndarray, shape: tuple[int, ...], size: int) -> np.ndarray:
    limit = np.array([shape[1] - size, shape[0] - size])
    return np.clip(np.round(point - size / 2).astype(int), 0, np.maximum(limit, 0))


def _cut(image: np.ndarray, corner: np.ndarray, size: int) -> np.ndarray:
    return image[corner[1] : corner[1] + size, corner[0] : corner[0] + size]


def _nearest(depth: np.ndarray | None, points2d: np.ndarray) -> np.ndarray:
    if depth is None:
        return np.zeros(len(points2d))
    x, y = np.round(points2d).astype(int).T
    return depth[y, x]
