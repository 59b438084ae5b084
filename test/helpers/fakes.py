"""Frames of a small textured scene, and localizers and methods whose answers are known."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import lru_cache, partial

import cv2
import numpy as np

from aceg_ros.datasets import Frame
from aceg_ros.errors import FitError, ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, so3_exp, transform_points
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason

CAMERA = Camera.pinhole(320, 240, 260.0, 262.0, 158.0, 121.0)
BENT_CAMERA = Camera('plumb_bob', 320, 240, CAMERA.K, [-0.2, 0.05, 1e-3, -1e-3])
# Walls of a niche: normal and distance along it; their texture repeats after 8 m.
WALLS = (((0.0, 0.0, 1.0), 4.0), ((0.8, 0.0, 0.6), 3.6), ((0.0, 0.9, 0.436), 2.9))


@lru_cache
def texture(seed: int, size: int = 800) -> np.ndarray:
    """Blobs of all sizes, (size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, 3), dtype=np.float32)
    for cells in (10, 25, 60, 140, 300):
        noise = rng.normal(size=(cells, cells, 3)).astype(np.float32)
        total += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 40 * total, 0, 255).astype(np.uint8)


def render(camera: Camera, world_from_cam: np.ndarray, decoration: int = 0) -> np.ndarray:
    """The niche, or one of the same shape with another `decoration`, as `camera` sees it."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)
    rays = camera.rays(pixels) @ world_from_cam[:3, :3].T
    center = world_from_cam[:3, 3]
    distances = []
    for normal, offset in WALLS:
        cosine = rays @ np.array(normal)
        distance = (offset - center @ np.array(normal)) / np.where(cosine > 1e-3, cosine, np.nan)
        distances.append(np.where(distance > 0, distance, np.inf))
    distances = np.nan_to_num(np.array(distances), nan=np.inf)
    nearest = distances.argmin(axis=0)
    points = center + rays * distances.min(axis=0)[:, None]
    image = np.zeros((len(rays), 3), dtype=np.uint8)
    walls = [texture(10 * decoration + index) for index in range(len(WALLS))]
    for index, (normal, _) in enumerate(WALLS):
        across = np.cross(normal, (0.0, 1.0, 0.0))
        across /= np.linalg.norm(across)
        plane = points @ np.stack([across, np.cross(across, normal)], axis=1)
        u, v = (plane.T * 100.0).astype(np.float32).reshape(2, camera.height, camera.width)
        sampled = cv2.remap(walls[index], u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        mine = nearest == index
        image[mine] = sampled.reshape(-1, 3)[mine]
    return image.reshape(camera.height, camera.width, 3)


def pose_at(x: float, y: float, turn: float) -> np.ndarray:
    """A view into the niche from (x, y, 0), turned by `turn` rad to the right."""
    return make_pose(so3_exp([0.05 * y, turn, 0.0]), [x, y, 0.1 * x])


def scene_frames(count: int, camera: Camera = CAMERA, phase: float = 0.0) -> list[Frame]:
    """`count` frames along a swinging path."""
    frames = []
    for index in range(count):
        part = (index + phase) / max(count - 1, 1)
        pose = pose_at(1.6 * part - 0.9, 0.3 * math.sin(5 * part), 0.3 * part - 0.1)
        frames.append(Frame(f'view-{index}', camera, partial(render, camera, pose), pose))
    return frames


def broken_image() -> np.ndarray:
    """Stands for an image that cannot be read."""
    raise ImageError('the file is truncated')


def numbered_image(index: int) -> np.ndarray:
    """An image that a fake localizer recognizes."""
    image = np.zeros((CAMERA.height, CAMERA.width, 3), dtype=np.uint8)
    image[0, 0] = index % 256, index // 256, 0
    return image


def numbered_frames(count: int, seed: int = 0) -> list[Frame]:
    """`count` frames at random poses whose images carry their number."""
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(count):
        pose = make_pose(so3_exp(rng.normal(size=3)), rng.normal(size=3))
        frames.append(Frame(f'frame-{index}', CAMERA, partial(numbered_image, index), pose))
    return frames


class FakeLocalizer:
    """Knows the answer to each numbered image; None stands for a failure."""

    def __init__(self, estimates: list[np.ndarray | None], covariance: np.ndarray | None = None):
        self.estimates = estimates
        self.covariance = np.eye(6) if covariance is None else covariance

    def localize(
        self, image: np.ndarray, camera: Camera, depth: np.ndarray | None = None
    ) -> Localization | LocalizationFailure:
        """Give the estimate, with points before the camera, some seen a little off."""
        estimate = self.estimates[int(image[0, 0, 0]) + 256 * int(image[0, 0, 1])]
        if estimate is None:
            return LocalizationFailure(Reason.NO_POSE, 'a fake failure')
        rng = np.random.default_rng(0)
        points_cam = rng.uniform((-1, -1, 2), (1, 1, 4), size=(50, 3))
        points2d = camera.project(points_cam) + rng.normal(scale=2.0, size=(50, 2))
        points3d = transform_points(estimate, points_cam)
        inliers = np.arange(50) % 5 != 0
        return Localization(
            estimate, self.covariance, points2d, points3d, np.full(50, 0.1), inliers
        )


def moved(pose: np.ndarray, step: np.ndarray) -> np.ndarray:
    """`pose` shifted by step[:3] m and turned by step[3:] rad, both in the axes of the map."""
    return make_pose(so3_exp(step[3:]) @ pose[:3, :3], pose[:3, 3] + step[:3])


@dataclass(frozen=True)
class PerfectMethod:
    """Answers numbered images with the truth, from a map of `megabytes` that it holds in memory."""

    name: str = 'perfect'
    megabytes: int = 0

    def build(self, frames: list[Frame]) -> tuple[FakeLocalizer, int]:
        """See `Method.build`."""
        held = np.ones(self.megabytes * 1_000_000, dtype=np.uint8)
        poses = [frame.world_from_cam for frame in numbered_frames(300)]
        return FakeLocalizer(poses), held.size + len(frames)


@dataclass(frozen=True)
class FailingMethod:
    """Cannot map anything."""

    name: str = 'failing'

    def build(self, frames: list[Frame]) -> tuple[FakeLocalizer, int]:
        """See `Method.build`."""
        raise FitError('no parallax')


@dataclass(frozen=True)
class DyingMethod:
    """Takes its process down."""

    name: str = 'dying'

    def build(self, frames: list[Frame]) -> tuple[FakeLocalizer, int]:
        """See `Method.build`."""
        os._exit(9)
