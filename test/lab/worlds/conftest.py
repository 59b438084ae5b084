"""Worlds shared by the tests."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds import World, WorldOptions, make_world
from aceg_ros.lab.worlds.lightmap import bake
from aceg_ros.lab.worlds.scene import SceneBuilder, Skin
from aceg_ros.lab.worlds.textures.atlas import build_atlas


@pytest.fixture(scope='session')
def small() -> WorldOptions:
    """Options of the test world, quick to make."""
    return WorldOptions(texture_size=128)


@pytest.fixture(scope='session')
def world(small: WorldOptions) -> World:
    """A furnished room."""
    return make_world(4, small)


@pytest.fixture(scope='session')
def camera() -> Camera:
    """A small pinhole camera."""
    return Camera.pinhole(160, 120, 131.0, 133.0, 79.0, 60.5)


@pytest.fixture(scope='session')
def bare() -> World:
    """An empty 4 x 4 x 3 m room with a 1 m cube on the floor at its center."""
    scene = SceneBuilder()
    skin = Skin(0, 1.0)
    scene.box((0, 0, -0.5), (6, 6, 1), skin)
    scene.box((0, 0, 3.5), (6, 6, 1), skin)
    for side in (-1, 1):
        scene.box((side * 2.5, 0, 1.5), (1, 6, 3), skin)
        scene.box((0, side * 2.5, 1.5), (6, 1, 3), skin)
    scene.box((0, 0, 0.5), (1, 1, 1), Skin(1))
    scene.lamp((0, 0, 2.9), (0, 0, -1), ((0.3, 0, 0), (0, 0.3, 0)), (1, 1, 1), 'ceiling')
    solids, skins = scene.build()
    rng = np.random.default_rng(0)
    atlas = build_atlas([rng.integers(0, 255, (64, 64, 3), np.uint8) for _ in range(2)])
    rooms = torch.tensor([[[-2.0, -2.0, 0.0], [2.0, 2.0, 3.0]]])
    return World(solids, skins, atlas, bake(solids, scene.lamps, rng), rooms)
