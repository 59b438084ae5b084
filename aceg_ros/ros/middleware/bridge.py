"""Images of messages to arrays and back: by cv_bridge, or where there is none by rosbags-image.

What both lack is done by `aceg_ros.datasets.encodings`, so that the same message gives the same
pixels everywhere.
"""

from __future__ import annotations

import math
from array import array
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.logging import get_logger
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from aceg_ros.datasets.encodings import (
    COLOR_ENCODINGS,
    RawImage,
    by_rosbags,
    decode,
    decode_compressed,
    decode_compressed_depth,
    decode_depth,
)

try:
    from cv_bridge import CvBridge
except ImportError:
    CvBridge = None


def to_rgb(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """RGB (H, W, 3) uint8; raises ImageError for what is no picture, empty or truncated."""
    if isinstance(message, CompressedImage):
        return decode_compressed(message.data, message.format)
    bridge = _cv_bridge()
    if bridge is not None and message.encoding not in COLOR_ENCODINGS:
        # Later versions of it may know more. Its own error is a TypeError.
        with suppress(AttributeError, TypeError, ValueError):
            return np.array(bridge.imgmsg_to_cv2(message, 'rgb8'))
    # What nobody can decode is refused here, with what to publish instead.
    return decode(*_fields(message), _convert)


def to_depth(message: Image | CompressedImage) -> NDArray[np.float32]:
    """Meters (H, W) float32 along z, 0 where unknown; raises ImageError."""
    if isinstance(message, CompressedImage):
        return decode_compressed_depth(message.format, message.data)
    return decode_depth(*_fields(message), _convert)


def from_rgb(image: NDArray[np.uint8], header: Header) -> Image:
    """Message of encoding rgb8 of an RGB image (H, W, 3) uint8."""
    return _message(image, 'rgb8', header)


def from_depth(depth: NDArray[np.float32], header: Header) -> Image:
    """Message of encoding 32FC1 of depth (H, W) float32 in meters, 0 where unknown."""
    return _message(depth.astype('<f4', copy=False), '32FC1', header)


@cache
def _cv_bridge() -> Any:
    """A CvBridge that works, or None."""
    if CvBridge is None:
        return None
    bridge = CvBridge()
    try:
        # Its compiled part is loaded only now. It fails beside a NumPy it was not built for.
        message = bridge.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), 'bgr8')
        bridge.imgmsg_to_cv2(message, 'rgb8')
    except Exception as error:
        get_logger('aceg_ros').warning(
            f'cv_bridge does not work here, rosbags-image converts images instead: {error}'
        )
        return None
    return bridge


def _convert(image: RawImage, encoding: str) -> NDArray[Any]:
    bridge = _cv_bridge()
    if bridge is None:
        return by_rosbags(image, encoding)
    # It copies what has the wanted encoding, unless it is told to pass it through.
    wanted = 'passthrough' if image.encoding == encoding else encoding
    pixels: NDArray[Any] = bridge.imgmsg_to_cv2(image, wanted)
    return pixels


def _message(pixels: NDArray[np.generic], encoding: str, header: Header) -> Image:
    bridge = _cv_bridge()
    if bridge is not None:
        return bridge.cv2_to_imgmsg(pixels, encoding, header)
    height, width = pixels.shape[:2]
    # The one type that a message takes over without checking each byte.
    data = array('B')
    data.frombytes(pixels.tobytes())
    return Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        step=pixels.itemsize * math.prod(pixels.shape[1:]),
        data=data,
    )


def _fields(message: Image) -> tuple[str, int, int, int, bool, array[int]]:
    return (
        message.encoding,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
        message.data,
    )
