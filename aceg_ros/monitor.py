"""How long work reports where it is, and learns that it shall stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aceg_ros.errors import FitCancelled

# stage, part of the whole done (0..1), a few words
Progress = Callable[[str, float, str], None]


def _silent(stage: str, fraction: float, detail: str) -> None:
    """Report nothing."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Monitor:
    """Both ends of long work: progress goes out, a wish to cancel comes in."""

    progress: Progress = _silent
    cancelled: Callable[[], bool] = _never

    def report(self, stage: str, fraction: float, detail: str) -> None:
        """Say that a part (0..1) of a stage is done; raises FitCancelled as `check` does."""
        self.check()
        self.progress(stage, fraction, detail)

    def check(self) -> None:
        """Raise FitCancelled when cancellation was asked for."""
        if self.cancelled():
            raise FitCancelled('the fit was cancelled; no map was written')
