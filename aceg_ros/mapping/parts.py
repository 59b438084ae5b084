"""A place too large for one map: its images split by position into overlapping parts.

Each part is mapped on its own, by any process or machine, for the split depends on the poses alone.
All poses stay in one frame. `localization.several` finds the part that an image shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import FitError
from aceg_ros.geometry.poses import rotation_angle_deg
from aceg_ros.mapping.options import MIN_KEYFRAMES, MappingOptions

# Views nearer to each other than both show a map the same.
_VIEW_METERS, _VIEW_DEGREES = 0.25, 15.0
_AROUND = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3)  # a cell and neighbors
_MIDDLE = (0.3, 0.7)  # of the images of a part, where it may be cut
_LENGTH_WEIGHT = 0.05  # of the length of a part along an axis, against the gap that a cut is in
_OVERLAP = 0.1  # images of the neighbors that a part has too, as a part of its own
_REACH = 0.1  # how far from its own images these may be, as a part of its diagonal


@dataclass(frozen=True)
class Part:
    """The images of one part of a place."""

    name: str
    place: str  # the same for all parts of it
    frames: list[Frame]


def parts_needed(frames: Sequence[Frame], options: MappingOptions) -> int:
    """How many parts a place of such images, in meters, is to be mapped in; 1 if one map holds it.

    What counts is how many different views there are: a long video of one room has few.
    """
    if len(frames) <= options.max_keyframes:
        return 1
    views = _different_views(_poses(frames))
    return 1 if views <= options.max_keyframes else -(-views // options.part_keyframes)


def split(frames: Sequence[Frame], count: int, name: str) -> list[Part]:
    """``count`` parts of a place by the positions of its images, in their order in ``frames``.

    The largest part is cut in two until there are enough, where the cameras leave a gap, or else
    across its length. Each part also has the nearest images of its neighbors, so that a camera at
    a border is found in both. Images without a pose stay with the first part. ``name`` is that of
    the place. Raises FitError where parts would have too few images.
    """
    poses = _poses(frames)
    if len(poses) < count * MIN_KEYFRAMES:
        raise FitError(
            f'{len(poses)} images with poses do not make {count} parts of {MIN_KEYFRAMES} or more: '
            'ask for fewer parts'
        )
    posed = np.array([i for i, frame in enumerate(frames) if frame.world_from_cam is not None])
    places = poses[:, :3, 3]
    parts = [np.arange(len(places))]
    while len(parts) < count:
        parts.sort(key=len)
        parts += _cut(parts.pop(), places)
    least = min(map(len, parts))
    if least < MIN_KEYFRAMES:
        raise FitError(
            f'one of {count} parts would have {least} images, and {MIN_KEYFRAMES} are needed: ask '
            'for fewer parts'
        )
    parts.sort(key=lambda part: int(part.min()))
    # The same images split in the same way are the same place, wherever a part is mapped.
    digest = hashlib.sha256(np.ascontiguousarray(poses).tobytes() + bytes([count % 256]))
    place = f'{name}-{digest.hexdigest()[:8]}'
    without = set(range(len(frames))) - set(posed.tolist())
    width = len(str(count))
    return [
        Part(
            f'{name}-{number:0{width}d}-of-{count}',
            place,
            [frames[i] for i in sorted({*posed[_widened(part, places)].tolist(), *without})],
        )
        for number, (part, without) in enumerate(
            zip(parts, [without] + [set()] * (count - 1), strict=True), 1
        )
    ]


def _poses(frames: Sequence[Frame]) -> np.ndarray:
    """(N, 4, 4) of those that have one."""
    poses = [frame.world_from_cam for frame in frames if frame.world_from_cam is not None]
    return np.stack(poses) if poses else np.zeros((0, 4, 4))


def _different_views(poses: np.ndarray) -> int:
    """How many of the poses (N, 4, 4), in this order, are no repetition of one counted before."""
    # Counted ones by their cells: a robot that waits has thousands of views within reach.
    counted: dict[tuple[int, ...], list[np.ndarray]] = {}
    for pose in poses:
        cell = np.floor(pose[:3, 3] / _VIEW_METERS).astype(int)
        around = [
            other for step in _AROUND for other in counted.get(tuple((cell + step).tolist()), ())
        ]
        if around:
            others = np.stack(around)
            near = np.linalg.norm(others[:, :3, 3] - pose[:3, 3], axis=1) <= _VIEW_METERS
            turns = rotation_angle_deg(others[:, :3, :3], pose[:3, :3])
            if (near & (turns < _VIEW_DEGREES)).any():
                continue
        counted.setdefault(tuple(cell.tolist()), []).append(pose)
    return sum(map(len, counted.values()))


def _cut(part: np.ndarray, places: np.ndarray) -> list[np.ndarray]:
    """Indices of both sides of the best cut across one of the axes."""
    best, sides = -1.0, [part, part]
    low, high = (round(share * (len(part) - 2)) for share in _MIDDLE)
    for axis in range(3):
        order = part[np.argsort(places[part, axis], kind='stable')]
        along = places[order, axis]
        gaps = np.diff(along)[low : high + 1]
        value = gaps.max() + _LENGTH_WEIGHT * (along[-1] - along[0])
        if value > best:
            # of equal gaps, as in a straight row of images, the middle one
            widest = np.flatnonzero(gaps >= gaps.max() * (1 - 1e-6))
            at = low + int(widest[len(widest) // 2]) + 1
            best, sides = float(value), [order[:at], order[at:]]
    return sides


def _widened(part: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The part with the nearest images of its neighbors."""
    others = np.setdiff1d(np.arange(len(places)), part)
    if not len(others):
        return part
    reach = _REACH * float(np.linalg.norm(np.ptp(places[part], axis=0)))
    distance, _ = cKDTree(places[part]).query(places[others])
    nearest = np.argsort(distance, kind='stable')[: round(_OVERLAP * len(part))]
    return np.concatenate([part, others[nearest[distance[nearest] <= reach]]])
