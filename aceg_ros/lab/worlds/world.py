"""Procedural worlds: what they consist of and how to make one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from aceg_ros.lab.worlds.lightmap import LightMap, bake
from aceg_ros.lab.worlds.primitives import Primitives
from aceg_ros.lab.worlds.rooms import RoomStyle, build_rooms
from aceg_ros.lab.worlds.scene import SceneBuilder, Skins
from aceg_ros.lab.worlds.textures.atlas import Atlas
from aceg_ros.lab.worlds.textures.palette import make_palette

T = TypeVar('T')


@dataclass(frozen=True)
class WorldOptions:
    """What a world is like."""

    # Rooms in a row, joined by doorways.
    rooms: int = 1
    # 0..1: how much furniture, how many pictures and things.
    clutter: float = 0.6
    # 0..1: share of walls that are only painted.
    plain: float = 0.4
    # Texels along a texture's side, a power of two.
    texture_size: int = 512
    # Another number moves chairs, boxes and things on surfaces; the rest of the world stays.
    arrangement: int = 0
    # Seed of textures, None for the world's own. Worlds with the same have furniture of one make.
    looks: int | None = None


DIFFICULTIES = {
    'easy': WorldOptions(rooms=1, clutter=0.9, plain=0.1),
    'normal': WorldOptions(),
    'hard': WorldOptions(rooms=2, clutter=0.3, plain=0.9),
}


@dataclass(frozen=True)
class World:
    """A scene ready to be rendered; z is up, the floor is z = 0, units are meters.

    rooms: (R, 2, 3) lowest and highest corner of each room's inside.
    """

    solids: Primitives
    skins: Skins
    atlas: Atlas
    light_map: LightMap
    rooms: Tensor

    @property
    def device(self) -> torch.device:
        """Device of all tensors."""
        return self.rooms.device

    def to(self, device: torch.device | str) -> World:
        """The same world on another device."""
        return _move(self, torch.device(device))


def make_world(
    seed: int, options: WorldOptions | str = 'normal', device: torch.device | str = 'cpu'
) -> World:
    """World number `seed`; the same seed and options always give the same world.

    options: a `WorldOptions`, or the name of one in `DIFFICULTIES`. Raises KeyError for an unknown
    name and ValueError for a texture size that is no power of two.
    """
    if isinstance(options, str):
        options = DIFFICULTIES[options]
    if options.texture_size < 64 or options.texture_size & (options.texture_size - 1):
        raise ValueError('texture_size must be a power of two, at least 64')
    looks = np.random.default_rng([seed if options.looks is None else options.looks, 0])
    layout, lighting = (np.random.default_rng([seed, purpose]) for purpose in (1, 2))
    loose = np.random.default_rng([seed, 3, options.arrangement])
    palette = make_palette(looks, options.texture_size)
    scene = SceneBuilder()
    style = RoomStyle(options.plain, options.clutter)
    rooms = build_rooms(scene, palette, layout, loose, options.rooms, style)
    solids, skins = scene.build()
    solids = _move(solids, torch.device(device))
    corners = [[[f.x0, f.y0, 0.0], [f.x1, f.y1, height]] for f, height in rooms]
    world = World(
        solids, skins, palette.atlas, bake(solids, scene.lamps, lighting), torch.tensor(corners)
    )
    return world.to(device)


def _move(record: T, device: torch.device) -> T:
    """Copy of a dataclass with its tensors, also those of inner dataclasses, on a device."""
    changes: dict[str, object] = {}
    for entry in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, entry.name)
        if isinstance(value, Tensor):
            changes[entry.name] = value.to(device)
        elif dataclasses.is_dataclass(value):
            changes[entry.name] = _move(value, device)
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]
