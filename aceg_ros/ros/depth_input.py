"""Depth images that go with the camera's images, found by stamp and registered to them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from threading import Condition

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from aceg_ros.datasets.camera_info import camera_from_info, is_rectified, rectified_from_optical
from aceg_ros.errors import CameraError, ImageError, TransformError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.depth import register_depth
from aceg_ros.geometry.motion import CLOCK_SET_BACK
from aceg_ros.geometry.poses import Array, compose, make_pose
from aceg_ros.geometry.timeline import SAME_INSTANT
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.messages import to_seconds
from aceg_ros.ros.middleware.bridge import to_depth
from aceg_ros.ros.middleware.subscriptions import LatchedSubscription, MatchedSubscription
from aceg_ros.ros.middleware.tf import Transforms
from aceg_ros.ros.parameters import Parameters, image_reliability

_KEPT = 15  # messages; poses may come that much later than images
_INFOS_QUEUED = 5
_PATIENCE = 0.2  # s; depth is computed, and so comes later than images
_SILENT = 1.0  # s after which no more depth is expected


class DepthInput:
    """Keeps the last depth images, not decoded.

    Depth of the images' frame and size is registered to them already. Other depth has a calibration
    of its own, on the topic `camera_info` beside it, and TF says how its camera lies in the images'
    frame. `problem` says why the last image asked for is without depth; empty when it has.
    """

    def __init__(
        self,
        node: Node,
        transforms: Transforms,
        topic: str,
        tolerance: float,
        reliability: ReliabilityPolicy | None,
        camera_frame: str = '',
    ) -> None:
        """Prepare for a `topic`; images at most `tolerance` s apart belong together.

        `reliability` as `MatchedSubscription`. `camera_frame` is the camera's frame where images
        name a wrong one.
        """
        self.problem = ''
        self._node = node
        self._reliability = reliability
        self._transforms = transforms
        self._tolerance = tolerance
        self._camera_frame = camera_frame
        self._logger = node.get_logger()
        self._changed = Condition()
        self._messages: deque[Image] = deque(maxlen=_KEPT)
        self._infos: dict[str, CameraInfo] = {}  # by frame
        self.topic = node.resolve_topic_name(topic)
        self.info_topic = f'{self.topic.rpartition("/")[0]}/camera_info'
        self._subscriptions: list[MatchedSubscription] = []
        self._latched = LatchedSubscription(node, CameraInfo, self.info_topic, self._on_info)
        self._last = 0.0  # time.monotonic(), when one came, or may first come

    @classmethod
    def of_cameras(
        cls, node: Node, transforms: Transforms, settings: Parameters, topics: Sequence[str]
    ) -> list[DepthInput | None]:
        """Of each camera, as the node's parameters say; ``topics`` as `depth_topics`."""
        reliability = image_reliability(settings['image_qos'])
        tolerance, frame = settings['depth_tolerance'], settings['camera_frame']
        return [
            cls(node, transforms, topic, tolerance, reliability, frame) if topic else None
            for topic in topics
        ]

    def start(self) -> None:
        """Subscribe."""
        if self._subscriptions:
            return
        self._last = time.monotonic()
        self._subscriptions = [
            MatchedSubscription(
                self._node, CameraInfo, self.info_topic, self._on_info, _INFOS_QUEUED
            ),
            MatchedSubscription(
                self._node, Image, self.topic, self._on_depth, _KEPT, self._reliability
            ),
        ]

    def stop(self) -> None:
        """Unsubscribe, and forget the images that came."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []
        self._latched.close()
        self.clear()

    def find(self, image: CameraImage, camera: Camera) -> NDArray[np.float32] | None:
        """Meters (H, W) as `camera` sees them in an image that it took; None is logged.

        Waits for it while depth comes; for another thread than the executor's.
        """
        wanted = to_seconds(image.stamp)
        with self._changed:
            comes = time.monotonic() - self._last < _SILENT
            self._changed.wait_for(lambda: self._reach(wanted), _PATIENCE if comes else 0.0)
            near = [m for m in self._messages if self._apart(m, wanted) <= self._tolerance]
        try:
            if not near:
                raise ImageError(f'there is none within {self._tolerance:g} s')
            nearest = min(near, key=lambda message: self._apart(message, wanted))
            depth = self._registered(nearest, image, camera)
        except (CameraError, ImageError, TransformError) as error:
            self.problem = f'an image is without depth from {self.topic}: {error}'
            self._logger.warning(self.problem, throttle_duration_sec=10.0)
            return None
        self.problem = ''
        return depth

    def clear(self) -> None:
        """Forget all, after a jump in time."""
        with self._changed:
            self._messages.clear()

    def _registered(
        self, message: Image, image: CameraImage, camera: Camera
    ) -> NDArray[np.float32]:
        depth, frame = to_depth(message), message.header.frame_id.lstrip('/')
        height, width = depth.shape
        of_images = {image.frame_id, self._camera_frame.lstrip('/')} - {''}
        same_frame = not of_images or frame in of_images
        if same_frame and (height, width) == (camera.height, camera.width):
            return depth
        info = self._infos.get(frame)
        if info is None:
            raise ImageError(
                f'it is of frame {frame!r} and {width}x{height}, the image of {image.frame_id!r} '
                f'and {camera.width}x{camera.height}, and no calibration of {frame!r} came on '
                f'{self.info_topic}; publish that, or depth that drivers call aligned or registered'
            )
        rectified = is_rectified(self.topic)
        depth_camera = camera_from_info(info, rectified, width, height)
        color_from_depth = compose(
            image.camera_from_optical(),
            np.eye(4) if same_frame else self._mounting(image, frame),
            make_pose(rectified_from_optical(info, rectified).T, np.zeros(3)),
        )
        return register_depth(depth, depth_camera, camera, color_from_depth)

    def _mounting(self, image: CameraImage, frame: str) -> Array:
        """How the depth camera lies in the frame of the images, (4, 4)."""
        optical = image.optical_frame(self._camera_frame)
        try:
            return self._transforms.lookup(optical, frame, image.stamp, _PATIENCE)
        except TransformError as error:
            raise TransformError(
                f'how its camera lies in {optical} is not known: {error}'
            ) from error

    def _reach(self, stamp: float) -> bool:
        """Whether waiting for a nearer one is of no use."""
        return any(to_seconds(m.header.stamp) >= stamp - SAME_INSTANT for m in self._messages)

    @staticmethod
    def _apart(message: Image, stamp: float) -> float:
        return abs(to_seconds(message.header.stamp) - stamp)

    def _on_info(self, message: CameraInfo) -> None:
        self._infos[message.header.frame_id.lstrip('/')] = message

    def _on_depth(self, message: Image) -> None:
        if message.header.frame_id.lstrip('/') not in self._infos:
            self._latched.look()
        with self._changed:
            newest = self._messages[-1] if self._messages else message
            if to_seconds(message.header.stamp) < to_seconds(newest.header.stamp) - CLOCK_SET_BACK:
                self._messages.clear()  # those of another time
            self._messages.append(message)
            self._last = time.monotonic()
            self._changed.notify_all()
