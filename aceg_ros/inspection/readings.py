"""In which convention poses were written, judged by what pairs of images show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.conventions import READINGS, Convention, describe, reread
from aceg_ros.inspection.agreement import Pair

Array = NDArray[np.float64]

_FEWEST_PAIRS = 4
_GOOD = 0.7  # agreement of a right reading; right poses leave 0.8 to 1, wrong ones 0 to 0.4
_MARGIN = 0.3  # by which it has to be better than the poses as given
_TIE = 0.05  # readings this close to the best cannot be told from it


@dataclass(frozen=True)
class Reading:
    """Poses read in one convention."""

    conventions: tuple[Convention, ...]
    agreement: float  # mean part (0 to 1) of a pair's matches that the poses allow

    @property
    def option(self) -> str:
        """The value of `--pose-convention`."""
        return ','.join(one.value for one in self.conventions)

    @property
    def meaning(self) -> str:
        """In words."""
        return describe(self.conventions)


def read_as(pairs: Sequence[Pair], poses: Array, conventions: tuple[Convention, ...]) -> Reading:
    """How well the pairs agree when the poses (N, 4, 4) are read that way."""
    reread_poses = {
        index: reread(poses[index], conventions)
        for pair in pairs
        for index in (pair.first, pair.second)
    }
    table = np.tile(np.eye(4), (len(poses), 1, 1))
    for index, pose in reread_poses.items():
        table[index] = pose
    return Reading(conventions, float(np.mean([pair.agreement(table) for pair in pairs])))


def find_misreading(pairs: Sequence[Pair], poses: Array) -> Reading | None:
    """The reading in which the pairs agree far better than as the poses (N, 4, 4) were read.

    None where there is none, or too few pairs to tell. Of readings that cannot be told apart the
    simplest is given.
    """
    if len(pairs) < _FEWEST_PAIRS:
        return None
    given = read_as(pairs, poses, ())
    if given.agreement > 1.0 - _MARGIN:
        return None
    readings = [read_as(pairs, poses, conventions) for conventions in READINGS]
    best = max(reading.agreement for reading in readings)
    if best < _GOOD or best < given.agreement + _MARGIN:
        return None
    return next(reading for reading in readings if reading.agreement >= best - _TIE)


def misread_message(given: float, reading: Reading) -> str:
    """What is wrong and what to do about it; ``given`` is the agreement as the poses were read."""
    return (
        f'the poses seem to be written in another convention: as they are read, only '
        f'{100 * given:.0f} % of what neighboring images show agrees with them, but '
        f'{100 * reading.agreement:.0f} % does when they are read as {reading.meaning}. Give '
        f'--pose-convention {reading.option}, or rewrite the poses'
    )
