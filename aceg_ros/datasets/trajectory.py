"""Poses over time: TUM trajectory files (`t tx ty tz qx qy qz qw` a line) and poses between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import DatasetError, PoseError
from aceg_ros.geometry.poses import interpolate, pose_from_tum, pose_to_tum

# Stamps closer than this are the same instant, written with fewer digits.
SAME_INSTANT = 1e-4
# Between poses further apart than this a camera may have moved in any way.
MAX_GAP = 0.1


class Trajectory:
    """Poses at increasing stamps (N,) in seconds, kept as the numbers tx ty tz qx qy qz qw."""

    def __init__(self, stamps: Sequence[float], numbers: Sequence[Sequence[float]]) -> None:
        order = np.argsort(stamps, kind='stable')
        self.stamps = np.asarray(stamps, dtype=np.float64)[order]
        self._numbers = [numbers[index] for index in order]

    def __len__(self) -> int:
        return len(self.stamps)

    def pose(self, index: int) -> NDArray[np.float64]:
        """Pose (4, 4) at `stamps[index]`; raises PoseError when its numbers are no pose."""
        return pose_from_tum(self._numbers[index])

    def at(self, stamp: float) -> NDArray[np.float64]:
        """Pose (4, 4) at `stamp`, interpolated where the neighbours are at most 0.1 s apart.

        Raises PoseError when there is no pose that close, or one that is needed is no pose.
        """
        after = int(np.searchsorted(self.stamps, stamp))
        neighbours = [i for i in (after - 1, after) if 0 <= i < len(self)]
        nearest = min(neighbours, key=lambda i: abs(self.stamps[i] - stamp))
        if abs(self.stamps[nearest] - stamp) <= SAME_INSTANT:
            return self.pose(nearest)
        if len(neighbours) < 2 or self.stamps[after] - self.stamps[after - 1] > MAX_GAP:
            raise PoseError(f'there is no pose for time {stamp:.6f}')
        start, end = self.stamps[after - 1], self.stamps[after]
        alpha = (stamp - start) / (end - start)
        return interpolate(self.pose(after - 1), self.pose(after), alpha)


def read_trajectory(path: Path) -> tuple[Trajectory, list[tuple[str, str]]]:
    """Read a TUM trajectory file; also gives the lines it could not use, each with the reason.

    Numbers may be separated by blanks or commas; `#` starts a comment. A line whose stamp can be
    read stays in, so that the time of an unusable pose is never bridged by its neighbours. Raises
    DatasetError when the file cannot be read or no line of it holds a stamp.
    """
    stamps, numbers, problems = [], [], []
    for line, words in read_table(path):
        try:
            stamp, *pose = (float(word) for word in words)
        except ValueError:
            problems.append((f'{path.name}, line {line}', 'holds something that is no number'))
            continue
        if not np.isfinite(stamp):
            problems.append((f'{path.name}, line {line}', f'its time stamp is {words[0]}'))
            continue
        stamps.append(stamp)
        numbers.append(pose)
    if not stamps:
        raise DatasetError(f'{path}: holds no pose; lines of t tx ty tz qx qy qz qw are expected')
    return Trajectory(stamps, numbers), problems


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Split the lines of a text file at blanks and commas, with their numbers from 1.

    Comments (#) and empty lines are left out. Raises DatasetError when it cannot be read as text.
    """
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f'{path}: cannot be read as text ({error})') from error
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split('#', maxsplit=1)[0].replace(',', ' ').split()
        if words:
            rows.append((number, words))
    return rows


def format_tum_line(stamp: float, pose: NDArray[np.float64]) -> str:
    """Write a stamp in seconds and a transform (4, 4) as one TUM line, without line break."""
    return f'{stamp:.6f} ' + ' '.join(f'{value:.9f}' for value in pose_to_tum(pose))


def write_trajectory(
    path: Path, stamped_poses: Iterable[tuple[float, NDArray[np.float64]]]
) -> None:
    """Write pairs of stamp and world_from_cam (4, 4) as a TUM trajectory file."""
    lines = ['# timestamp tx ty tz qx qy qz qw']
    lines += [format_tum_line(stamp, pose) for stamp, pose in stamped_poses]
    try:
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    except OSError as error:
        raise DatasetError(f'{path}: cannot be written ({error.strerror})') from error
