"""Images with words in them: what the camera sees and what the node says, at one look."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Sequence
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from aceg_ros.ros.middleware.bridge import from_rgb

GOOD, BAD = (60, 220, 80), (240, 70, 60)

_PERIOD = 1.0  # s without an image after which words are shown alone
_LINES = 3
_COLUMNS = 46  # characters of a line that can be read in a viewer half as wide as the image
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SCALE = 0.75  # of the font, in an image 480 pixels high
_BLANK = np.full((480, 640, 3), 40, np.uint8)


class DebugImage:
    """Publishes images with words in them, while someone subscribes; for several threads."""

    def __init__(self, publisher: Publisher[Image]) -> None:
        self._publisher = publisher
        self._lock = Lock()
        self._last: NDArray[np.uint8] = _BLANK
        self._shown = -math.inf  # time.monotonic()

    @property
    def wanted(self) -> bool:
        """Whether someone subscribes."""
        return bool(self._publisher.get_subscription_count())

    @property
    def age(self) -> float:
        """Seconds since the last one."""
        return time.monotonic() - self._shown

    def show(self, rgb: NDArray[np.uint8], header: Header, words: str, good: bool) -> None:
        """Publish an RGB image (H, W, 3), which is kept, with words in green, or else in red."""
        with self._lock:
            self._last = rgb
            self._publish(header, words, good)

    def say(self, header: Header, words: str, good: bool = False) -> None:
        """Publish words over the last image, unless one was just shown."""
        with self._lock:
            if self.wanted and self.age > _PERIOD:
                self._publish(header, words, good)

    def _publish(self, header: Header, words: str, good: bool) -> None:
        self._shown = time.monotonic()
        self._publisher.publish(from_rgb(captioned(self._last, words, good), header))


def captioned(rgb: NDArray[np.uint8], words: str, good: bool) -> NDArray[np.uint8]:
    """Copy of an RGB image (H, W, 3) with words at the top, in three lines at most.

    They shrink to fit. OpenCV's font has ASCII alone.
    """
    drawn = rgb.copy()
    height, width = drawn.shape[:2]
    lines = _wrapped(words.encode('ascii', 'replace').decode())
    widest = max(cv2.getTextSize(line, _FONT, 1.0, 1)[0][0] for line in lines)
    scale = min(0.95 * width / max(widest, 1), _SCALE * height / 480)
    (_, tall), base = cv2.getTextSize(lines[0], _FONT, scale, 1)
    step = tall + base
    color, thick = GOOD if good else BAD, 2 if scale > 0.5 else 1
    cv2.rectangle(drawn, (0, 0), (width, len(lines) * step + base), (0, 0, 0), -1)
    for number, line in enumerate(lines, start=1):
        corner = base, number * step
        cv2.putText(drawn, line, corner, _FONT, scale, color, thick, cv2.LINE_AA)
    return drawn


def side_by_side(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images (H, W, 3) in a row, with black below those that are less high."""
    if len(images) == 1:
        return images[0]
    height = max(len(image) for image in images)
    return np.hstack(
        [np.pad(image, ((0, height - len(image)), (0, 0), (0, 0))) for image in images]
    )


def _wrapped(words: str) -> list[str]:
    columns = _COLUMNS
    while len(lines := textwrap.wrap(words, columns)) > _LINES:
        columns += 4
    return lines or ['']
