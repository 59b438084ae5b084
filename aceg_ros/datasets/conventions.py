"""The other ways in which people write camera poses down, and how to read them.

The usual way, as in TUM files: world_from_cam, quaternion x y z w, camera axes x right, y down, z
forward, meters. A pose in another convention is still a rigid transform, so a misread one is not
seen by itself; `aceg_ros.inspection` tries these readings on what neighboring images show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.base import Dataset, Frame
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.poses import (
    inverse,
    make_pose,
    quaternion_from_rotation,
    rotation_from_quaternion,
)

Array = NDArray[np.float64]


class Convention(str, Enum):
    """One respect in which poses differ from the usual way; several may come together."""

    W_FIRST = 'w-first'
    CAMERA_FROM_WORLD = 'camera-from-world'
    OPENGL = 'opengl'
    X_FORWARD = 'x-forward'
    NED = 'ned'
    UNITY = 'unity'
    UNREAL = 'unreal'
    MILLIMETERS = 'millimeters'
    CENTIMETERS = 'centimeters'

    def __str__(self) -> str:
        return self.value

    @property
    def meaning(self) -> str:
        """In words."""
        return _MEANINGS[self]


_MEANINGS = {
    Convention.W_FIRST: 'quaternions in the order w x y z',
    Convention.CAMERA_FROM_WORLD: 'transforms that take points of the world to the camera',
    Convention.OPENGL: 'camera axes x right, y up, z backward (OpenGL, Blender, ARKit, ARCore)',
    Convention.X_FORWARD: 'camera axes x forward, y left, z up (ROS bodies and camera_link)',
    Convention.NED: 'camera axes x forward, y right, z down (aircraft, north-east-down)',
    Convention.UNITY: 'left-handed axes x right, y up, z forward (Unity)',
    Convention.UNREAL: 'left-handed axes x forward, y right, z up (Unreal, CARLA)',
    Convention.MILLIMETERS: 'positions in millimeters',
    Convention.CENTIMETERS: 'positions in centimeters',
}
_MIRROR_Y = np.diag([1.0, -1.0, 1.0, 1.0])
# camera_from_optical: where the axes x right, y down, z forward are in those of the poses.
_OPTICAL = {
    Convention.OPENGL: np.diag([1.0, -1.0, -1.0, 1.0]),
    Convention.X_FORWARD: make_pose(
        np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.zeros(3)
    ),
    Convention.NED: make_pose(
        np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.zeros(3)
    ),
}
_UNITS = {Convention.MILLIMETERS: 1e-3, Convention.CENTIMETERS: 1e-2}
_AXES = (
    Convention.OPENGL,
    Convention.X_FORWARD,
    Convention.NED,
    Convention.UNITY,
    Convention.UNREAL,
)
# The readings that agree with other images or do not; a unit of length makes no difference there.
READINGS: tuple[tuple[Convention, ...], ...] = tuple(
    sorted(
        (
            (*order, *direction, *axes)
            for order in ((), (Convention.W_FIRST,))
            for direction in ((), (Convention.CAMERA_FROM_WORLD,))
            for axes in ((), *((one,) for one in _AXES))
        ),
        key=len,
    )
)


def parse_conventions(text: str) -> tuple[Convention, ...]:
    """Names separated by commas, as `--pose-convention` takes them.

    Raises DatasetError for a name that is unknown, and for two that exclude each other.
    """
    names = [name.strip().lower() for name in text.split(',') if name.strip()]
    try:
        chosen = tuple(dict.fromkeys(Convention(name) for name in names))
    except ValueError as error:
        known = ''.join(f'\n  {one}: {one.meaning}' for one in Convention)
        raise DatasetError(f'pose convention {text!r} is unknown; there are:{known}') from error
    for kind, members in (('axes', _AXES), ('unit', tuple(_UNITS))):
        both = [one.value for one in chosen if one in members]
        if len(both) > 1:
            raise DatasetError(
                f'poses have one {kind}, not {" and ".join(both)}; name one of these conventions'
            )
    return chosen


def reread(world_from_cam: Array, conventions: Iterable[Convention]) -> Array:
    """The pose (4, 4) that was meant, where one in ``conventions`` was read as the usual one.

    Quaternions come first, then the direction, then axes and unit, in whatever order they are
    named.
    """
    chosen = set(conventions)
    pose = np.array(world_from_cam, dtype=np.float64)
    if Convention.W_FIRST in chosen:
        x, y, z, w = quaternion_from_rotation(pose[:3, :3])
        # What was read as x y z w was w x y z; a quaternion and its negative are one rotation.
        pose = make_pose(rotation_from_quaternion([y, z, w, x]), pose[:3, 3])
    if Convention.CAMERA_FROM_WORLD in chosen:
        pose = inverse(pose)
    if chosen & {Convention.UNITY, Convention.UNREAL}:
        pose = _MIRROR_Y @ pose @ _MIRROR_Y
    if Convention.UNREAL in chosen:
        pose = pose @ _OPTICAL[Convention.X_FORWARD]
    for axes, camera_from_optical in _OPTICAL.items():
        if axes in chosen:
            pose = pose @ camera_from_optical
    for unit, meters in _UNITS.items():
        if unit in chosen:
            pose[:3, 3] *= meters
    return pose


def reread_frames(frames: Sequence[Frame], conventions: Sequence[Convention]) -> list[Frame]:
    """The frames with the poses that were meant; those without a pose as they are."""
    if not conventions:
        return list(frames)
    return [
        frame
        if frame.world_from_cam is None
        else replace(frame, world_from_cam=reread(frame.world_from_cam, conventions))
        for frame in frames
    ]


def reread_dataset(dataset: Dataset, conventions: Sequence[Convention]) -> Dataset:
    """The dataset with the poses that were meant."""
    return replace(dataset, frames=reread_frames(dataset.frames, conventions))


def describe(conventions: Sequence[Convention]) -> str:
    """In words, for messages."""
    return ' and '.join(one.meaning for one in conventions) or 'the usual convention'
