"""The newest image of a camera, with the calibration that goes with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.timer import Timer
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from aceg_ros.datasets.camera_info import (
    camera_from_info,
    holds_calibration,
    rectified_from_optical,
)
from aceg_ros.errors import CameraError, ImageError, TransformError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import Array, make_pose
from aceg_ros.ros.arrivals import WINDOW, Arrivals
from aceg_ros.ros.messages import to_seconds
from aceg_ros.ros.middleware.bridge import to_rgb
from aceg_ros.ros.middleware.subscriptions import (
    LOOK,
    LatchedSubscription,
    MatchedSubscription,
)

# Seconds after the first image in which those without any calibration are passed over in silence:
# the first image mostly comes before the first calibration.
CALIBRATION_PATIENCE = 1.0

# Images that wait in a queue are old when they are worked on.
_NEWEST = 1
_INFO_DEPTH = 5
_PATIENCE = 2.0  # s until images that do not come are missed
_FEW = 8  # images in the window, of which nothing can be said

# A few cameras may share a topic.


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

    def optical_frame(self, override: str) -> str:
        """Name of the frame the camera sees in; raises TransformError where nothing names it."""
        frame = (override or self.frame_id).lstrip('/')
        if not frame:
            raise TransformError(
                'images name no frame in their header; have the driver do so, or set camera_frame'
            )
        return frame

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

    Raw images that do not arrive are replaced by compressed ones, where those are published.
    """

    def __init__(
        self,
        node: Node,
        compressed: bool,
        rectified: bool,
        reliability: ReliabilityPolicy | None = None,
        image: str = 'image',
        camera_info: str = 'camera_info',
        on_image: Callable[[CameraImage], None] | None = None,
    ) -> None:
        """Prepare for images of `image`, or of its `/compressed`; as `MatchedSubscription`.

        With `on_image` each image goes there, called by the executor's thread, and none is kept.
        """
        self._node = node
        self._rectified = rectified
        self._reliability = reliability
        self._hand_on = on_image
        self._only_compressed = self._compressed = compressed
        # A remapping of the images does not reach the topics below them by itself.
        self._raw_topic = node.resolve_topic_name(image)
        self._compressed_topic = f'{self._raw_topic}/compressed'
        self.info_topic = node.resolve_topic_name(camera_info)
        self.hint = ''  # why images do not come, or get lost, and what to do
        self.losing = False  # whether most images get lost on their way
        self.dropped_later = 0  # images handed on that newer ones replaced
        self._changed = Condition()
        self._newest: CameraImage | None = None
        self._woken = False
        self._infos: dict[str, CameraInfo] = {}
        self._arrivals = Arrivals()
        self._losses = Arrivals()
        self._info_arrivals = Arrivals()
        self._frame_id = ''
        self._received = 0
        self._dropped = 0
        self._lost = 0
        self._began = 0.0
        self._uncalibrated_since: float | None = None
        self._timer: Timer | None = None
        self._images: MatchedSubscription | None = None
        self._calibrations: MatchedSubscription | None = None
        self._latched: LatchedSubscription | None = None

    @property
    def topic(self) -> str:
        """Where images come from at present."""
        return self._compressed_topic if self._compressed else self._raw_topic

    def start(self) -> None:
        """Subscribe."""
        if self._images is not None:
            return
        self._uncalibrated_since = None
        self._subscribe()
        self._calibrations = MatchedSubscription(
            self._node, CameraInfo, self.info_topic, self._on_info, _INFO_DEPTH
        )
        self._latched = LatchedSubscription(self._node, CameraInfo, self.info_topic, self._on_info)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self._node.create_timer(LOOK, self._look, clock=steady)

    def stop(self) -> None:
        """Unsubscribe, and forget the images that came."""
        with self._changed:
            subscriptions = self._images, self._calibrations, self._latched
            self._images = self._calibrations = self._latched = None
        for subscription in subscriptions:
            if subscription is not None:
                subscription.close()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        self.hint, self.losing = '', False
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
            self._forget_arrivals()

    @property
    def name(self) -> str:
        """Frame of the last image; before there is one, the topic."""
        return self._frame_id or self.topic

    @property
    def received(self) -> int:
        """Images that came."""
        return self._received

    @property
    def dropped(self) -> int:
        """Images that newer ones replaced before they were taken."""
        return self._dropped + self.dropped_later

    @property
    def lost(self) -> int:
        """Images that were sent and did not come, as far as the middleware tells."""
        return self._lost

    @property
    def rate(self) -> float:
        """Images per second, over the last seconds."""
        with self._changed:
            return self._arrivals.rate

    @property
    def age(self) -> float | None:
        """Seconds since the last image came; None before the first."""
        last = self._arrivals.last
        return None if last is None else time.monotonic() - last

    def _subscribe(self) -> None:
        with self._changed:
            self._forget_arrivals()
        self._images = MatchedSubscription(
            self._node,
            CompressedImage if self._compressed else Image,
            self.topic,
            self._on_image,
            _NEWEST,
            self._reliability,
            self._on_lost,
        )

    def _forget_arrivals(self) -> None:
        self._began = time.monotonic()
        for arrivals in (self._arrivals, self._losses, self._info_arrivals):
            arrivals.clear()

    def _look(self) -> None:
        """See whether images arrive; if not, say why, or take compressed ones."""
        with self._changed:
            images = self._arrivals.count
            sent = images + self._losses.count
            if not images:
                # Mostly there is a calibration for each image.
                sent = max(sent, self._info_arrivals.count)
            patient = time.monotonic() - self._began < _PATIENCE
        before = self.losing
        self.losing = not patient and sent >= _FEW and images < sent / 2
        raw = self._node.get_publishers_info_by_topic(self._raw_topic)
        compressed = self._node.count_publishers(self._compressed_topic)
        if not self._only_compressed:
            missed = self.losing or (self._arrivals.last is None and not patient)
            if not self._compressed and compressed and missed:
                words = f'on {self._raw_topic} do not arrive' if raw else 'are not published'
                self._switch(True, f'raw images {words}; taking those on {self._compressed_topic}')
            elif self._compressed and raw and not compressed:
                self._switch(False, f'compressed images ended; taking those on {self._raw_topic}')
        self.hint = self._reason(images, sent, raw, compressed)
        if self.losing and not before:
            self._node.get_logger().warning(f'{self.topic}: {self.hint}')

    def _switch(self, compressed: bool, words: str) -> None:
        if self._images is None:
            return
        self._images.close()
        self._compressed = compressed
        self.losing = False
        self._subscribe()
        self._node.get_logger().warning(words)

    def _reason(
        self, images: int, sent: int, raw: Sequence[TopicEndpointInfo], compressed: int
    ) -> str:
        """Why images do not arrive as they should; empty when they do."""
        if self._only_compressed and raw and not compressed:
            return f'only raw images are published, on {self._raw_topic}: set compressed to false'
        if not (compressed if self._compressed else raw):
            return 'nobody publishes there'
        offers = {publisher.qos_profile.reliability for publisher in raw}
        required = self._reliability is ReliabilityPolicy.RELIABLE and not self._compressed
        if required and offers != {ReliabilityPolicy.RELIABLE} and not images:
            return 'a publisher there is best effort: set image_qos to auto'
        if not self.losing:
            return ''
        if self._compressed:
            remedy = 'the network is too slow: have the camera send fewer'
        elif offers != {ReliabilityPolicy.RELIABLE}:
            remedy = 'have the camera publish them reliably, or compressed'
        elif self._reliability is ReliabilityPolicy.BEST_EFFORT:
            remedy = 'set image_qos to auto'
        else:
            remedy = 'the network is too slow: have the camera publish them compressed'
        return f'{images} of about {sent} images arrived in the last {WINDOW:g} s; {remedy}'

    def _on_lost(self, count: int) -> None:
        with self._changed:
            self._lost += count
            self._losses.add(count)

    def _on_image(self, message: Image | CompressedImage) -> None:
        now = time.monotonic()
        with self._changed:
            self._frame_id = message.header.frame_id.lstrip('/')
            info, problem = self._info_of(self._frame_id)
            self._received += 1
            self._arrivals.add()
            if info is None and self._latched is not None:
                self._latched.look()
            if not self._infos:
                if self._uncalibrated_since is None:
                    self._uncalibrated_since = now
                if now - self._uncalibrated_since < CALIBRATION_PATIENCE:
                    self._dropped += 1
                    return
            image = CameraImage(message, info, self._rectified, now, problem)
            if self._hand_on is None:
                self._dropped += self._newest is not None
                self._newest = image
                self._changed.notify_all()
        if self._hand_on is not None:
            self._hand_on(image)

    def _on_info(self, message: CameraInfo) -> None:
        frame_id = message.header.frame_id.lstrip('/')
        with self._changed:
            self._info_arrivals.add()
            # Zeros of a driver that does not know its camera yet replace nothing.
            if frame_id in self._infos and not holds_calibration(message):
                return
            # Kept in the order they came.
            self._infos.pop(frame_id, None)
            self._infos[frame_id] = message

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


def beside(topic: str) -> str:
    """The topic of calibrations that belongs to one of images."""
    return topic[: topic.rfind('/') + 1] + 'camera_info'
