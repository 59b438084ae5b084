"""The node's state on ~/status, in the log and on /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace

from rclpy.node import Node
from std_msgs.msg import String

from aceg_ros.ros.camera_health import CameraHealth
from aceg_ros.ros.localizer.maps import Maps
from aceg_ros.ros.localizer.statistics import Statistics
from aceg_ros.ros.middleware.diagnostics import Diagnostics, Level, Report
from aceg_ros.ros.parameters import LATCHED
from aceg_ros.ros.status_values import LocalizationValues
from aceg_ros.tracking.tracker import State, Tracker

# Seconds between two words on the same state.
_PERIOD = 1.0
# Seconds that stamps may differ from the clock before they count as those of another one.
_OTHER_CLOCK = 10.0


class Status:
    """Publishes the state in words, `state: why`."""

    def __init__(self, node: Node, tracker: Tracker) -> None:
        self._tracker = tracker
        self._logger = node.get_logger()
        self._publisher = node.create_publisher(String, '~/status', LATCHED)
        self._state: State | None = None
        self._words = ''
        self._said = 0.0

    def refresh(self) -> bool:
        """Publish what is new, a new state at once; whether there was one."""
        state, words = self._tracker.status
        now = time.monotonic()
        changed = state is not self._state
        if not changed and (words == self._words or now - self._said < _PERIOD):
            return False
        self._state, self._words, self._said = state, words, now
        self._publisher.publish(String(data=f'{state.value}: {words}'))
        # What a map is waited for is all that there is to say of that state, and it changes.
        if changed or state is State.WAITING_FOR_MAP:
            self._logger.info(f'{state.value}: {words}')
        return changed


class Reports:
    """The node's reports on /diagnostics."""

    def __init__(
        self,
        tracker: Tracker,
        maps: Maps,
        health: CameraHealth,
        statistics: Statistics,
        working: Callable[[], bool],
    ) -> None:
        """``working``: whether images are wanted."""
        self._tracker = tracker
        self._maps = maps
        self._health = health
        self._statistics = statistics
        self._working = working

    def join(self, diagnostics: Diagnostics) -> None:
        """Have them published."""
        diagnostics.add('camera', self.camera)
        diagnostics.add('localization', self.localization)
        diagnostics.add('map', self.map)

    def camera(self) -> Report:
        """Whether usable images arrive."""
        report = self._health.report(self._statistics.unusable)
        if not self._working():
            return replace(report, level=Level.OK, message='not listening')
        behind = self._statistics.latency
        if report.level is Level.OK and abs(behind) > _OTHER_CLOCK:
            words = f'stamps of images are {behind:.0f} s behind the clock: is use_sim_time right?'
            return replace(report, level=Level.WARN, message=words)
        return report

    def localization(self) -> Report:
        """The outcome of localization."""
        statistics = self._statistics
        values: dict[str, object] = asdict(
            LocalizationValues(
                rate_hz=round(statistics.rate, 1),
                accepted=statistics.accepted,
                refused=statistics.refused,
                failed=statistics.failed,
                inliers=statistics.inliers,
                confidence=round(statistics.confidence, 3),
                oldest_image_ms=round(1000.0 * statistics.oldest, 1),
                latency_ms=round(1000.0 * statistics.latency, 1),
            )
        )
        for stage, milliseconds in statistics.milliseconds.items():
            values[f'{stage}_ms'] = round(milliseconds, 1)
        state, words = self._tracker.status
        level = Level.WARN
        if state is State.LOCALIZED or not self._working():
            level = Level.OK
        elif state is State.WAITING_FOR_IMAGES:
            level = Level.STALE
        return Report(level, f'{state.value}: {words}', values)

    def map(self) -> Report:
        """The map in use."""
        loaded, problem = self._maps.current, self._maps.problem
        if loaded is None:
            return Report(Level.ERROR if problem else Level.WARN, problem or 'no map is loaded')
        code = loaded.localizer.code
        values = {
            'file': loaded.path,
            'created': code.info.created,
            'keyframes': len(code.keyframes),
            'points': len(code.anchors),
            'quality': code.info.quality.rating.value,
        }
        if problem:
            return Report(Level.WARN, f'still in use, because of this: {problem}', values)
        return Report(Level.OK, f'{loaded.path.name} is in use', values)
