"""Counts and times of the work, for diagnostics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

WINDOW = 3.0  # seconds over which rates and times are taken


@dataclass
class CameraStatistics:
    """Of the images of one camera."""

    unusable: int = 0  # that could not be worked on
    age: float = 0.0  # seconds from the last one's stamp to the work on it; negative: ahead
    repeated: float = 0.0  # seconds, see `RepeatedImage.unexplained`
    without_depth: str = ''  # why its depth is not known; empty when it is, or none is wanted
    unmounted: str = ''  # why it is not known where the camera is on a rig; empty when it is


class Statistics:
    """Filled by the worker, read by the executor."""

    def __init__(self, cameras: int = 1) -> None:
        self.of_cameras = [CameraStatistics() for _ in range(cameras)]
        self._lock = Lock()
        self._recent: deque[tuple[float, float, dict[str, float]]] = deque()
        self.accepted = 0
        self.refused = 0  # by the gate
        self.failed = 0  # images without a pose
        self.cameras_of_fix = ''  # names of those of a rig that the last accepted pose rests on
        self.inliers = 0  # of the last pose
        self.confidence = 0.0  # of the last pose, or of the last that was refused
        self.latency = 0.0  # seconds from the last fix's stamp to its publication

    def took(self, seconds: Mapping[str, float], age: float) -> None:
        """An image was worked on; seconds by stage, and those from its stamp to the first stage."""
        now = time.monotonic()
        with self._lock:
            self._recent.append((now, age, dict(seconds)))
            self._forget(now)

    @property
    def rate(self) -> float:
        """Images worked on per second, over the last seconds."""
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            return len(self._recent) / WINDOW

    @property
    def oldest(self) -> float:
        """Age in seconds of the oldest image that work began on, over the last seconds."""
        with self._lock:
            return max((age for _, age, _ in self._recent), default=0.0)

    @property
    def milliseconds(self) -> dict[str, float]:
        """Mean time of each stage over the last seconds."""
        with self._lock:
            taken = [seconds for _, _, seconds in self._recent]
        stages = dict.fromkeys(stage for seconds in taken for stage in seconds)
        times = {stage: [s[stage] for s in taken if stage in s] for stage in stages}
        return {stage: 1000.0 * sum(each) / len(each) for stage, each in times.items()}

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - WINDOW:
            self._recent.popleft()
