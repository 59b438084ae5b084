"""A building of many rooms on several floors, whose furniture repeats from room to room.

Doors are closed, so that each room is a world of its own, and is made only while it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from aceg_ros.datasets.recording import RecordingWriter, is_recording
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import shifted
from aceg_ros.lab.worlds.record import record
from aceg_ros.lab.worlds.sensor import Sensor
from aceg_ros.lab.worlds.tours import novel_views, tour
from aceg_ros.lab.worlds.world import WorldOptions, make_world
from aceg_ros.monitor import Monitor

_CAMERA = Camera.pinhole(480, 360, 380.0, 380.0, 239.5, 179.5)
_RATE = 2.0  # views a second
_DENSER = 3  # views of a walk for each that is taken
_PITCH = np.array([6.5, 6.5, 3.3])  # m between rooms and floors; rooms are 5.4 x 4.8 x 2.9 at most
_ROWS = 2  # of rooms, along a corridor

_Taken: TypeAlias = tuple[list[np.ndarray], np.ndarray]  # images, and poses in the building


@dataclass(frozen=True)
class BuildingOptions:
    """What a building is like."""

    rooms: int = 60
    floors: int = 2
    # Sets of furniture, wall coverings and pictures; rooms share them.
    makes: int = 6
    # 0..1: share of rooms furnished like an earlier one, in which only loose things differ.
    twins: float = 0.2


@dataclass(frozen=True)
class BuildingRoom:
    """One room; it is another's twin where the seeds are the same."""

    name: str
    seed: int
    options: WorldOptions
    corner: np.ndarray  # (3,) m, of its world's origin in the building
    number: int


def building_rooms(seed: int, options: BuildingOptions) -> list[BuildingRoom]:
    """Rooms floor by floor; the same seed and options always give the same building.

    Seeds of its worlds are from 1000 ``seed`` on.
    """
    rng = np.random.default_rng([seed, 21])
    per_floor = -(-options.rooms // options.floors)
    rooms: list[BuildingRoom] = []
    for number in range(options.rooms):
        level, along = divmod(number, per_floor)
        column, row = divmod(along, _ROWS)
        own = 1000 * seed + number
        made = WorldOptions(
            clutter=float(rng.uniform(0.4, 0.8)),
            texture_size=256,
            looks=1000 * seed + 500 + int(rng.integers(options.makes)),
        )
        if rooms and rng.random() < options.twins:
            other = rooms[int(rng.integers(len(rooms)))]
            own, made = other.seed, replace(other.options, arrangement=number)
        corner = np.array([column, row, level]) * _PITCH
        rooms.append(BuildingRoom(f'floor-{level}-room-{along:02d}', own, made, corner, number))
    return rooms


def record_building(
    folder: Path,
    rooms: Sequence[BuildingRoom],
    mapping: int,
    queries: int,
    processes: int = 1,
    monitor: Monitor | None = None,
) -> tuple[Path, Path]:
    """Record a walk through each room, and views beside it; gives the two recordings in ``folder``.

    ``mapping`` and ``queries`` are the views of a room. The latter are up to 0.5 m and 30 degrees
    off the walk. Poses are those of the building. Views that are there already stay as they are,
    and the rest is added. Raises StorageError when the disk does not take them.
    """
    monitor = monitor or Monitor()
    folders, views = (folder / 'mapping', folder / 'queries'), (mapping, queries)
    writers = [
        RecordingWriter(path, None if is_recording(path) else _CAMERA, image_suffix='.jpg')
        for path in folders
    ]
    whole = min(len(writer) // count for writer, count in zip(writers, views, strict=True))
    one_thread = partial(torch.set_num_threads, 1)
    with ProcessPoolExecutor(processes, get_context('spawn'), one_thread) as pool:
        shots = pool.map(partial(_take, mapping, queries), rooms[whole:])
        for index, taken in enumerate(shots, start=whole):
            monitor.report('render', index / len(rooms), rooms[index].name)
            for writer, count, (images, poses) in zip(writers, views, taken, strict=True):
                done = len(writer) - index * count
                for image, pose in zip(images[done:], poses[done:], strict=True):
                    writer.add(image, pose, len(writer) / _RATE)
    return folders


def _take(mapping: int, queries: int, room: BuildingRoom) -> tuple[_Taken, _Taken]:
    world = make_world(room.seed, room.options)
    walk = tour(world, _DENSER * mapping, room.number, 'walk')[::_DENSER]
    beside = novel_views(world, walk, queries, room.number)

    def taken(poses: np.ndarray) -> _Taken:
        shots = record(world, _CAMERA, poses, sensor=Sensor(), supersample=1)
        return [frame.image() for frame in shots.frames], shifted(poses, room.corner)

    return taken(walk), taken(beside)
