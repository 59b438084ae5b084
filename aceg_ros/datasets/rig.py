"""Recordings of a rig: a file that names the images of each camera, and where it is mounted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from aceg_ros.datasets.base import Dataset, Frame
from aceg_ros.datasets.calibration import read_mapping
from aceg_ros.datasets.trajectory import Trajectory, read_trajectory
from aceg_ros.errors import CameraError, DatasetError, PoseError
from aceg_ros.files import write_atomically
from aceg_ros.geometry.poses import inverse, pose_error, pose_from_tum, validate_pose
from aceg_ros.geometry.rigs import Rig

Array = NDArray[np.float64]
# Opens images, by the file of their calibration where there is one.
OpenImages = Callable[[Path, Path | None], Dataset]

_SUFFIXES = ('.yaml', '.yml')
_ENTRIES = {'cameras', 'poses', 'tolerance'}
_CAMERA_ENTRIES = {'images', 'calibration', 'rig_from_cam'}
_TOLERANCE = 0.02  # s
# For mounts by the cameras' own poses: how many are needed and used, and how much they may differ.
_MIN_PAIRS, _MAX_PAIRS = 3, 100
_MAX_SHIFT, _MAX_TURN = 0.05, 2.0  # m, degrees
_EXAMPLE = (
    'write for each camera "images", "rig_from_cam" as [x, y, z, qx, qy, qz, qw], and if need be '
    '"calibration" (docs/datasets.md)'
)


@dataclass(frozen=True)
class Moment:
    """What the cameras of a rig saw at one time."""

    stamp: float  # s, of the first camera's image
    frames: tuple[Frame | None, ...]  # one of each camera, None where it has none
    rig_from_cam: Array  # (C, 4, 4)
    world_from_rig: Array | None  # (4, 4); None without a pose

    @property
    def name(self) -> str:
        """That of its first image."""
        return next(frame.name for frame in self.frames if frame is not None)

    def read(self) -> tuple[list[NDArray[np.uint8]], Rig]:
        """The images there are, and the rig of their cameras; raises as `Frame.image` does."""
        shown = [index for index, frame in enumerate(self.frames) if frame is not None]
        frames = [frame for frame in self.frames if frame is not None]
        rig = Rig(tuple(frame.camera for frame in frames), self.rig_from_cam[shown])
        return [frame.image() for frame in frames], rig


@dataclass(frozen=True)
class RigDataset:
    """The recordings of C cameras that are fixed to each other."""

    name: str
    recordings: tuple[Dataset, ...]  # of each camera; names of frames begin with its images'
    rig_from_cam: Array | None  # (C, 4, 4); None where the file does not say
    poses: Trajectory | None  # world_from_rig; None: the frames' own
    tolerance: float  # s between images of one moment

    @property
    def notes(self) -> list[str]:
        """See `Dataset`."""
        return [note for recording in self.recordings for note in recording.notes]

    @property
    def skipped(self) -> list[str]:
        """See `Dataset`."""
        return [line for recording in self.recordings for line in recording.skipped]

    def moments(self) -> list[Moment]:
        """One for each image of the first camera, with those of the others nearest in time.

        Raises DatasetError where neither the file nor the cameras' poses say how they are mounted.
        """
        mounts = self._mounts_by_poses() if self.rig_from_cam is None else self.rig_from_cam
        return [
            Moment(frame.stamp, frames, mounts, self._world_from_rig(frames, mounts))
            for frame, frames in zip(self.recordings[0].frames, self._joined(), strict=True)
        ]

    def posed(self) -> Dataset:
        """The images of all cameras with their poses, for mapping."""
        frames = []
        for number, recording in enumerate(self.recordings):
            for frame in recording.frames:
                if self.poses is not None and self.rig_from_cam is not None:
                    world_from_rig = _pose_at(self.poses, frame.stamp)
                    mount = self.rig_from_cam[number]
                    pose = None if world_from_rig is None else world_from_rig @ mount
                    frame = replace(frame, world_from_cam=pose)
                frames.append(frame)
        frames.sort(key=lambda frame: frame.stamp)
        metric = self.poses is not None or all(each.metric for each in self.recordings)
        return Dataset(self.name, frames, metric, self.skipped, self.notes)

    def _joined(self) -> Iterator[tuple[Frame | None, ...]]:
        """Frames of each moment: one of each camera, None where it has none."""
        first, *others = self.recordings
        stamps = [np.array([frame.stamp for frame in other.frames]) for other in others]
        for frame in first.frames:
            frames: list[Frame | None] = [frame]
            for other, times in zip(others, stamps, strict=True):
                nearest = int(np.abs(times - frame.stamp).argmin())
                near = abs(times[nearest] - frame.stamp) <= self.tolerance
                frames.append(other.frames[nearest] if near else None)
            yield tuple(frames)

    def _mounts_by_poses(self) -> Array:
        """rig_from_cam (C, 4, 4) by poses of one time; the rig's frame is the first camera."""
        first, *others = self.recordings
        poses = [
            [None if frame is None else frame.world_from_cam for frame in frames]
            for frames in self._joined()
        ]
        mounts = [np.eye(4)]
        for number, other in enumerate(others, start=1):
            pairs = [(row[0], row[number]) for row in poses]
            found = [inverse(a) @ b for a, b in pairs if a is not None and b is not None]
            if len(found) < _MIN_PAIRS:
                raise DatasetError(
                    f'{self.name}: how {other.name} is mounted is not said, and it has '
                    f'{len(found)} poses of the times of those of {first.name}, of at least '
                    f'{_MIN_PAIRS} needed; {_EXAMPLE}'
                )
            mounts.append(_middle(np.stack(found), f'{self.name}: {first.name} and {other.name}'))
        return np.stack(mounts)

    def _world_from_rig(self, frames: Sequence[Frame | None], mounts: Array) -> Array | None:
        """The pose when the first of ``frames`` that has one was taken."""
        for frame, rig_from_cam in zip(frames, mounts, strict=True):
            if frame is None:
                continue
            if self.poses is not None:
                return _pose_at(self.poses, frame.stamp)
            if frame.world_from_cam is not None:
                return np.asarray(frame.world_from_cam @ inverse(rig_from_cam))
        return None


def _middle(found: Array, names: str) -> Array:
    """The pose (4, 4) of N that the others are nearest to; DatasetError where they differ much."""
    found = found[:: -(-len(found) // _MAX_PAIRS)]
    far, turned = pose_error(found[:, None], found[None])
    # both limits weigh the same
    middle = np.median(np.maximum(far / _MAX_SHIFT, turned / _MAX_TURN), axis=1)
    best = int(middle.argmin())
    if middle[best] > 1:
        raise DatasetError(
            f'{names} do not keep their places to each other: by their poses these differ by '
            f'{100 * np.median(far[best]):.0f} cm and {np.median(turned[best]):.1f} degrees; '
            f'{_EXAMPLE}'
        )
    return np.asarray(found[best])


def _pose_at(poses: Trajectory, stamp: float) -> Array | None:
    try:
        return poses.at(stamp)
    except PoseError:
        return None


def recognize(path: Path) -> bool:
    """Whether it is a file, and by its name one of a rig."""
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def read_rig(path: str | Path, open_images: OpenImages) -> RigDataset:
    """Read a rig's file; paths in it are relative to its folder.

    ``open_images`` opens the images of a camera. Raises DatasetError, naming the file and the
    entry, for a file that is none of a rig, and what ``open_images`` raises.
    """
    path = Path(path)
    values = _read(path)
    poses = values.get('poses')
    recordings, mounts = [], []
    for camera, mount in _cameras(path, values, required=poses is not None):
        if mount is not None:
            mounts.append(mount)
        images, calibration = str(camera['images']), camera.get('calibration')
        recording = open_images(
            path.parent / images, None if calibration is None else path.parent / str(calibration)
        )
        frames = [replace(frame, name=f'{images}/{frame.name}') for frame in recording.frames]
        recordings.append(replace(recording, frames=frames))
    return RigDataset(
        path.stem,
        tuple(recordings),
        np.stack(mounts) if len(mounts) == len(recordings) else None,
        None if poses is None else read_trajectory(path.parent / str(poses))[0],
        _tolerance(path, values.get('tolerance', _TOLERANCE)),
    )


def read_mounts(path: Path) -> Array:
    """rig_from_cam (C, 4, 4) alone, as `read_rig` reads them."""
    cameras = _cameras(path, _read(path), required=True)
    return np.stack([mount for _, mount in cameras if mount is not None])


def add_to_rig(path: Path, images: Sequence[str]) -> None:
    """Have a rig's file name these images of cameras too; what it says already stays.

    A file that is not there is made. Raises DatasetError for one that is none of a rig, OSError
    when the disk does not take it.
    """
    values = dict(_read(path)) if path.exists() else {}
    cameras = [camera for camera, _ in _cameras(path, values, required=False)] if values else []
    known = {camera['images'] for camera in cameras}
    new = [{'images': name} for name in images if name not in known]
    if new:
        text = yaml.safe_dump(values | {'cameras': [*cameras, *new]}, sort_keys=False)
        write_atomically(path, text.encode())


def _read(path: Path) -> Mapping[str, Any]:
    try:
        values = read_mapping(path)
    except CameraError as error:
        raise DatasetError(str(error)) from error
    _check_entries(str(path), values, _ENTRIES)
    return values


def _cameras(
    path: Path, values: Mapping[str, Any], required: bool
) -> Iterator[tuple[Mapping[str, Any], Array | None]]:
    """The entries of the cameras, and where these are in the rig, (4, 4).

    None where that is neither said nor ``required``.
    """
    cameras = values.get('cameras')
    if not isinstance(cameras, list) or not cameras:
        raise DatasetError(f'{path} has no list "cameras"; {_EXAMPLE}')
    for number, camera in enumerate(cameras, start=1):
        where = f'{path}, camera {number}'
        if not isinstance(camera, Mapping) or not isinstance(camera.get('images'), str):
            raise DatasetError(f'{where}: has no entry "images"; {_EXAMPLE}')
        _check_entries(where, camera, _CAMERA_ENTRIES)
        said = required or 'rig_from_cam' in camera
        yield camera, _mount(where, camera.get('rig_from_cam')) if said else None


def _check_entries(where: str, values: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(map(str, values.keys() - known))
    if unknown:
        raise DatasetError(f'{where}: does not know the entry "{unknown[0]}"; {_EXAMPLE}')


def _mount(where: str, numbers: Any) -> Array:
    try:
        values = np.array(numbers, np.float64)
        return validate_pose(values) if values.shape == (4, 4) else pose_from_tum(values)
    except (TypeError, ValueError, PoseError) as error:
        raise DatasetError(f'{where}: rig_from_cam is no pose ({error}); {_EXAMPLE}') from error


def _tolerance(path: Path, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise DatasetError(f'{path}: tolerance is {value!r}; give seconds, such as {_TOLERANCE}')
    return float(value)
