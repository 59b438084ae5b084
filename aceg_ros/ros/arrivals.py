"""Counts of messages over the last seconds."""

from __future__ import annotations

import time
from collections import deque

WINDOW = 3.0  # s


class Arrivals:
    """Times at which messages came, or were missed; not for several threads at once."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self.last: float | None = None  # time.monotonic()

    def add(self, count: int = 1) -> None:
        """Count messages that come now."""
        self.last = time.monotonic()
        self._times.extend([self.last] * count)
        self._forget()

    def clear(self) -> None:
        """Begin anew."""
        self._times.clear()
        self.last = None

    @property
    def count(self) -> int:
        """Messages within the window."""
        self._forget()
        return len(self._times)

    @property
    def rate(self) -> float:
        """Messages per second."""
        if self.count < 2 or self._times[-1] == self._times[0]:
            return 0.0
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    def _forget(self) -> None:
        oldest = time.monotonic() - WINDOW
        while self._times and self._times[0] < oldest:
            self._times.popleft()
