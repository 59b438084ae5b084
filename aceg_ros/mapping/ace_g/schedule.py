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

    steps: int = option(1000, 'Number of optimizer steps.', low=1)
    batch: int = option(40_960, 'Number of patches in a step.', low=1)
    buffer: int = option(4_000_000, 'Number of patches in memory.', low=1)
    tokens: int = option(4096, 'Number of vectors of the code.', low=1)
    per_view: int = option(1024, 'Number of patches drawn from a view.', low=1)
    first_rate: float = option(4e-4, 'Learning rate at the start; it rises as a cosine.', low=0)
    peak_rate: float = option(2e-3, 'Highest learning rate; it then falls as a cosine.', low=0)
    last_rate: float = option(4e-7, 'Learning rate at the end.', low=0)
    rise: float = option(0.3, 'Part of the steps in which the learning rate rises.', low=0, high=1)
    weight_decay: float = option(0.01, 'Weight decay of AdamW.', low=0)
    dropout: float = option(0.1, 'Part of the feature values set to zero.', low=0, high=0.999)
    zoom: tuple[float, float] = option(
        (2 / 3, 3 / 2), 'Range of the random scale of a view.', low=0.01
    )
    turn: float = option(15.0, 'Largest random rotation of a view.', 'deg', low=0, high=180)
    light: float = option(0.1, 'Largest random change of brightness and contrast.', low=0, high=1)
    nearest: float = option(
        0.1, 'A prediction nearer than this is invalid and is pulled to this depth.', 'm', low=0
    )
    farthest: float = option(
        1000.0,
        'A prediction farther than this is invalid and is pulled to the nearest depth.',
        'm',
        low=0,
    )
    farthest_px: float = option(
        1000.0, 'A prediction with a larger reprojection error is invalid.', 'px', low=0
    )

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
