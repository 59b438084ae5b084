"""What is known in the frame of a map and in another one: poses by their stamps, or given pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from aceg_ros.datasets.base import Frame
from aceg_ros.datasets.text import TextError, read_text
from aceg_ros.datasets.trajectory import Trajectory
from aceg_ros.errors import AlignmentError, DatasetError, ImageError, PoseError
from aceg_ros.geometry.poses import inverse, pose_from_tum, pose_to_tum, shifted
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.maps.code import AnchoredCode, session_mount
from aceg_ros.monitor import Monitor
from aceg_ros.pose.frames import FramePairs

Array = NDArray[np.float64]

_EXAMPLE = 'such as "pairs: [{map: [1, 2, 0], other: [4, 5, 0]}, ...]"'


def trajectory_of(frames: Sequence[Frame]) -> Trajectory:
    """The poses of a dataset; frames without one are left out."""
    posed = [
        (f.stamp, pose_to_tum(f.world_from_cam)) for f in frames if f.world_from_cam is not None
    ]
    return Trajectory([stamp for stamp, _ in posed], [numbers.tolist() for _, numbers in posed])


def keyframe_pairs(
    code: AnchoredCode, others: Trajectory, mount: Array, max_gap: float
) -> FramePairs:
    """The keyframes of a map whose stamps lie in a trajectory in the other frame.

    Their poses are those recorded. ``mount`` (4, 4) is the pose of the camera in the body that the
    trajectory is of. Raises AlignmentError where the map does not know when its keyframes were
    taken or by which camera, or no stamp matches.
    """
    stamps = code.keyframe_stamps
    known = np.flatnonzero(np.isfinite(stamps))
    if not len(known):
        raise AlignmentError(
            'the map does not know when its keyframes were taken (it is of an older version): give '
            'images to localize in it (--images), or map again'
        )
    poses = _given_poses(code)
    names = [f'keyframe {index} at {stamps[index]:.3f}' for index in known]
    return _by_stamps(stamps[known], poses[known], names, others, mount, max_gap)


def _given_poses(code: AnchoredCode) -> Array:
    """Poses (K, 4, 4) of the keyframes as they were given, world_from_given."""
    poses = shifted(code.recorded, code.info.origin)
    for number, session in enumerate(code.info.sessions):
        given_from_cam = session_mount(code.info, session)
        if given_from_cam is None:
            raise AlignmentError(
                f'the cameras of session {session.name!r} are mounted differently, and the map '
                'does not know which of them took a keyframe: give images to localize in it '
                '(--images)'
            )
        own = code.keyframe_sessions == number
        poses[own] = poses[own] @ inverse(given_from_cam)
    return poses


def localized_pairs(
    localizer: Localizer,
    frames: Sequence[Frame],
    others: Trajectory,
    mount: Array,
    max_gap: float,
    monitor: Monitor,
) -> FramePairs:
    """Images localized in the map, whose stamps lie in a trajectory in the other frame.

    Images that cannot be read, or are refused, are left out. Raises AlignmentError as
    `keyframe_pairs` does.
    """
    stamps: list[float] = []
    poses: list[Array] = []
    names: list[str] = []
    for index, frame in enumerate(frames):
        monitor.report('localize', index / len(frames), f'{len(poses)} images localized')
        try:
            found = localizer.localize(frame.image(), frame.camera)
        except ImageError:
            continue
        if isinstance(found, Localization):
            stamps.append(frame.stamp)
            poses.append(found.world_from_cam)
            names.append(frame.name)
    if not poses:
        raise AlignmentError(
            f'none of {len(frames)} images was localized in the map: give images of what it shows'
        )
    return _by_stamps(np.array(stamps), np.stack(poses), names, others, mount, max_gap)


def pairs_of_file(path: Path) -> FramePairs:
    """Pairs that a person wrote down: a YAML list of places, or of poses, in both frames.

    A place is x, y, z; a pose has qx, qy, qz, qw after it. Raises DatasetError for anything else.
    """
    try:
        values = yaml.safe_load(read_text(path))
    except (TextError, yaml.YAMLError, RecursionError) as error:
        raise DatasetError(f'{path}: cannot be read as YAML: {error}') from error
    entries = values.get('pairs') if isinstance(values, dict) else None
    if not isinstance(entries, list) or not entries:
        raise DatasetError(f'{path}: lists no pairs; it should, {_EXAMPLE}')
    names = [
        str(entry.get('name', f'pair {number}')) if isinstance(entry, dict) else ''
        for number, entry in enumerate(entries, start=1)
    ]
    old, new = (
        [_numbers(path, name, entry, key) for name, entry in zip(names, entries, strict=True)]
        for key in ('map', 'other')
    )
    lengths = {len(numbers) for numbers in old + new}
    if len(lengths) > 1:
        raise DatasetError(f'{path}: some are places and some are poses; give only one of both')
    if lengths == {3}:
        return FramePairs(np.array(old), np.array(new), tuple(names))
    try:
        first, second = (
            np.stack([pose_from_tum(numbers) for numbers in part]) for part in (old, new)
        )
    except PoseError as error:
        raise DatasetError(f'{path}: {error}') from error
    return FramePairs.of_poses(first, second, names)


def _numbers(path: Path, name: str, entry: Any, key: str) -> list[float]:
    given = entry.get(key) if isinstance(entry, dict) else None
    try:
        numbers = [float(number) for number in given]  # type: ignore[union-attr]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (3, 7) or not np.isfinite(numbers).all():
        raise DatasetError(
            f'{path}: {name or "an entry"} has no place x, y, z or pose x, y, z, qx, qy, qz, qw '
            f'as "{key}"; write pairs {_EXAMPLE}'
        )
    return numbers


def _by_stamps(
    stamps: Array,
    poses: Array,
    names: Sequence[str],
    others: Trajectory,
    mount: Array,
    max_gap: float,
) -> FramePairs:
    chosen, there, reason = [], [], ''
    for index, stamp in enumerate(stamps.tolist()):
        try:
            there.append(others.at(stamp, max_gap) @ mount)
        except PoseError as error:
            reason = str(error)
            continue
        chosen.append(index)
    if not chosen:
        raise AlignmentError(
            f'no stamp of the map is in the trajectory ({reason}): give poses of the same drive '
            'and clock, or images to localize (--images); --max-gap allows poses farther apart'
        )
    return FramePairs.of_poses(poses[chosen], np.stack(there), [names[i] for i in chosen])
