"""Poses over time: TUM trajectory files (`t tx ty tz qx qy qz qw` a line) and poses between."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.text import TextError, is_number, read_text
from aceg_ros.datasets.times import NUMBERS, Times, read_times
from aceg_ros.errors import DatasetError, PoseError
from aceg_ros.files import write_atomically
from aceg_ros.geometry.poses import interpolate, pose_from_tum, pose_to_tum
from aceg_ros.geometry.timeline import bracket

# Between poses further apart than this a camera may have moved in any way.
MAX_GAP = 0.1
# Times that were rounded to milliseconds are off by less (s).
ROUNDED = 1e-3
# First line of an index that grows line by line: a last line without its end was torn off.
INDEX_HEADER = '# aceg_ros recording: timestamp tx ty tz qx qy qz qw (world_from_cam)\n'


class Trajectory:
    """Poses at increasing stamps (N,) in seconds, kept as the numbers tx ty tz qx qy qz qw.

    `taken_as` says what the stamps were taken for where they were read.
    """

    def __init__(
        self,
        stamps: Sequence[float] | NDArray[np.float64],
        numbers: Sequence[Sequence[float]],
        taken_as: str = 'seconds',
    ) -> None:
        order = np.argsort(stamps, kind='stable')
        self.stamps = np.asarray(stamps, dtype=np.float64)[order]
        self._numbers = [numbers[index] for index in order]
        self.taken_as = taken_as

    @property
    def numbered(self) -> bool:
        """Whether the stamps may be numbers of frames, and no times."""
        return self.taken_as == NUMBERS

    def __len__(self) -> int:
        return len(self.stamps)

    def pose(self, index: int) -> NDArray[np.float64]:
        """Pose (4, 4) at `stamps[index]`; raises PoseError when its numbers are no pose."""
        return pose_from_tum(self._numbers[index])

    def at(self, stamp: float, max_gap: float = MAX_GAP) -> NDArray[np.float64]:
        """Pose (4, 4) at `stamp`, interpolated where the neighbors are at most `max_gap` s apart.

        Where they are not, the stamp may still be that of a pose, rounded to milliseconds. Raises
        PoseError when there is no pose that close, or one that is needed is no pose.
        """
        try:
            before, after, alpha = bracket(self.stamps, stamp, max_gap)
        except PoseError:
            nearest = int(np.abs(self.stamps - stamp).argmin()) if len(self) else 0
            if not len(self) or abs(self.stamps[nearest] - stamp) > ROUNDED:
                raise
            return self.pose(nearest)
        if before == after:
            return self.pose(before)
        return interpolate(self.pose(before), self.pose(after), alpha)


def read_trajectory(path: Path) -> tuple[Trajectory, list[tuple[str, str]]]:
    """Read a TUM trajectory file; also gives the lines it could not use, each with the reason.

    Numbers may be separated by blanks, commas or semicolons; `#` starts a comment. The unit of the
    stamps is decided by all of them together. A line whose stamp can be read stays in, so that the
    time of an unusable pose is never bridged by its neighbors. Raises DatasetError when the file
    cannot be read or no line of it holds a stamp.
    """
    stamps, numbers, problems = [], [], []
    text = _read_text(path)
    rows = _split(text)
    if rows and text.startswith(INDEX_HEADER) and not text.endswith('\n'):
        # What is left of it may well read as a pose, a wrong one.
        line, _ = rows.pop()
        problems.append((f'{path.name}, line {line}', 'was torn off while it was written'))
    if rows and not any(map(is_number, rows[0][1])):
        del rows[0]  # names of the columns
    for line, words in rows:
        try:
            stamp, *pose = (float(word) for word in words)
        except ValueError:
            problems.append((f'{path.name}, line {line}', 'holds something that is no number'))
            continue
        if not np.isfinite(stamp):
            problems.append((f'{path.name}, line {line}', f'its time stamp is {words[0]}'))
            continue
        stamps.append(words[0])
        numbers.append(pose)
    times = read_times(stamps)
    if times is None:
        raise DatasetError(f'{path}: holds no pose; lines of t tx ty tz qx qy qz qw are expected')
    return Trajectory(times.seconds, numbers, times.taken_as), problems


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Split the lines of a text file at blanks, commas and semicolons, with their numbers from 1.

    Comments (#) and empty lines are left out. Raises DatasetError when it cannot be read as text.
    """
    return _split(_read_text(path))


def read_stamped_files(
    path: Path, near: NDArray[np.float64] | None = None, otherwise: str = NUMBERS
) -> tuple[Times, list[str]]:
    """Read a list of `time file` lines, in order of time; names may hold blanks.

    `near` and `otherwise` are those of `read_times`. Raises DatasetError for a line that is neither
    and for a list without lines.
    """
    rows = read_table(path)
    words = [row[0] for _, row in rows]
    for (line, row), word in zip(rows, words, strict=True):
        if len(row) < 2 or read_times([word]) is None:
            raise DatasetError(
                f'{path}, line {line}: is not a time and a file name; write for example '
                '1305031229.528748 rgb/1305031229.528748.png'
            )
    times = read_times(words, near, otherwise)
    if times is None:
        raise DatasetError(f'{path}: lists no image; lines of a time and a file name are expected')
    order = np.argsort(times.seconds, kind='stable')
    files = [' '.join(rows[index][1][1:]) for index in order]
    return Times(times.seconds[order], times.taken_as), files


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
        write_atomically(path, ('\n'.join(lines) + '\n').encode())
    except OSError as error:
        raise DatasetError(f'{path}: cannot be written ({error.strerror})') from error


def _read_text(path: Path) -> str:
    try:
        return read_text(path)
    except TextError as error:
        raise DatasetError(f'{path}: {error}') from error


def _split(text: str) -> list[tuple[int, list[str]]]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = re.sub('[,;]', ' ', line.split('#', maxsplit=1)[0]).split()
        if words:
            rows.append((number, words))
    return rows
