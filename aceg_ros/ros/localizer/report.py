"""The node's state on ~/status, in the log and on /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

from rclpy.node import Node
from std_msgs.msg import String

from aceg_ros.ros.localizer.cameras import Cameras
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
# Seconds that they may be ahead: simulated time goes in steps.
_AHEAD = 0.25
# Seconds that one image may come again and again while nothing tells of motion.
_FROZEN = 30.0


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
        cameras: Cameras,
        statistics: Statistics,
        working: Callable[[], bool],
        broken: Callable[[], str],
    ) -> None:
        """``working``: whether images are wanted; ``broken``: why images are given up, or ''."""
        self._tracker = tracker
        self._maps = maps
        self._cameras = cameras
        self._statistics = statistics
        self._working = working
        self._broken = broken

    def join(self, diagnostics: Diagnostics) -> None:
        """Have them published."""
        for number in range(len(self._statistics.of_cameras)):
            names = self._cameras.names
            name = f'camera {names[number]}' if names else 'camera'
            diagnostics.add(name, partial(self.camera, number))
        diagnostics.add('localization', self.localization)
        diagnostics.add('map', self.map)

    def camera(self, number: int = 0) -> Report:
        """Whether usable images of a camera arrive."""
        statistics = self._statistics.of_cameras[number]
        report = self._cameras.health[number].report(statistics.unusable)
        if not self._working():
            return replace(report, level=Level.OK, message='not listening')
        if report.level is not Level.OK:
            return report
        if statistics.unmounted:
            return replace(report, level=Level.ERROR, message=statistics.unmounted)
        words = (
            self._cameras.apart(number)
            or _odd(statistics.age, statistics.repeated)
            or statistics.without_depth
        )
        return replace(report, level=Level.WARN, message=words) if words else report

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
                cameras=statistics.cameras_of_fix,
                map_id=self._tracker.map_id,
                oldest_image_ms=round(1000.0 * statistics.oldest, 1),
                latency_ms=round(1000.0 * statistics.latency, 1),
            )
        )
        for stage, milliseconds in statistics.milliseconds.items():
            values[f'{stage}_ms'] = round(milliseconds, 1)
        state, words = self._tracker.status
        if self._broken():
            return Report(Level.ERROR, self._broken(), values)
        level = Level.WARN
        if state is State.LOCALIZED or not self._working():
            level = Level.OK
        elif state is State.WAITING_FOR_IMAGES:
            level = Level.STALE
        return Report(level, f'{state.value}: {words}', values)

    def map(self) -> Report:
        """The maps in use."""
        maps, problem = self._maps.current, self._maps.problem
        if maps is None:
            return Report(Level.ERROR if problem else Level.WARN, problem or 'no map is loaded')
        values: dict[str, object] = {}
        for name, loaded in maps.by_name.items():
            code = loaded.localizer.code
            told = {
                'file': loaded.path,
                'frame': loaded.frame,
                'created': code.info.created,
                'keyframes': len(code.keyframes),
                'points': len(code.anchors),
                'quality': code.info.quality.rating.value,
                'device': loaded.localizer.device,
                'threads': loaded.localizer.threads,
            }
            prefix = f'{name}.' if len(maps.by_name) > 1 else ''
            values |= {f'{prefix}{key}': value for key, value in told.items()}
        if maps.set.note:
            return Report(Level.WARN, maps.set.note, values)
        if problem:
            return Report(Level.WARN, f'still in use, because of this: {problem}', values)
        words = (
            f'{maps.names} are in use'
            if len(maps.by_name) > 1
            else f'{maps.first.path.name} is in use'
        )
        return Report(Level.OK, words, values)


def _odd(age: float, repeated: float) -> str:
    """What a healthy camera does not do, though its images can be used; as `CameraStatistics`."""
    if abs(age) > _OTHER_CLOCK:
        side = 'behind' if age > 0 else 'ahead of'
        return f'stamps of images are {abs(age):.0f} s {side} the clock: is use_sim_time right?'
    if age < -_AHEAD:
        return f'stamps of images are {-age:.2f} s ahead of the clock: synchronize the clocks'
    if repeated > _FROZEN:
        return (
            f'the same image has come for {repeated:.0f} s, bit for bit: the driver hangs, or '
            'this is a simulation that stands still'
        )
    return ''
