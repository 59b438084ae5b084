"""The paper's schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aceg_ros.errors import FitError


@dataclass(frozen=True)
class PaperSchedule:
    """All numbers of a mapping run; the defaults are common to the paper's two.

    Pixels are those of the image as the encoder sees it.
    """

    name: str
    steps: int
    batch: int  # patches per step
    buffer: int  # patches
    tokens: int = 4096  # vectors of the code
    per_view: int = 1024  # patches taken of a view, drawn at random
    first_rate: float = 4e-4  # learning rate, from which it rises in a cosine ...
    peak_rate: float = 2e-3  # ... to this, and falls in another ...
    last_rate: float = 4e-7  # ... to this
    rise: float = 0.3  # part of the steps
    weight_decay: float = 0.01
    dropout: float = 0.1  # of the features' numbers
    zoom: tuple[float, float] = (2 / 3, 3 / 2)  # of a view's size
    turn: float = 15.0  # degrees a view is turned by, at most
    light: float = 0.1  # by which a view's brightness and contrast change, at most
    nearest: float = 0.1  # meters; a nearer prediction is invalid, and pulled to this depth
    farthest: float = 1000.0  # meters
    farthest_px: float = 1000.0  # error beyond which a prediction is invalid

    def learning_rate(self, step: int) -> float:
        """Of step 0 to ``steps`` - 1."""
        top = self.rise * self.steps - 1
        if step <= top:
            return _cosine(self.first_rate, self.peak_rate, step / top if top else 1.0)
        part = (step - top) / max(self.steps - 1 - top, 1e-9)
        return _cosine(self.peak_rate, self.last_rate, min(part, 1.0))


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


SCHEDULES = {
    schedule.name: schedule
    for schedule in (
        PaperSchedule('paper-5min', steps=1000, batch=40_960, buffer=4_000_000),
        PaperSchedule('paper-25min', steps=4000, batch=51_200, buffer=8_000_000),
    )
}


def schedule_named(name: str) -> PaperSchedule:
    """Raises FitError when there is none of this name."""
    if name not in SCHEDULES:
        raise FitError(f'there is no schedule {name}; there are {", ".join(SCHEDULES)}')
    return SCHEDULES[name]
