"""Pairing images with poses, by time where their names are times and else by order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aceg_ros.datasets.names import order_is_unclear
from aceg_ros.datasets.times import NUMBERS, UNITS, Array, Times, hits, times_of_names
from aceg_ros.datasets.trajectory import MAX_GAP, Trajectory
from aceg_ros.errors import DatasetError

# Clocks that differ by a constant differ by no more than this (s) around it.
_SAME_OFFSET = 2e-3
# Part of the names that must fall on stamps of poses.
_MOST = 0.8
_HALF = 0.5


@dataclass(frozen=True)
class Pairing:
    """Times (N,) of images on the clock of the poses, or None: paired in order."""

    seconds: Array | None
    notes: list[str] = field(default_factory=list)  # what was taken for granted


def pair(images: Sequence[Path], trajectory: Trajectory, pose_file: str) -> Pairing:
    """Say how images, in natural order, go with poses.

    Raises DatasetError, which says what was taken for what, when neither times nor order fit.
    """
    stamps = trajectory.stamps
    times = times_of_names([image.stem for image in images], stamps)
    as_many = len(images) == len(stamps)
    if times is None:
        if as_many and order_is_unclear(image.stem for image in images):
            raise DatasetError(
                'the order of the images is not clear: it is another one if numbers in their names '
                'are read with the point; name them by numbers of as many digits'
            )
        if as_many:
            return Pairing(None, _notes(None, trajectory, pose_file))
        raise DatasetError(
            f'{len(images)} images do not pair with {len(stamps)} poses; name the images by the '
            'time stamps of the poses'
        )
    if times.are_numbers:
        return _pair_numbers(times, trajectory, pose_file, as_many)
    times = _in_reach(times, stamps)
    if _overlap(times.seconds, stamps):
        return Pairing(times.seconds, _notes(times, trajectory, pose_file))
    offsets = np.sort(times.seconds) - stamps if as_many else np.zeros(0)
    if as_many and np.ptp(offsets) <= _SAME_OFFSET:
        note = (
            f'names of images and {pose_file} are on clocks {np.median(offsets):.6f} s apart; '
            'they were paired in order'
        )
        return Pairing(None, [*_notes(times, trajectory, pose_file), note])
    raise DatasetError(
        f'no image was taken while there are poses: {_span("names of images", times)}, '
        f'{_span(pose_file, _times(trajectory))}; use one clock for both'
    )


def _pair_numbers(times: Times, trajectory: Trajectory, pose_file: str, as_many: bool) -> Pairing:
    """Names are whole numbers that are no dates: the poses' own numbers, or just an order."""
    stamps, numbers = trajectory.stamps, times.seconds
    hit = hits(numbers, stamps)
    if trajectory.numbered and hit > 0.0:
        shifted = as_many and hit < 1.0 and len(numbers) > 1
        if shifted and _consecutive(numbers) and _consecutive(stamps):
            raise DatasetError(
                f'images count from {numbers.min():.0f}, {pose_file} from {stamps[0]:.0f}, and '
                'there are as many of both; let both count from the same number'
            )
        return Pairing(numbers)
    if not trajectory.numbered and hit >= _HALF and (as_many or not _consecutive(numbers)):
        return Pairing(numbers, ['names of images were taken as seconds'])
    milliseconds = numbers * 1e-3
    if not _consecutive(numbers) and hits(milliseconds, stamps, 6e-4) >= _MOST:
        return Pairing(milliseconds, ['names of images were taken as milliseconds'])
    if as_many:
        note = f'names of images were taken as {NUMBERS} and paired with {pose_file} in order'
        return Pairing(None, [*_notes(None, trajectory, pose_file), note])
    raise DatasetError(
        f'{len(numbers)} images do not pair with {len(stamps)} poses: '
        f'{_span("names of images", times)}, {_span(pose_file, _times(trajectory))}. Name the '
        'images by the time stamps of the poses, or give as many poses as images'
    )


def _in_reach(times: Times, stamps: Array) -> Times:
    """The times, in another unit if only that puts them among the poses."""
    if times.taken_as not in UNITS or _overlap(times.seconds, stamps):
        return times
    fitting = []
    for unit, digits in UNITS.items():
        seconds = times.seconds * 10.0 ** (UNITS[times.taken_as] - digits)
        inside = (seconds >= stamps[0] - MAX_GAP) & (seconds <= stamps[-1] + MAX_GAP)
        # A span much shorter than that of the poses fits anything.
        if inside.mean() >= _MOST and np.ptp(seconds) >= 0.1 * np.ptp(stamps):
            fitting.append(Times(seconds, unit))
    return fitting[0] if len(fitting) == 1 else times


def _overlap(seconds: Array, stamps: Array) -> bool:
    return bool(seconds.max() >= stamps[0] - MAX_GAP and seconds.min() <= stamps[-1] + MAX_GAP)


def _consecutive(numbers: Array) -> bool:
    """Whether these mostly follow each other by one."""
    gaps = np.diff(np.unique(numbers))
    return bool(gaps.size and np.median(gaps) == 1.0)


def _times(trajectory: Trajectory) -> Times:
    return Times(trajectory.stamps, trajectory.taken_as)


def _span(what: str, times: Times) -> str:
    low, high = times.seconds.min(), times.seconds.max()
    if times.are_numbers:
        return f'{what} were taken as {NUMBERS}, {low:.0f} to {high:.0f}'
    return f'{what} were taken as {times.taken_as}, {low:.6f} to {high:.6f} s'


def _notes(times: Times | None, trajectory: Trajectory, pose_file: str) -> list[str]:
    """What is worth saying of units: all but plain seconds."""
    notes = []
    if times is not None and times.taken_as != 'seconds':
        notes.append(f'names of images were taken as {times.taken_as}')
    if trajectory.taken_as not in ('seconds', NUMBERS):
        notes.append(f'times in {pose_file} were taken as {trajectory.taken_as}')
    return notes
