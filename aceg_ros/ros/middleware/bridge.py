"""Images of messages to arrays and back.

The common encodings are decoded by `aceg_ros.datasets.encodings`, alike everywhere; cv_bridge,
where it is installed, takes those that only it knows.
"""

from __future__ import annotations

import math
from array import array
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from aceg_ros.datasets.encodings import (
    COLOR_ENCODINGS,
    decode,
    decode_compressed,
    decode_compressed_depth,
    decode_depth,
)

try:
    from cv_bridge import CvBridge, CvBridgeError
except ImportError:
    CvBridge = None


def to_rgb(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """RGB (H, W, 3) uint8; raises ImageError for what is no picture, empty or truncated."""
    if isinstance(message, CompressedImage):
        return decode_compressed(message.data, message.format)
    if CvBridge is not None and message.encoding not in COLOR_ENCODINGS:
        with suppress(CvBridgeError, AttributeError, ImportError, TypeError, ValueError):
            return np.array(CvBridge().imgmsg_to_cv2(message, 'rgb8'))
    # What nobody can decode is refused here, with what to publish instead.
    return decode(*_fields(message))


def to_depth(message: Image | CompressedImage) -> NDArray[np.float32]:
    """Meters (H, W) float32 along z, 0 where unknown; raises ImageError."""
    if isinstance(message, CompressedImage):
        return decode_compressed_depth(message.format, message.data)
    return decode_depth(*_fields(message))


def from_rgb(image: NDArray[np.uint8], header: Header) -> Image:
    """Message of encoding rgb8 of an RGB image (H, W, 3) uint8."""
    return _message(image, 'rgb8', header)


def from_depth(depth: NDArray[np.float32], header: Header) -> Image:
    """Message of encoding 32FC1 of depth (H, W) float32 in meters, 0 where unknown."""
    return _message(depth.astype('<f4', copy=False), '32FC1', header)


def _message(pixels: NDArray[np.generic], encoding: str, header: Header) -> Image:
    height, width = pixels.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        step=pixels.itemsize * math.prod(pixels.shape[1:]),
        data=_bytes(pixels),
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


def _bytes(pixels: NDArray[np.generic]) -> array[int]:
    """Bytes as the one type that a message takes over without checking each."""
    return array('B', pixels.tobytes())
