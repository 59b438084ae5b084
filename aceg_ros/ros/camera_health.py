"""Whether a camera sends usable images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

from rclpy.impl.rcutils_logger import RcutilsLogger

from aceg_ros.ros.camera_input import CameraInput
from aceg_ros.ros.middleware.diagnostics import Level, Report
from aceg_ros.ros.status_values import CameraValues


class CameraHealth:
    """Whether images come, and whether they are of use."""

    def __init__(
        self, camera: CameraInput, timeout: Callable[[], float], logger: RcutilsLogger
    ) -> None:
        """``timeout``: seconds without images of use after which there are none."""
        self.camera = camera
        self._timeout = timeout
        self._logger = logger
        self._problem = ''
        self.begin()

    def begin(self) -> None:
        """Restart the wait for images."""
        self._since = time.monotonic()
        self._bad_since: float | None = None  # when the first of the present bad images came

    @property
    def silence(self) -> str:
        """How long no image has come, in words; empty while they come."""
        age = self.camera.age
        waited = time.monotonic() - self._since if age is None else age
        if waited <= self._timeout():
            return ''
        since = 'yet' if age is None else f'for {age:.1f} s'
        words = f'no image on {self.camera.topic} {since}'
        return f'{words}; {self.camera.hint}' if self.camera.hint else words

    @property
    def problem(self) -> str:
        """Why the last image could not be used; empty when it could."""
        return self._problem

    def examined(self, problem: str) -> bool:
        """An image came; whether there has been none of use for long."""
        if problem and problem != self._problem:
            self._logger.warning(problem)
        self._problem = problem
        if not problem:
            self._bad_since = None
        elif self._bad_since is None:
            self._bad_since = time.monotonic()
        return self.useless

    @property
    def useless(self) -> bool:
        """Whether there has been no image of use for long."""
        if self._bad_since is None:
            return bool(self.silence)
        return time.monotonic() - self._bad_since > self._timeout()

    def report(self, unusable: int = 0) -> Report:
        """What /diagnostics is told; ``unusable``: images so far that could not be used."""
        values = asdict(
            CameraValues(
                rate_hz=round(self.camera.rate, 1),
                images=self.camera.received,
                dropped=self.camera.dropped,
                lost=self.camera.lost,
                unusable=unusable,
            )
        )
        if self.silence:
            return Report(Level.STALE, self.silence, values)
        if self.problem:
            return Report(Level.ERROR, self.problem, values)
        if self.camera.losing:
            return Report(Level.WARN, f'{self.camera.topic}: {self.camera.hint}', values)
        return Report(Level.OK, 'images come', values)
