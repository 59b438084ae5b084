"""Depth images that are registered to the camera's images, found by stamp."""

from __future__ import annotations

from collections import deque
from threading import Condition

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from aceg_ros.errors import ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.timeline import SAME_INSTANT
from aceg_ros.ros.messages import to_seconds
from aceg_ros.ros.middleware.bridge import to_depth
from aceg_ros.ros.middleware.subscriptions import MatchedSubscription

_KEPT = 15  # messages; poses may come that much later than images
_PATIENCE = 0.2  # s; depth is computed, and so comes later than images


class DepthInput:
    """Keeps the last depth images, not decoded.

    Registered means: as seen by the camera of the images, pixel by pixel, and so of its frame and
    of the images' size. `problem` says why the last keyframe is without depth; empty when it has.
    """

    def __init__(
        self,
        node: Node,
        tolerance: float,
        reliability: ReliabilityPolicy | None,
        camera_frame: str = '',
    ) -> None:
        """Subscribe to `depth`; images at most `tolerance` s apart belong together.

        `reliability` as `MatchedSubscription`. `camera_frame` is the camera's frame where images
        name a wrong one.
        """
        self.problem = ''
        self._tolerance = tolerance
        self._camera_frame = camera_frame
        self._logger = node.get_logger()
        self._changed = Condition()
        self._messages: deque[Image] = deque(maxlen=_KEPT)
        self.topic = node.resolve_topic_name('depth')
        MatchedSubscription(node, Image, self.topic, self._on_depth, _KEPT, reliability)

    def find(self, image: Header, camera: Camera) -> NDArray[np.float32] | None:
        """Meters (H, W) of an image of `camera` with this header, or None, which is logged.

        Waits for it; for another thread than the executor's.
        """
        wanted = to_seconds(image.stamp)
        with self._changed:
            self._changed.wait_for(lambda: self._reach(wanted), _PATIENCE)
            near = [m for m in self._messages if self._apart(m, wanted) <= self._tolerance]
        try:
            if not near:
                raise ImageError(f'there is none within {self._tolerance:g} s')
            nearest = min(near, key=lambda message: self._apart(message, wanted))
            self._check_frame(nearest.header.frame_id, image.frame_id)
            depth = to_depth(nearest)
            if depth.shape != (camera.height, camera.width):
                raise ImageError(
                    f'it is {depth.shape[1]}x{depth.shape[0]}, the image {camera.width}x'
                    f'{camera.height}; publish depth that is registered to the images'
                )
        except ImageError as error:
            self.problem = f'a keyframe is without depth from {self.topic}: {error}'
            self._logger.warning(self.problem, throttle_duration_sec=10.0)
            return None
        self.problem = ''
        return depth

    def clear(self) -> None:
        """Forget all, after a jump in time."""
        with self._changed:
            self._messages.clear()

    def _check_frame(self, depth: str, image: str) -> None:
        """Raise ImageError for depth of another camera, whose pixels are not the image's."""
        frame = depth.lstrip('/')
        cameras = {image.lstrip('/'), self._camera_frame.lstrip('/')} - {''}
        if cameras and frame not in cameras:
            raise ImageError(
                f'it is of frame {frame!r}, the image of {image!r}; publish depth that is '
                'registered to the images, as drivers call it aligned or registered'
            )

    def _reach(self, stamp: float) -> bool:
        """Whether waiting for a nearer one is of no use."""
        return any(to_seconds(m.header.stamp) >= stamp - SAME_INSTANT for m in self._messages)

    @staticmethod
    def _apart(message: Image, stamp: float) -> float:
        return abs(to_seconds(message.header.stamp) - stamp)

    def _on_depth(self, message: Image) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()
