"""The newest image of a camera as a small JPEG."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import cv2

from aceg_ros.errors import ImageError
from aceg_ros.ros.camera_input import CameraInput
from aceg_ros.ros.middleware.bridge import to_rgb

_QUALITY = 80


class Picture:
    """Made when it is asked for, once for all who ask; for several threads."""

    def __init__(self, camera: CameraInput, width: Callable[[], int]) -> None:
        """At most `width` pixels wide."""
        self.problem = ''  # why the last image cannot be shown; empty when it can
        self._camera = camera
        self._width = width
        self._lock = Lock()
        self._jpeg: bytes | None = None

    def jpeg(self) -> bytes | None:
        """The newest image; None before there is one."""
        with self._lock:
            image = self._camera.take(0.0)
            if image is not None:
                try:
                    self._jpeg = self._made(to_rgb(image.message))
                    self.problem = ''
                except ImageError as error:
                    self.problem = str(error)
            return self._jpeg

    def forget(self) -> None:
        """Show no image from before."""
        with self._lock:
            self._jpeg = None
            self.problem = ''

    def _made(self, rgb: cv2.typing.MatLike) -> bytes:
        height, width = rgb.shape[:2]
        if width > self._width():
            size = self._width(), max(1, round(height * self._width() / width))
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        return bytes(cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])
