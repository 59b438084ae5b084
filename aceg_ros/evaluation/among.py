"""What a map answers among other maps, and what a query then costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aceg_ros.datasets import Frame
from aceg_ros.errors import DatasetError, ImageError
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.localization.several import MapSet
from aceg_ros.monitor import Monitor

Answer = Localization | LocalizationFailure


@dataclass(frozen=True)
class AmongMaps:
    """Answers for images of one of several maps, where nothing says which map it is.

    Times are medians over all images of a query's processor time, as a part of what the same image
    takes in that map alone.
    """

    maps: int
    images: int
    alone: int  # localized by the map alone
    right: int  # answered by it among the others
    wrong: int  # answered by another one
    time_first: float  # it is asked first, and others only where it refuses
    time_all: float  # none is preferred

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        rows = {
            f'among {self.maps} maps': f'{self.right} of {self.images} images found in the right '
            f'map ({self.alone} by it alone), {self.wrong} in another',
            'processor time': f'{self.time_first:.2f} of that alone with this map first, '
            f'{self.time_all:.2f} with none preferred',
        }
        return [f'{name:>24}: {text}' for name, text in rows.items()]


def evaluate_among(
    maps: MapSet, name: str, frames: Sequence[Frame], monitor: Monitor | None = None
) -> AmongMaps:
    """Ask for each image in the map that shows it, alone and among the others, one by one.

    Raises DatasetError when there is no image that can be read.
    """
    monitor = monitor or Monitor()
    answers: list[tuple[Answer, Answer]] = []
    times: list[tuple[float, float]] = []
    for index, frame in enumerate(frames):
        monitor.report('among', index / len(frames), frame.name)
        try:
            image = frame.image()
        except ImageError:
            continue
        camera = frame.camera
        alone, once = _timed(lambda: maps.localizers[name].localize(image, camera))  # noqa: B023
        _, first = _timed(lambda: maps.localize(image, camera, first=name))  # noqa: B023
        among, every = _timed(lambda: maps.localize(image, camera, first=''))  # noqa: B023
        answers.append((alone, among))
        times.append((first / once, every / once))
    if not answers:
        raise DatasetError(f'none of the {len(frames)} images can be read; choose others')
    found = [among.map_name for _, among in answers if isinstance(among, Localization)]
    time_first, time_all = np.median(times, axis=0).tolist()
    return AmongMaps(
        maps=len(maps.localizers),
        images=len(answers),
        alone=sum(bool(alone) for alone, _ in answers),
        right=found.count(name),
        wrong=len(found) - found.count(name),
        time_first=time_first,
        time_all=time_all,
    )


def _timed(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """Result of work, and its processor time in seconds."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start
