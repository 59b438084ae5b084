"""Pixels of image messages to arrays, by the names of their encodings; knows nothing of ROS itself.

Color and gray images of 8 or 16 bits, Bayer patterns and packed YUV follow cv_bridge. Planar YUV is
that of cameras in phones and single-board computers. Depth follows REP 118. Rows may be padded.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets import images
from aceg_ros.errors import ImageError

# Channels of a pixel, and those that make RGB of them.
_LAYOUTS: dict[str, tuple[int, slice]] = {
    'mono': (1, slice(1)),
    'rgb': (3, slice(3)),
    'rgba': (4, slice(3)),
    'bgr': (3, slice(2, None, -1)),
    'bgra': (4, slice(2, None, -1)),
}
# OpenCV names a pattern by the second and third pixel of its second row.
_BAYER = {
    'bayer_rggb': cv2.COLOR_BayerBG2RGB,
    'bayer_bggr': cv2.COLOR_BayerRG2RGB,
    'bayer_gbrg': cv2.COLOR_BayerGR2RGB,
    'bayer_grbg': cv2.COLOR_BayerGB2RGB,
}
_YUV = {
    'uyvy': cv2.COLOR_YUV2RGB_UYVY,
    'yuv422': cv2.COLOR_YUV2RGB_UYVY,
    'yuyv': cv2.COLOR_YUV2RGB_YUYV,
    'yuv422_yuy2': cv2.COLOR_YUV2RGB_YUYV,
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
    *(f'{name}{bits}' for name in (*_LAYOUTS, *_BAYER) for bits in (8, 16)),
    *_YUV,
    *_PLANAR,
    *_ALIASES,
)
# Meters in one unit.
DEPTH_ENCODINGS = {'16UC1': 1e-3, 'mono16': 1e-3, '32FC1': 1.0}
# What compressed_depth_image_transport puts before the PNG file: a format and two numbers.
_COMPRESSED_DEPTH_HEADER = 12


def decode(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Any
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
    if name in _YUV:
        if width % 2:
            raise ImageError(f'image of encoding {encoding} is {width} pixels wide; even is needed')
        pixels = _pixels(name, height, width, 2, step, np.dtype(np.uint8), data)
        return cv2.cvtColor(np.ascontiguousarray(pixels), _YUV[name]).astype(np.uint8, copy=False)
    layout, bits = (name[:-2], 16) if name.endswith('16') else (name[:-1], 8)
    if name not in COLOR_ENCODINGS:
        raise ImageError(
            f'images of encoding {encoding!r} cannot be used'
            + ('; it is for depth images' if encoding in DEPTH_ENCODINGS else '')
            + f'; publish one of {", ".join(COLOR_ENCODINGS)}'
        )
    dtype = np.dtype(np.uint8 if bits == 8 else '>u2' if is_bigendian else '<u2')
    channels, order = _LAYOUTS.get(layout, (1, slice(3)))
    pixels = _pixels(encoding, height, width, channels, step, dtype, data)
    if layout in _BAYER:
        if min(height, width) < 2:
            raise ImageError(f'image of encoding {encoding} is {width}x{height}; 2x2 is needed')
        mosaic: NDArray[Any] = np.ascontiguousarray(pixels, dtype.newbyteorder('='))
        pixels = cv2.cvtColor(mosaic, _BAYER[layout])
    if bits == 16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.array(pixels[:, :, order], order='C')


def decode_depth(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Any
) -> NDArray[np.float32]:
    """Meters (height, width) float32, 0 where unknown, of a depth image message's fields.

    Raises ImageError for an encoding that is no depth, an empty image, or data too short for it.
    """
    if encoding not in DEPTH_ENCODINGS:
        raise ImageError(
            f'depth images of encoding {encoding!r} cannot be used; publish 16UC1 (millimeters) or '
            '32FC1 (meters)'
        )
    kind = 'f4' if encoding == '32FC1' else 'u2'
    dtype = np.dtype(('>' if is_bigendian else '<') + kind)
    pixels = _pixels(encoding, height, width, 1, step, dtype, data)[:, :, 0]
    return _to_meters(pixels, DEPTH_ENCODINGS[encoding])


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


def _to_meters(raw: NDArray[Any], unit: float) -> NDArray[np.float32]:
    depth = raw.astype(np.float32) * np.float32(unit)
    depth[~(np.isfinite(depth) & (depth > 0))] = 0.0
    return depth


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
