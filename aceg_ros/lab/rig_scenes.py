"""Places to map, and rigs that ask where they are: in made worlds, and of pairs of real images.

In a procedural world someone walks through with one camera; that is the map. Rigs of two and of
four cameras ask from up to a meter beside that path and turned by up to 40 degrees, under other
light. In a recording the first half is mapped. Two images of the second half that look apart are
those of a rig, whose mounting is the difference of their true poses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.datasets.rig import Moment
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, rotation_angle_deg, so3_exp
from aceg_ros.lab.worlds import make_world, novel_views, record, tour
from aceg_ros.lab.worlds.light import LIGHTS

_CAMERA = Camera.pinhole(320, 240, 262.5, 262.5, 159.5, 119.5)
_VIEWS, _STEP = 60, 2  # mapped; frames of the tour between two of them
_OFFSET, _DEGREES = 1.0, 40.0  # m and degrees from the tour, of queries
_RADIUS = 0.1  # m from the middle of the rig to its cameras
_YAWS = {'2 cameras': (0.0, 180.0), '4 cameras': (0.0, 90.0, 180.0, 270.0)}  # degrees
_APART = 45.0  # degrees between the views of a pair, at least


@dataclass(frozen=True)
class RigScene:
    """A place, its mapping views, and what rigs see there, by the name of the rig."""

    name: str
    mapping: Sequence[Frame]
    rigs: dict[str, list[Moment]]


def procedural_scene(seed: int, queries: int) -> RigScene:
    """A procedural world, walked through by day and asked at dusk."""
    world = make_world(seed)
    path = tour(world, _VIEWS * _STEP, seed, 'walk')
    mapping = record(world, _CAMERA, path[::_STEP], LIGHTS['day'], name='view', supersample=1)
    poses = novel_views(world, path, queries, seed, _OFFSET, _DEGREES)
    widest = max(_YAWS.values(), key=len)
    mounts = {yaw: _mount(np.radians(yaw)) for yaw in widest}
    seen = {
        yaw: record(
            world, _CAMERA, poses @ mount, LIGHTS['dusk'], name=f'{yaw:.0f}', supersample=1
        ).frames
        for yaw, mount in mounts.items()
    }
    rigs = {
        name: [
            Moment(
                float(index),
                tuple(seen[yaw][index] for yaw in yaws),
                np.stack([mounts[yaw] for yaw in yaws]),
                pose,
            )
            for index, pose in enumerate(poses)
        ]
        for name, yaws in _YAWS.items()
    }
    return RigScene(f'world-{seed:06d}', mapping.frames, rigs)


def recorded_scene(path: Path, frames: Sequence[Frame], queries: int) -> RigScene:
    """The first half of a recording mapped, and asked with pairs of images of the second.

    Raises DatasetError where no two images look apart by enough.
    """
    posed = [frame for frame in frames if frame.world_from_cam is not None]
    half = len(posed) // 2
    pairs = []
    for index, first in enumerate(posed[half:], start=half):
        second = next((f for f in posed[index + 1 :] if _angle(first, f) >= _APART), None)
        if second is not None:
            pairs.append(_pair(first, second))
    if not pairs:
        raise DatasetError(
            f'{path}: no two images of its second half look {_APART:g} degrees apart'
        )
    chosen = np.linspace(0, len(pairs) - 1, min(queries, len(pairs))).round().astype(int)
    return RigScene(path.name, posed[:half], {'2 images': [pairs[index] for index in chosen]})


def _mount(yaw: float) -> np.ndarray:
    """rig_from_cam (4, 4) of a camera turned by ``yaw`` (rad) about the rig's y axis."""
    return make_pose(so3_exp([0.0, yaw, 0.0]), [_RADIUS * np.sin(yaw), 0.0, _RADIUS * np.cos(yaw)])


def _pair(first: Frame, second: Frame) -> Moment:
    poses = [np.array(frame.world_from_cam) for frame in (first, second)]
    mounts = np.stack([np.eye(4), inverse(poses[0]) @ poses[1]])
    return Moment(first.stamp, (first, second), mounts, poses[0])


def _angle(first: Frame, second: Frame) -> float:
    """Between two orientations, degrees."""
    rotations = [np.array(frame.world_from_cam)[:3, :3] for frame in (first, second)]
    return float(rotation_angle_deg(*rotations))
