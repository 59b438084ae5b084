"""Poses over time: TUM trajectory files (`t tx ty tz qx qy qz qw` a line) and poses between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import DatasetError
from aceg_ros.geometry.poses import interpolate, pose_from_tum, pose_to_tum
from aceg_ros.geometry.timeline import bracket

# Between poses further apart than this a camera may have moved in any way.
MAX_GAP = 0.1
# First line of an index that grows line by line: a last line without its end was torn off.
INDEX_HEADER = '# aceg_ros recording: timestamp tx ty tz qx qy qz qw (world_from_cam)\n'


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

    def at(self, stamp: float, max_gap: float = MAX_GAP) -> NDArray[np.float64]:
        """Pose (4, 4) at `stamp`, interpolated where the neighbors are at most `max_gap` s apart.

        Raises PoseError when there is no pose that close, or one that is needed is no pose.
        """
        before, after, alpha = bracket(self.stamps, stamp, max_gap)
        if before == after:
            return self.pose(before)
        return interpolate(self.pose(before), self.pose(after), alpha)


def read_trajectory(path: Path) -> tuple[Trajectory, list[tuple[str, str]]]:
    """Read a TUM trajectory file; also gives the lines it could not use, each with the reason.

    Numbers may be separated by blanks or commas; `#` starts a comment. A line whose stamp can be
    read stays in, so that the time of an unusable pose is never bridged by its neighbors. Raises
    DatasetError when the file cannot be read or no line of it holds a stamp.
    """
    stamps, numbers, problems = [], [], []
    text = _read_text(path)
    rows = _split(text)
    if rows and text.startswith(INDEX_HEADER) and not text.endswith('\n'):
        # What is left of it may well read as a pose, a wrong one.
        line, _ = rows.pop()
        problems.append((f'{path.name}, line {line}', 'was torn off while it was written'))
    for line, words in rows:
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
    return _split(_read_text(path))


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


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f'{path}: cannot be read as text ({error})') from error


def _split(text: str) -> list[tuple[int, list[str]]]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split('#', maxsplit=1)[0].replace(',', ' ').split()
        if words:
            rows.append((number, words))
    return rows
