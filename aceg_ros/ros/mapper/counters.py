"""What became of the images of a camera."""

from __future__ import annotations

import time
from threading import Lock

from aceg_ros.recording.recorder import Keyframe, Refusal

_RECENT = 5.0  # s that the trouble of one image counts


class Counters:
    """Counts of images by outcome; filled by the worker, read by the executor."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[Refusal | str, int] = {}
        self._trouble = ''
        self._since = 0.0

    def count(self, outcome: Keyframe | Refusal) -> None:
        """An image was recorded or not, as it should be."""
        with self._lock:
            kind = outcome if isinstance(outcome, Refusal) else 'recorded'
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._trouble = ''

    def fail(self, words: str) -> None:
        """An image could not be used."""
        with self._lock:
            self._counts['unusable'] = self._counts.get('unusable', 0) + 1
            self._trouble, self._since = words, time.monotonic()

    @property
    def trouble(self) -> str:
        """Why images cannot be used at present; empty when they can."""
        with self._lock:
            recent = time.monotonic() - self._since < _RECENT
            return self._trouble if recent else ''

    @property
    def counts(self) -> dict[str, int]:
        """Number of images by outcome."""
        with self._lock:
            return {
                kind.value if isinstance(kind, Refusal) else kind: count
                for kind, count in self._counts.items()
            }
