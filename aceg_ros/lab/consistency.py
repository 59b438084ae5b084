"""Whether errors are as large as covariances say: in places mapped in part, and over time.

Every other frame of the first part of a recording is mapped. The others are asked for: those
'between' mapped ones, and those 'beyond' that part, which look at it from elsewhere if at all. Of
the frames between, some are asked for again with half of the image covered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.base import Frame
from aceg_ros.engine import Engine
from aceg_ros.errors import DatasetError
from aceg_ros.evaluation.filter import Run, compare
from aceg_ros.evaluation.metrics import Evaluation, evaluate
from aceg_ros.lab.pretraining.sources.worlds import ProceduralWorlds
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.monitor import Monitor

_MAPPED = 0.6  # part of the recording, every other frame of it
_LEAST = 16  # frames
_COVERED = 12  # frames asked for again, at most
_GRAY = 127
_WORLD_VIEWS, _WORLD_PERIOD = 80, 0.2  # s


@dataclass(frozen=True)
class Track:
    """A recording in order of time, all frames with poses."""

    name: str
    frames: Sequence[Frame]


@dataclass(frozen=True)
class Outcome:
    """What came of a track."""

    name: str
    groups: dict[str, Evaluation]
    simple: dict[str, Evaluation]  # the same poses with covariances of `simpler`
    track: Evaluation  # 'between' and 'beyond' in order of time
    runs: list[Run]  # of the filter; none where there are too few poses


def recorded_tracks(paths: Sequence[Path]) -> Iterator[Track]:
    """Datasets; raises DatasetError for one that is too short."""
    for path in paths:
        frames = [f for f in open_dataset(path).frames if f.world_from_cam is not None]
        if len(frames) < _LEAST:
            raise DatasetError(f'{path} has {len(frames)} frames with poses; {_LEAST} are needed')
        yield Track(path.name, sorted(frames, key=lambda frame: frame.stamp))


def world_tracks(count: int, first: int) -> Iterator[Track]:
    """Tours of procedural worlds."""
    worlds = ProceduralWorlds(count, first, mapping_views=_WORLD_VIEWS)
    for index in range(count):
        frames = worlds.scene(index).mapping
        timed = [replace(frame, stamp=_WORLD_PERIOD * i) for i, frame in enumerate(frames)]
        yield Track(worlds.name(index), timed)


def follow(
    track: Track, engine: Engine, options: MappingOptions, monitor: Monitor | None = None
) -> Outcome:
    """Map the first part, ask for the rest; raises FitError when it cannot be mapped."""
    ends = round(_MAPPED * len(track.frames))
    code = map_scene(track.frames[:ends:2], engine, options).code
    localizer = Localizer(code, engine)
    between = evaluate(localizer, track.frames[1:ends:2], monitor)
    beyond = evaluate(localizer, track.frames[ends:], monitor)
    step = max(len(between.results) // _COVERED, 1)
    covered = [
        half_covered(result.frame, index) for index, result in enumerate(between.results[::step])
    ]
    groups = {
        'between': between,
        'beyond': beyond,
        'half covered': evaluate(localizer, covered, monitor),
    }
    whole = between.joined(beyond)
    poses = sum(result.localized for result in whole.results)
    runs = compare(whole.results) if poses >= 3 else []
    angle = code.info.angular_error
    simple = {group: simpler(found, angle) for group, found in groups.items()}
    return Outcome(track.name, groups, simple, whole, runs)


def simpler(found: Evaluation, angle: float) -> Evaluation:
    """The same poses with covariances of their residuals and one error of the map, in rad."""
    results = []
    for result in found.results:
        answer = result.answer
        if isinstance(answer, Localization) and answer.residual_covariance is not None:
            covariance = answer.residual_covariance + answer.map_error(angle)
            answer = replace(answer, covariance=covariance)
        results.append(replace(result, answer=answer))
    return replace(found, results=results)


def half_covered(frame: Frame, index: int) -> Frame:
    """The frame with one half of its image gray: left, right, top and bottom in turn."""
    return replace(frame, load_image=partial(_covered, frame, index % 4))


def _covered(frame: Frame, side: int) -> np.ndarray:
    image = frame.image().copy()
    height, width = image.shape[:2]
    rows, columns = (
        (slice(None), slice(0, width // 2)),
        (slice(None), slice(width // 2, None)),
        (slice(0, height // 2), slice(None)),
        (slice(height // 2, None), slice(None)),
    )[side]
    image[rows, columns] = _GRAY
    return image
