"""Procedural worlds as training scenes: any number, each under many lights, with things moved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.pretraining.scenes import Scene
from aceg_ros.lab.worlds import (
    Light,
    Sensor,
    World,
    WorldOptions,
    make_world,
    novel_views,
    random_light,
    random_sensor,
    record,
    sense,
    tour,
)

# of the query views: how far (m) and turned (deg) they are at most from a mapping view
NOVELTY = {'light': (0.1, 5.0), 'near': (0.5, 30.0), 'far': (1.6, 60.0)}
_STEP = 6  # frames of a tour between two mapping views
_MAPPING_LIGHT = 0.4  # how much the light of the mapping views differs between worlds


@dataclass(frozen=True)
class ProceduralWorlds:
    """Worlds ``first`` to ``first + count``; half of the query views see a moved arrangement."""

    count: int
    first: int = 100_000
    mapping_views: int = 40
    query_views: int = 18
    width: int = 384
    height: int = 288

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f'world-{self.first + index:06d}'

    def camera(self) -> Camera:
        """A webcam's field of view, 63 degrees wide."""
        focal = 525.0 / 640 * self.width
        center = ((self.width - 1) / 2, (self.height - 1) / 2)
        return Camera.pinhole(self.width, self.height, focal, focal, *center)

    def worlds(self, index: int) -> tuple[World, World]:
        """The world as it is mapped, and later: chairs, boxes and things on surfaces moved."""
        seed = self.first + index
        rng = np.random.default_rng([seed, 20])
        rooms = int(rng.integers(1, 3))
        clutter, plain = rng.uniform(0.4, 0.9), rng.uniform(0.2, 0.7)
        options = WorldOptions(rooms, clutter, plain, texture_size=256)
        return make_world(seed, options), make_world(seed, replace(options, arrangement=1))

    def scene(self, index: int) -> Scene:
        """See `SceneSource`."""
        seed = self.first + index
        rng = self._changes(index)
        light, sensor = _mapping_light(rng)
        before, after = self.worlds(index)
        poses = self.mapping_poses(before, index)
        name = self.name(index)
        mapping = [
            shot(f'{name}-map-{view:03d}', before, self.camera(), pose, light, sensor, view)
            for view, pose in enumerate(poses)
        ]
        query, kinds = [], []
        for view in range(self.query_views):
            world = after if view % 2 else before
            kind = list(NOVELTY)[view // 2 % len(NOVELTY)]
            offset, degrees = NOVELTY[kind]
            pose = novel_views(world, poses, 1, seed + 1000 * view, offset, degrees)[0]
            light, sensor = random_light(rng), random_sensor(rng)
            label = f'{name}-query-{view:03d}'
            query.append(shot(label, world, self.camera(), pose, light, sensor, 500 + view))
            kinds.append(kind + ('+moved' if view % 2 else ''))
        return Scene(name, mapping, query, kinds)

    def mapping_light(self, index: int) -> tuple[Light, Sensor]:
        """What the mapping views are taken under, and with."""
        return _mapping_light(self._changes(index))

    def _changes(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self.first + index, 21])

    def mapping_poses(self, world: World, index: int) -> np.ndarray:
        """(M, 4, 4) world_from_cam of the mapping views: someone stands, or walks about."""
        seed = self.first + index
        kind = 'walk' if seed % 3 == 2 else 'sweep'
        return tour(world, _STEP * self.mapping_views, seed, kind)[::_STEP]


def _mapping_light(rng: np.random.Generator) -> tuple[Light, Sensor]:
    return random_light(rng, _MAPPING_LIGHT), random_sensor(rng, 0.5)


def shot(
    name: str,
    world: World,
    camera: Camera,
    world_from_cam: np.ndarray,
    light: Light,
    sensor: Sensor,
    seed: int,
) -> Frame:
    """One view of a world, rendered when it is read; ``seed`` is that of its noise."""
    taken = record(world, camera, world_from_cam[None], light, supersample=1).frames[0]
    load = partial(_sensed, taken, sensor, seed)
    return replace(taken, name=name, load_image=load)


def _sensed(frame: Frame, sensor: Sensor, seed: int) -> np.ndarray:
    return sense(torch.from_numpy(frame.image())[None], sensor, seed)[0].numpy()
