"""Depth images that are aligned with the camera's, found by stamp."""

from __future__ import annotations

from collections import deque
from threading import Condition

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from aceg_ros.errors import ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.timeline import SAME_INSTANT
from aceg_ros.ros.messages import to_seconds
from aceg_ros.ros.middleware.bridge import to_depth

_KEPT = 15  # messages; poses may come that much later than images
_PATIENCE = 0.2  # s; depth is computed, and so comes later than images


class DepthInput:
    """Keeps the last depth images, not decoded."""

    def __init__(self, node: Node, tolerance: float, qos: QoSProfile) -> None:
        """Subscribe to `depth`; images at most `tolerance` s apart belong together."""
        self._tolerance = tolerance
        self._logger = node.get_logger()
        self._changed = Condition()
        self._messages: deque[Image] = deque(maxlen=_KEPT)
        self.topic = node.resolve_topic_name('depth')
        queue = QoSProfile(depth=_KEPT, reliability=qos.reliability)
        node.create_subscription(Image, self.topic, self._on_depth, queue)

    def find(self, stamp: Time, camera: Camera) -> NDArray[np.float32] | None:
        """Meters (H, W) of the image taken at `stamp` by `camera`, or None, which is logged.

        Waits for it; for another thread than the executor's.
        """
        wanted = to_seconds(stamp)
        with self._changed:
            self._changed.wait_for(lambda: self._reach(wanted), _PATIENCE)
            near = [m for m in self._messages if self._apart(m, wanted) <= self._tolerance]
        try:
            if not near:
                raise ImageError(f'there is none within {self._tolerance:g} s')
            depth = to_depth(min(near, key=lambda message: self._apart(message, wanted)))
            if depth.shape != (camera.height, camera.width):
                raise ImageError(
                    f'it is {depth.shape[1]}x{depth.shape[0]}, the image {camera.width}x'
                    f'{camera.height}; publish depth that is aligned with the images'
                )
        except ImageError as error:
            self._logger.warning(
                f'a keyframe is without depth from {self.topic}: {error}',
                throttle_duration_sec=10.0,
            )
            return None
        return depth

    def clear(self) -> None:
        """Forget all, after a jump in time."""
        with self._changed:
            self._messages.clear()

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
