"""The cameras whose images make one pose: a single one, or those of a rig."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Condition
from typing import TypeAlias

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from aceg_ros.errors import ImageError
from aceg_ros.ros.camera_health import CameraHealth
from aceg_ros.ros.camera_input import CameraImage, CameraInput, beside
from aceg_ros.tracking.moments import Joined, MomentJoiner

# The images of one time by the number of the camera, in order; at least one.
Moment: TypeAlias = Mapping[int, CameraImage]

_STEP = 0.02  # s between looks whether a moment is to be waited for


class Cameras:
    """Gives the newest moment.

    A single camera's is its newest image. Those of a rig are joined by their stamps, and go on
    without a camera that is silent or whose images are too far apart from those of the others.
    """

    def __init__(
        self,
        node: Node,
        topics: Sequence[str],
        compressed: bool,
        rectified: bool,
        reliability: ReliabilityPolicy | None,
        tolerance: float,
        timeout: Callable[[], float],
    ) -> None:
        """Of `image`, or of a rig's ``topics`` with their `camera_info` beside them.

        ``tolerance``: seconds between images of one moment; ``timeout`` as `CameraHealth`.
        """
        self._logger = node.get_logger()
        self._changed = Condition()
        self._woken = False
        self._joiner = MomentJoiner[CameraImage](len(topics), tolerance) if topics else None
        listen = partial(CameraInput, node, compressed, rectified, reliability)
        self.inputs = (
            [
                listen(topic, beside(topic), partial(self._came, number))
                for number, topic in enumerate(topics)
            ]
            if topics
            else [listen()]
        )
        self.health = [CameraHealth(each, timeout, self._logger) for each in self.inputs]
        # Of a rig's cameras; a single one needs none.
        self.names = tuple(node.resolve_topic_name(topic) for topic in topics)
        self._apart: dict[int, float] = {}

    @property
    def topics(self) -> str:
        """Where images come from at present, for people."""
        return ', '.join(each.topic for each in self.inputs)

    @property
    def frames(self) -> str:
        """Frames of the last images, for people."""
        return ', '.join(each.name for each in self.inputs)

    @property
    def silence(self) -> str:
        """How long no image has come of any camera, in words; empty while they come."""
        silences = [each.silence for each in self.health]
        return '; '.join(silences) if all(silences) else ''

    def apart(self, number: int) -> str:
        """Why the last moment was without a camera that sends; empty where it was not."""
        if number not in self._apart:
            return ''
        return (
            f'left out: its images are {1000.0 * self._apart[number]:.0f} ms from those of the '
            'others; synchronize the cameras, or raise rig_tolerance'
        )

    def start(self) -> None:
        """Subscribe."""
        for health in self.health:
            health.begin()
        for each in self.inputs:
            each.start()

    def stop(self) -> None:
        """Unsubscribe, and forget the images that came."""
        for each in self.inputs:
            each.stop()
        self._forget()

    def clear(self) -> None:
        """Forget all images, after a jump in time."""
        for each in self.inputs:
            each.clear()
        for health in self.health:
            health.begin()
        self._forget()

    def examined(self, problems: Mapping[int, str]) -> str:
        """Images came, and why they cannot be used, or ''; why there are none of use for long."""
        for number, problem in problems.items():
            self.health[number].examined(problem)
        if not all(each.useless for each in self.health):
            return ''
        return '; '.join(dict.fromkeys(filter(None, problems.values())))

    def take(self, timeout: float) -> Moment | None:
        """Wait up to `timeout` s for a moment newer than the last one taken.

        None when none came, or when `wake` was called.
        """
        if self._joiner is None:
            image = self.inputs[0].take(timeout)
            return None if image is None else {0: image}
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._woken:
                now = time.monotonic()
                joined = self._joiner.take(now, self._sending)
                if joined is not None:
                    self._note(joined)
                    return joined.items
                if now >= deadline:
                    return None
                left = deadline - now
                self._changed.wait(min(left, _STEP) if self._joiner.waiting else left)
            self._woken = False
            return None

    def wake(self) -> None:
        """Have the present call of `take`, or else the next one, give None at once."""
        if self._joiner is None:
            self.inputs[0].wake()
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    @property
    def _sending(self) -> list[int]:
        """Cameras whose images come."""
        return [
            number
            for number, (each, health) in enumerate(zip(self.inputs, self.health, strict=True))
            if each.age is not None and not health.silence
        ]

    def _came(self, number: int, image: CameraImage) -> None:
        if self._joiner is None:
            return
        try:
            stamp = image.seconds
        except ImageError as error:
            self.health[number].examined(str(error))
            return
        with self._changed:
            if self._joiner.add(number, stamp, image, time.monotonic()):
                self._changed.notify_all()
                return
        self.health[number].examined(f'stamps of images do not advance: {stamp:.3f} s came late')

    def _note(self, joined: Joined[CameraImage]) -> None:
        """Tell who is not in a moment, and count what will not be in any."""
        if self._joiner is None:
            return
        for each, count in zip(self.inputs, self._joiner.dropped, strict=True):
            each.dropped_later = count
        sending = self._sending
        self._apart = {n: apart for n, apart in joined.apart.items() if n in sending}
        left_out = [
            f'{self.names[number]} is {words}' if (words := self.apart(number)) else silence
            for number, silence in enumerate(each.silence for each in self.health)
            if number not in joined.items and (silence or number in self._apart)
        ]
        if left_out:
            self._logger.warning('; '.join(left_out), throttle_duration_sec=10.0)

    def _forget(self) -> None:
        if self._joiner is not None:
            with self._changed:
                self._joiner.clear()
                self._apart = {}
