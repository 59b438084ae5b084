"""How long work reports where it is and learns that it shall stop."""

from __future__ import annotations

from collections.abc import Callable

from aceg_ros.errors import FitCancelled

# stage, part of the whole done (0..1), a few words
Progress = Callable[[str, float, str], None]
Cancelled = Callable[[], bool]


def silent(stage: str, fraction: float, detail: str) -> None:
    """Report nothing."""


def never() -> bool:
    """Never cancelled."""
    return False


def check(cancelled: Cancelled) -> None:
    """Raise FitCancelled when cancellation was asked for."""
    if cancelled():
        raise FitCancelled('the fit was cancelled; no map was written')
