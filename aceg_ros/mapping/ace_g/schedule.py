"""The schedules of the ACE-G paper."""

from __future__ import annotations

from dataclasses import dataclass

from aceg_ros.errors import FitError
from aceg_ros.learning import cosine
from aceg_ros.options import Options, option


@dataclass(frozen=True)
class AceGSchedule(Options):
    """All numbers of a mapping run; the defaults are the paper's shorter one.

    Pixels are those of the image as the encoder sees it.
    """

    steps: int = option(1000, 'Steps of the optimizer.', low=1)
    batch: int = option(40_960, 'Patches in a step.', low=1)
    buffer: int = option(4_000_000, 'Patches in memory.', low=1)
    tokens: int = option(4096, 'Vectors of the code.', low=1)
    per_view: int = option(1024, 'Patches taken of a view, at random.', low=1)
    first_rate: float = option(
        4e-4, 'Learning rate at first, from which it rises in a cosine.', low=0
    )
    peak_rate: float = option(
        2e-3, 'Greatest learning rate, from which it falls in a cosine.', low=0
    )
    last_rate: float = option(4e-7, 'Learning rate in the end.', low=0)
    rise: float = option(0.3, 'Part of the steps in which the rate rises.', low=0, high=1)
    weight_decay: float = option(0.01, "AdamW's.", low=0)
    dropout: float = option(0.1, "Part of a feature's numbers set to zero.", low=0, high=0.999)
    zoom: tuple[float, float] = option(
        (2 / 3, 3 / 2), "Range of factors on a view's size.", low=0.01
    )
    turn: float = option(15.0, 'A view is turned by this at most.', 'deg', low=0, high=180)
    light: float = option(
        0.1, "A view's brightness and contrast change by this at most.", low=0, high=1
    )
    nearest: float = option(
        0.1, 'A nearer prediction is invalid, and pulled to this depth.', 'm', low=0
    )
    farthest: float = option(1000.0, 'A farther prediction is invalid.', 'm', low=0)
    farthest_px: float = option(1000.0, 'Predictions of more error are invalid.', 'px', low=0)

    def learning_rate(self, step: int) -> float:
        """Of step 0 to ``steps`` - 1."""
        top = self.rise * self.steps - 1
        if step <= top:
            return cosine(self.first_rate, self.peak_rate, step / top if top else 1.0)
        part = (step - top) / max(self.steps - 1 - top, 1e-9)
        return cosine(self.peak_rate, self.last_rate, min(part, 1.0))


SCHEDULES = {
    'ace-g-5min': AceGSchedule(),
    'ace-g-25min': AceGSchedule(steps=4000, batch=51_200, buffer=8_000_000),
}


def schedule_named(name: str) -> AceGSchedule:
    """Raises FitError when there is none of this name."""
    if name not in SCHEDULES:
        raise FitError(f'there is no schedule {name}; there are {", ".join(SCHEDULES)}')
    return SCHEDULES[name]
