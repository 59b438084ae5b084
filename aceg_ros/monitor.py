"""Progress and cancelling of long work."""

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
    """Receives the progress of long work, and tells it when to stop.

    `progress` is called with a stage, its part done (0..1) and a few words. Work stops with
    FitCancelled once `cancelled` returns true.
    """

    progress: Progress = _silent
    cancelled: Callable[[], bool] = _never

    def report(self, stage: str, fraction: float, detail: str) -> None:
        """Report that a part (0..1) of a stage is done; raises FitCancelled as `check` does."""
        self.check()
        self.progress(stage, fraction, detail)

    def check(self) -> None:
        """Raise FitCancelled if cancelling was requested."""
        if self.cancelled():
            raise FitCancelled('the fit was cancelled; no map was written')
