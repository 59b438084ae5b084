"""Pixels of image messages to arrays, by the names of their encodings; knows nothing of ROS itself.

Color, gray, Bayer patterns and packed YUV are converted by a library: cv_bridge at the edge to ROS,
where that is installed, else rosbags-image. What is done here is what both lack:

- Checks. Both read a row too short, an image too small for its data, or an odd width as pixels of
  something, or fail without a reason.
- Rows with padding and the other byte order. rosbags-image knows no padding, cv_bridge none that is
  no whole number of pixels, and some versions of it fail with foreign byte order.
- 16 bits to 8. rosbags-image cuts off where cv_bridge rounds.
- Planar YUV, which cameras in phones and single-board computers have, and encodings under another
  name, such as 8UC3. cv_bridge knows neither.
- Compressed images and depth, which Pillow decodes. The two fail on damaged files without a reason,
  and give 16 bits as 8.
- Depth in meters, as REP 118 has it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets import images
from aceg_ros.errors import ImageError

# Values of a pixel, by the beginning of names that end on their bits.
_CHANNELS = {
    'mono': 1,
    'rgb': 3,
    'rgba': 4,
    'bgr': 3,
    'bgra': 4,
    'bayer_rggb': 1,
    'bayer_bggr': 1,
    'bayer_gbrg': 1,
    'bayer_grbg': 1,
}
# Two bytes for a pixel; newer names after those that every version of cv_bridge knows.
_YUV = {
    'yuv422': 'yuv422',
    'yuv422_yuy2': 'yuv422_yuy2',
    'uyvy': 'yuv422',
    'yuyv': 'yuv422_yuy2',
}
# Brightness in a plane of its own, color in one or two behind it: columns and rows to a sample of
# color, whether both colors lie side by side, and whether V comes first.
_PLANAR: dict[str, tuple[int, int, bool, bool]] = {
    'nv12': (2, 2, True, False),
    'nv21': (2, 2, True, True),
    'nv16': (2, 1, True, False),
    'nv61': (2, 1, True, True),
    'nv24': (1, 1, True, False),
    'nv42': (1, 1, True, True),
    'i420': (2, 2, False, False),
    'yv12': (2, 2, False, True),
}
_ALIASES = {
    '8UC1': 'mono8',
    '8UC3': 'bgr8',
    '8UC4': 'bgra8',
    'yuv420': 'i420',
    'yuv420p': 'i420',
    'yu12': 'i420',
    'iyuv': 'i420',
    'yvu420': 'yv12',
}
# What coders of video call their streams. Each of their images needs those before it.
_VIDEO = ('264', '265', 'avc', 'hevc', 'av1', 'vp8', 'vp9', 'theora', 'mpeg', 'packet')

COLOR_ENCODINGS = (
    *(f'{name}{bits}' for name in _CHANNELS for bits in (8, 16)),
    *_YUV,
    *_PLANAR,
    *_ALIASES,
)
# Meters in one unit.
DEPTH_ENCODINGS = {'16UC1': 1e-3, 'mono16': 1e-3, '32FC1': 1.0}
# What compressed_depth_image_transport puts before the PNG file: a format and two numbers.
_COMPRESSED_DEPTH_HEADER = 12


@dataclass(frozen=True)
class RawImage:
    """An image as a message has it, but without padding and in the byte order of this machine."""

    encoding: str
    height: int
    width: int
    step: int  # bytes of a row
    data: Any  # with the buffer protocol
    is_bigendian: bool = sys.byteorder == 'big'


# Pixels of an image in another encoding of as many bits, or in its own. They may be the image's.
Convert = Callable[[RawImage, str], NDArray[Any]]


def by_rosbags(image: RawImage, encoding: str) -> NDArray[Any]:
    """Convert with rosbags-image; raises ImageError where that is not installed."""
    try:
        from rosbags.image import image_to_cvimage
    except ImportError as error:
        raise ImageError(
            'images of messages are converted by rosbags-image: pip install rosbags-image'
        ) from error
    # What it wants is any object with the fields of a message.
    return image_to_cvimage(cast('Any', image), encoding)


def decode(
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool,
    data: Any,
    convert: Convert = by_rosbags,
) -> NDArray[np.uint8]:
    """RGB (height, width, 3) uint8 of an image message's fields; an array of its own.

    `data` is anything with the buffer protocol, `step` the bytes of a row. Gray is repeated in
    three channels, 16 bits are scaled to 8, alpha is dropped. Names of YUV may be in capitals, as
    four-character codes are. Raises ImageError for an encoding that is no picture, an empty image,
    or data too short for it.
    """
    folded = encoding.lower()
    name = _ALIASES.get(encoding, _ALIASES.get(folded, encoding))
    if folded in _YUV or folded in _PLANAR:
        name = folded
    if name in _PLANAR:
        return _decode_planar(name, height, width, step, data)
    if name not in COLOR_ENCODINGS:
        raise ImageError(
            f'images of encoding {encoding!r} cannot be used'
            + ('; it is for depth images' if encoding in DEPTH_ENCODINGS else '')
            + f'; publish one of {", ".join(COLOR_ENCODINGS)}'
        )
    bits = 16 if name.endswith('16') else 8
    if name in _YUV:
        if width % 2:
            raise ImageError(f'image of encoding {encoding} is {width} pixels wide; even is needed')
        name, channels = _YUV[name], 2
    else:
        channels = _CHANNELS[name.removesuffix(str(bits))]
        if name.startswith('bayer') and 0 < min(height, width) < 2:
            raise ImageError(f'image of encoding {encoding} is {width}x{height}; 2x2 is needed')
    dtype = np.dtype(f'u{bits // 8}')
    if name == 'rgb8':  # nothing to convert
        return np.array(_pixels(encoding, height, width, channels, step, dtype, data))
    raw = _raw(name, height, width, channels, step, dtype, is_bigendian, data)
    if name == 'mono16':  # fewer values to scale
        raw = RawImage('mono8', height, width, width, _scaled(convert(raw, name)))
    pixels = convert(raw, 'rgb16' if raw.encoding.endswith('16') else 'rgb8')
    return pixels if pixels.dtype == np.uint8 else _scaled(pixels)


def decode_depth(
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool,
    data: Any,
    convert: Convert = by_rosbags,
) -> NDArray[np.float32]:
    """Meters (height, width) float32, 0 where unknown, of a depth image message's fields.

    Raises ImageError for an encoding that is no depth, an empty image, or data too short for it.
    """
    if encoding not in DEPTH_ENCODINGS:
        raise ImageError(
            f'depth images of encoding {encoding!r} cannot be used; publish 16UC1 (millimeters) or '
            '32FC1 (meters)'
        )
    dtype = np.dtype('f4' if encoding == '32FC1' else 'u2')
    raw = _raw(encoding, height, width, 1, step, dtype, is_bigendian, data)
    return _to_meters(convert(raw, encoding), DEPTH_ENCODINGS[encoding])


def decode_compressed(data: Any, image_format: str = '') -> NDArray[np.uint8]:
    """RGB (H, W, 3) uint8 of a compressed image message's data, a JPEG or PNG file.

    `image_format` is the message's own, such as 'rgb8; jpeg compressed bgr8'. Raises ImageError for
    a stream of video, and when the data are empty, truncated or no image.
    """
    if any(name in image_format.lower() for name in _VIDEO):
        raise ImageError(
            f'the images are of format {image_format!r}, a stream of video; only JPEG and PNG are '
            'read: record the raw images, or have them compressed as jpeg or png'
        )
    named = f' of format {image_format!r}' if image_format else ''
    return images.decode_image(
        BytesIO(_buffer(data)),
        f'compressed image{named}',
        'JPEG and PNG are read, and must be whole',
    )


def decode_compressed_depth(image_format: str, data: Any) -> NDArray[np.float32]:
    """Meters (H, W) float32, 0 where unknown, of a compressed depth message: 16 bits in a PNG.

    `image_format` is the message's own, such as '16UC1; compressedDepth'. Raises ImageError for
    depth that is not whole millimeters, and when the data cannot be decoded.
    """
    encoding, _, compression = image_format.partition(';')
    if encoding.strip() not in ('16UC1', 'mono16'):
        raise ImageError(
            f'compressed depth images of format {image_format!r} cannot be used; publish 16UC1 '
            '(millimeters), or depth that is not compressed'
        )
    file = _buffer(data)[_COMPRESSED_DEPTH_HEADER if 'compressedDepth' in compression else 0 :]
    raw = images.decode_depth(BytesIO(file), 'compressed depth image', 'PNG is read, must be whole')
    return _to_meters(raw, DEPTH_ENCODINGS['16UC1'])


def _decode_planar(name: str, height: int, width: int, step: int, data: Any) -> NDArray[np.uint8]:
    """RGB (height, width, 3) of YUV in planes; `step` is the length of a row of brightness."""
    across, down, paired, v_first = _PLANAR[name]
    if width % 2 or height % 2:
        raise ImageError(f'image of encoding {name} is {width}x{height}; even sizes are needed')
    byte = np.dtype(np.uint8)
    brightness = _pixels(name, height, width, 1, step, byte, data)[:, :, 0]
    rows, columns, plane_step = height // down, width // across, step // across
    needed = step * height + 2 * plane_step * rows
    buffer = _buffer(data)
    # The last row may lack its padding.
    if len(buffer) < needed - (plane_step - columns) * (2 if paired else 1):
        raise ImageError(
            f'image is truncated: {width}x{height} of encoding {name} takes {needed} bytes, there '
            f'are {len(buffer)}'
        )
    behind = buffer[step * height :]
    if paired:
        color = _pixels(name, rows, columns, 2, 2 * plane_step, byte, behind)
    else:
        planes = [behind, behind[plane_step * rows :]]
        color = np.concatenate(
            [_pixels(name, rows, columns, 1, plane_step, byte, plane) for plane in planes], axis=2
        )
    # What OpenCV knows is NV12: U before V, both at half the width and height.
    color = color[:: 2 // down, :: 2 // across, :: -1 if v_first else 1]
    rgb = cv2.cvtColorTwoPlane(
        np.ascontiguousarray(brightness), np.ascontiguousarray(color), cv2.COLOR_YUV2RGB_NV12
    )
    return rgb.astype(np.uint8, copy=False)


def _scaled(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """16 bits as 8, rounded."""
    return cv2.convertScaleAbs(pixels, alpha=1 / 257).astype(np.uint8, copy=False)


def _to_meters(raw: NDArray[Any], unit: float) -> NDArray[np.float32]:
    depth = raw.astype(np.float32) * np.float32(unit)
    depth[~(np.isfinite(depth) & (depth > 0))] = 0.0
    return depth


def _raw(
    encoding: str,
    height: int,
    width: int,
    channels: int,
    step: int,
    dtype: np.dtype[Any],
    is_bigendian: bool,
    data: Any,
) -> RawImage:
    """The image of a message's fields, copied only where a library would misread it."""
    sent = dtype.newbyteorder('>' if is_bigendian else '<')
    pixels = _pixels(encoding, height, width, channels, step, sent, data)
    row = width * channels * dtype.itemsize
    return RawImage(encoding, height, width, row, np.ascontiguousarray(pixels, dtype))


def _pixels(
    encoding: str,
    height: int,
    width: int,
    channels: int,
    step: int,
    dtype: np.dtype[Any],
    data: Any,
) -> NDArray[Any]:
    """View (height, width, channels) of a message's data."""
    if height <= 0 or width <= 0:
        raise ImageError(f'image is {width}x{height}; there are no pixels in it')
    row = width * channels * dtype.itemsize
    if step < row:
        raise ImageError(
            f'a row of {width} pixels of encoding {encoding} takes {row} bytes, but step is {step}'
        )
    buffer = _buffer(data)
    needed = step * (height - 1) + row  # the last row may lack its padding
    if len(buffer) < needed:
        raise ImageError(
            f'image is truncated: {width}x{height} of encoding {encoding} takes {needed} bytes, '
            f'there are {len(buffer)}'
        )
    return np.ndarray(
        (height, width, channels),
        dtype,
        buffer,
        strides=(step, channels * dtype.itemsize, dtype.itemsize),
    )


def _buffer(data: Any) -> memoryview:
    """The data's bytes, not copied."""
    view = memoryview(data)
    return view if view.format == 'B' and view.ndim == 1 else view.cast('B')
