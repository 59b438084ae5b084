"""Groups of views of made worlds: a spot seen from many sides, each time under other light."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.encoder_training.groups import STRIDE, ViewGroup, surface
from aceg_ros.lab.encoder_training.textured import (
    TexturedWorld,
    environment_light,
    random_lamp_light,
)
from aceg_ros.lab.worlds import (
    WorldOptions,
    clearance,
    look,
    make_world,
    random_light,
    random_sensor,
    render,
    sense,
)

WIDTH, HEIGHT = 480, 360
VIEWS = 8
_REACH = 2.2  # m between two views at most
_NEAREST_TARGET, _FARTHEST_TARGET = 1.0, 6.0  # m from the first view
_MIN_TARGET = 0.7  # m, of the other views
_TRIES = 12  # per view
_PLAIN = 0.05  # deviation within a patch of a plain surface, of the picture's mean
_FIELDS = (55.0, 63.0, 75.0)  # degrees, across the image


class Spots(Protocol):
    """A world one can stand in."""

    def arrange(self, rng: np.random.Generator) -> None:
        """Move some of the things, where they can be."""

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """A random place (3,) at a height where cameras are."""

    def free(self, place: np.ndarray) -> bool:
        """Whether there is air around it, as far as that is known."""

    def take(
        self, rng: np.random.Generator, camera: Camera, world_from_cam: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Picture (H, W, 3) uint8 under light drawn anew, and depth (H, W) m."""


def draw_group(spots: Spots, rng: np.random.Generator, views: int = VIEWS) -> ViewGroup | None:
    """Views that look at one thing from within `_REACH`; None when this place is too narrow."""
    field = _FIELDS[rng.integers(len(_FIELDS))]
    focal = WIDTH / 2 / np.tan(np.radians(field) / 2)
    camera = Camera.pinhole(WIDTH, HEIGHT, focal, focal, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    start = spots.place(rng)
    if not spots.free(start):
        return None
    pose = look(start, rng.uniform(-np.pi, np.pi), np.radians(rng.normal(-8, 10)))
    first = spots.take(rng, camera, pose)
    if not _worth_seeing(first[1]):
        return None
    points, footprint = surface(first[1], camera, pose)
    distance = np.linalg.norm(points - start, axis=2)
    known = (distance > _NEAREST_TARGET) & (distance < _FARTHEST_TARGET)
    usable = np.argwhere(known & _textured(first[0]))
    if len(usable) < 0.1 * known.size:
        return None
    target = points[tuple(usable[rng.integers(len(usable))])].astype(np.float64)
    taken = [(first[0], points, footprint)]
    for _ in range(_TRIES * views):
        if len(taken) == views:
            break
        shift = rng.normal(size=2)
        shift *= _REACH * rng.uniform(0.1, 1) / np.linalg.norm(shift)
        place = start + np.array([*shift, rng.uniform(-0.35, 0.35)])
        way = target - place
        if np.linalg.norm(way) < _MIN_TARGET or not spots.free(place):
            continue
        yaw = np.arctan2(way[1], way[0]) + np.radians(rng.normal(0, 13))
        pitch = np.arctan2(way[2], np.linalg.norm(way[:2])) + np.radians(rng.normal(0, 8))
        pose = look(place, yaw, float(np.clip(pitch, -0.9, 0.9)), np.radians(rng.normal(0, 5)))
        image, depth = spots.take(rng, camera, pose)
        if _worth_seeing(depth) and _textured(image).mean() > 0.1:
            taken.append((image, *surface(depth, camera, pose)))
    if len(taken) < views:
        return None
    return ViewGroup(*(np.stack(parts) for parts in zip(*taken, strict=True)))


class ProceduralSpots:
    """A world of `aceg_ros.lab.worlds`."""

    def __init__(self, seed: int):
        rng = np.random.default_rng([seed, 30])
        options = WorldOptions(
            rooms=int(rng.integers(1, 3)),
            clutter=float(rng.uniform(0.4, 1.0)),
            plain=float(rng.uniform(0.1, 0.7)),
            texture_size=256,
        )
        self._world = make_world(seed, options)

    def arrange(self, rng: np.random.Generator) -> None:
        """See `Spots`; another seed is another arrangement."""

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """See `Spots`."""
        rooms = self._world.rooms.numpy()
        low, high = rooms[rng.integers(len(rooms))]
        return rng.uniform([low[0], low[1], 0.9], [high[0], high[1], 1.8])

    def free(self, place: np.ndarray) -> bool:
        """See `Spots`."""
        return bool(clearance(self._world, place[None])[0] > 0.25)

    def take(
        self, rng: np.random.Generator, camera: Camera, world_from_cam: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Spots`."""
        taken = render(self._world, camera, world_from_cam[None], random_light(rng), 1)
        sensor = random_sensor(rng, 0.5)
        image = sense(taken.rgb, sensor, int(rng.integers(2**31)))
        return image[0].numpy(), taken.depth[0].numpy()


class TexturedSpots:
    """A textured world; only places with ``low`` <= x < ``high`` (m) are stood at."""

    def __init__(self, folder: Path, environments: Sequence[np.ndarray], low: float, high: float):
        self._world = TexturedWorld(folder, WIDTH, HEIGHT)
        self._environments = environments
        corners = self._world.corners
        self._low = np.array([max(low, corners[0, 0] + 0.3), corners[0, 1] + 0.3, 0.8])
        self._high = np.array([min(high, corners[1, 0] - 0.3), corners[1, 1] - 0.3, 1.8])

    def arrange(self, rng: np.random.Generator) -> None:
        """See `Spots`."""
        self._world.arrange(rng, share=0.4 if rng.random() < 0.7 else 0.0)

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """See `Spots`."""
        return rng.uniform(self._low, self._high)

    def free(self, place: np.ndarray) -> bool:
        """See `Spots`; that it is not within a thing shows in what is seen from there."""
        margin = np.array([0.0, 0.0, 0.3])
        return bool(((place > self._low - margin) & (place < self._high + margin)).all())

    def take(
        self, rng: np.random.Generator, camera: Camera, world_from_cam: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Spots`."""
        light = random_lamp_light(rng, self._environments, self._world.lamps, world_from_cam[:3, 3])
        return self._world.view(camera, world_from_cam, light)


def read_environments(folder: Path) -> list[np.ndarray]:
    """Ambient light (6, 3) of every .hdr in a folder; raises DatasetError without any."""
    found = []
    for path in sorted(folder.glob('*.hdr')):
        picture = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
        if picture is not None:
            found.append(environment_light(picture[:, :, ::-1].astype(np.float64)))
    if not found:
        raise DatasetError(f'{folder} holds no environment maps (.hdr)')
    return found


def _textured(image: np.ndarray) -> np.ndarray:
    """(H', W') bool, the patches of a picture (H, W, 3) that show more than a plain surface."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    blocks = gray.reshape(image.shape[0] // STRIDE, STRIDE, image.shape[1] // STRIDE, STRIDE)
    return np.asarray(blocks.std(axis=(1, 3)) > _PLAIN * (gray.mean() + 10))


def _worth_seeing(depth: np.ndarray) -> bool:
    """Not a wall at the nose, and not the inside of a thing."""
    seen = depth[depth > 0]
    if len(seen) < 0.7 * depth.size:
        return False
    near, middle = np.quantile(seen[::7], [0.03, 0.5])
    return bool(near > 0.3 and middle > 0.8)
