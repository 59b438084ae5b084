"""The newest image of a camera, with the calibration that goes with it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from threading import Condition

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from aceg_ros.datasets.camera_info import (
    camera_from_info,
    holds_calibration,
    rectified_from_optical,
)
from aceg_ros.errors import CameraError, ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import Array, make_pose
from aceg_ros.ros.messages import to_seconds
from aceg_ros.ros.middleware.bridge import to_rgb

# Seconds over which the rate is taken.
RATE_WINDOW = 3.0
# Seconds after the start in which images without any calibration are passed over in silence: the
# first image mostly comes before the first calibration.
CALIBRATION_PATIENCE = 1.0

# Seconds between looks for publishers that leave their calibration for those who come later.
LATCHED_INTERVAL = 0.5
# A few cameras may share a topic.
LATCHED_QOS = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class CameraImage:
    """One image as it came; nothing is decoded before `decode`."""

    message: Image | CompressedImage
    info: CameraInfo | None  # the last one of the same frame
    rectified: bool  # whether P describes the image, rather than K and D
    received: float  # s, time.monotonic()
    info_problem: str = ''  # why there is no info

    @property
    def header(self) -> Header:
        """The message's own."""
        return self.message.header

    @property
    def stamp(self) -> Time:
        """When the image was taken."""
        return self.message.header.stamp

    @property
    def seconds(self) -> float:
        """`stamp` in seconds; raises ImageError for an image without one."""
        seconds = to_seconds(self.stamp)
        if seconds <= 0.0:
            raise ImageError('images have no time stamp; have the driver give them one')
        return seconds

    @property
    def frame_id(self) -> str:
        """The camera's optical frame, without the slash that ROS 1 put before it."""
        return self.message.header.frame_id.lstrip('/')

    def decode(self) -> tuple[NDArray[np.uint8], Camera]:
        """RGB (H, W, 3) uint8 and the camera that took it.

        Raises CameraError without a calibration that fits, ImageError for what is no picture.
        """
        if self.info is None:
            raise CameraError(self.info_problem)
        image = to_rgb(self.message)
        height, width = image.shape[:2]
        return image, camera_from_info(self.info, self.rectified, width, height)

    def camera_from_optical(self) -> Array:
        """Turn (4, 4) from the image's optical frame to the frame of the camera of `decode`.

        The identity, except for rectified images of cameras that rectification turns.
        """
        rotation = np.eye(3)
        if self.info is not None:
            rotation = rectified_from_optical(self.info, self.rectified)
        return make_pose(rotation, np.zeros(3))


class CameraInput:
    """Keeps the newest image of a topic until somebody takes it, and counts those nobody took.

    Messages are put down by the executor's thread and taken by another. A calibration may be
    published only once, so it need not come with an image. The last one of the same frame is used,
    for as long as this object lives.
    """

    def __init__(self, node: Node, compressed: bool, rectified: bool, qos: QoSProfile) -> None:
        """Prepare for images of `image`, or of its `/compressed`, with quality of service `qos`."""
        self._node = node
        self._rectified = rectified
        self._qos = qos
        self._type = CompressedImage if compressed else Image
        # A remapping of `image` does not reach the topics below it by itself.
        self.topic = node.resolve_topic_name('image') + ('/compressed' if compressed else '')
        self.info_topic = node.resolve_topic_name('camera_info')
        self._changed = Condition()
        self._newest: CameraImage | None = None
        self._woken = False
        self._infos: dict[str, CameraInfo] = {}
        self._arrivals: deque[float] = deque()
        self._last_arrival: float | None = None
        self._received = 0
        self._dropped = 0
        self._patient_until = 0.0
        self._next_look = 0.0
        self._subscriptions: list[Subscription] = []

    def start(self) -> None:
        """Subscribe."""
        if not self._subscriptions:
            self._patient_until = time.monotonic() + CALIBRATION_PATIENCE
            self._next_look = 0.0
            create = self._node.create_subscription
            self._subscriptions = [
                create(self._type, self.topic, self._on_image, self._qos),
                create(CameraInfo, self.info_topic, self._on_info, qos_profile_sensor_data),
            ]

    def stop(self) -> None:
        """Unsubscribe, and forget the images that came."""
        with self._changed:
            subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            self._node.destroy_subscription(subscription)
        self.clear()

    def take(self, timeout: float) -> CameraImage | None:
        """Wait up to `timeout` s for an image newer than the last one taken.

        None when none came, or when `wake` was called.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._woken, timeout)
            if self._woken:
                self._woken = False
                return None
            newest, self._newest = self._newest, None
            return newest

    def wake(self) -> None:
        """Have the present call of `take`, or else the next one, give None at once."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget the image, after a jump in time; calibrations hold, and counters go on."""
        with self._changed:
            self._newest = None
            self._arrivals.clear()
            self._last_arrival = None

    @property
    def received(self) -> int:
        """Images that came."""
        return self._received

    @property
    def dropped(self) -> int:
        """Images that newer ones replaced before they were taken."""
        return self._dropped

    @property
    def rate(self) -> float:
        """Images per second, over the last seconds."""
        with self._changed:
            self._forget_arrivals(time.monotonic())
            if len(self._arrivals) < 2:
                return 0.0
            return (len(self._arrivals) - 1) / (self._arrivals[-1] - self._arrivals[0])

    @property
    def age(self) -> float | None:
        """Seconds since the last image came; None before the first."""
        last = self._last_arrival
        return None if last is None else time.monotonic() - last

    def _on_image(self, message: Image | CompressedImage) -> None:
        now = time.monotonic()
        with self._changed:
            info, problem = self._info_of(message.header.frame_id.lstrip('/'))
            self._received += 1
            self._last_arrival = now
            self._arrivals.append(now)
            self._forget_arrivals(now)
            if info is None and now >= self._next_look:
                self._next_look = now + LATCHED_INTERVAL
                self._hear_latched()
            if not self._infos and now < self._patient_until:
                self._dropped += 1
                return
            self._dropped += self._newest is not None
            self._newest = CameraImage(message, info, self._rectified, now, problem)
            self._changed.notify_all()

    def _on_info(self, message: CameraInfo) -> None:
        frame_id = message.header.frame_id.lstrip('/')
        with self._changed:
            # Zeros of a driver that does not know its camera yet replace nothing.
            if frame_id in self._infos and not holds_calibration(message):
                return
            # Kept in the order they came.
            self._infos.pop(frame_id, None)
            self._infos[frame_id] = message

    def _hear_latched(self) -> None:
        """Subscribe to calibrations that were published before, where there are such.

        A publisher that leaves nothing and such a subscription would warn of each other.
        """
        if len(self._subscriptions) != 2:
            return
        for publisher in self._node.get_publishers_info_by_topic(self.info_topic):
            offer = publisher.qos_profile
            if (
                offer.durability == DurabilityPolicy.TRANSIENT_LOCAL
                and offer.reliability == ReliabilityPolicy.RELIABLE
            ):
                self._subscriptions.append(
                    self._node.create_subscription(
                        CameraInfo, self.info_topic, self._on_info, LATCHED_QOS
                    )
                )
                return

    def _info_of(self, frame_id: str) -> tuple[CameraInfo | None, str]:
        """The last calibration of a frame, or why there is none. A frame without name fits any."""
        if not self._infos:
            return (
                None,
                f'no calibration came on {self.info_topic} yet; is it published?',
            )
        newest = next(reversed(self._infos.values()))
        info = newest if not frame_id else self._infos.get(frame_id, self._infos.get(''))
        if info is not None:
            return info, ''
        frames = ', '.join(self._infos)
        return None, (
            f'images on {self.topic} are of frame {frame_id!r}, calibrations on {self.info_topic} '
            f'of {frames}; have the camera driver publish both with one frame_id'
        )

    def _forget_arrivals(self, now: float) -> None:
        while self._arrivals and self._arrivals[0] < now - RATE_WINDOW:
            self._arrivals.popleft()
