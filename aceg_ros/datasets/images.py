"""Image files to arrays.

Pillow decodes, because it refuses truncated files where OpenCV fills the rest with gray. Pixels are
taken as stored: an EXIF orientation is ignored, as it is by the tools that made the poses.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aceg_ros.errors import ImageError

IMAGE_SUFFIXES = frozenset(
    {'.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.pgm', '.tif', '.tiff', '.webp'}
)

# What Pillow's decoders raise on damaged files, beyond OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    Image.DecompressionBombError,
)


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read an image file as RGB (H, W, 3) uint8.

    Gray is repeated in three channels, 16 bits are scaled to 8, an alpha channel is dropped.
    Raises ImageError when the file is missing, truncated, or no image.
    """
    return to_rgb(_decode(path, str(path)), str(path))


def decode_image(file: BinaryIO, name: str) -> NDArray[np.uint8]:
    """Like `read_image`, of an open file; `name` is for the ImageError."""
    return to_rgb(_decode(file, name), name)


def to_rgb(image: Image.Image, name: str = 'image') -> NDArray[np.uint8]:
    """Convert any Pillow image to RGB (H, W, 3) uint8; `name` is for the ImageError."""
    if image.mode.startswith('I'):
        # 16-bit gray, which Pillow's own conversion would clip at 255.
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() > 65535:
            raise ImageError(f'{name}: has more than 16 bits a pixel; convert it to 8 or 16 bits')
        gray = ((deep + 128) // 257).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode == 'F':
        raise ImageError(f'{name}: has floating point pixels; convert it to 8 or 16 bits')
    return np.array(image.convert('RGB'))


def read_depth(
    path: str | Path, units_per_meter: float, unknown: int | None = None
) -> NDArray[np.float32]:
    """Read a 16-bit depth image as meters (H, W) float32, 0 where unknown.

    `unknown` is a raw value that, besides 0, says that nothing was measured. Raises ImageError when
    the file is missing, truncated, or not one integer a pixel.
    """
    raw = np.array(_decode(path, str(path)))
    if raw.ndim != 2 or not np.issubdtype(raw.dtype, np.integer):
        raise ImageError(f'{path}: is no depth image; one 16-bit integer a pixel is expected')
    depth = raw.astype(np.float32) / np.float32(units_per_meter)
    if unknown is not None:
        depth[raw == unknown] = 0.0
    return depth


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height from the file's header alone; raises ImageError when it has none."""
    try:
        with Image.open(path) as image:
            return image.size
    except FileNotFoundError as error:
        raise ImageError(f'{path}: there is no such image') from error
    except _DAMAGE as error:
        raise ImageError(f'{path}: is no readable image ({_reason(error)})') from error


def list_images(folder: Path) -> list[Path]:
    """Image files lying directly in `folder`, sorted by name; hidden files are left out."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith('.')
    )


def _decode(file: str | Path | BinaryIO, name: str) -> Image.Image:
    try:
        with Image.open(file) as image:
            image.load()
            return image
    except FileNotFoundError as error:
        raise ImageError(f'{name}: there is no such image') from error
    except _DAMAGE as error:
        raise ImageError(
            f'{name}: cannot be decoded ({_reason(error)}); copy it again or leave it out'
        ) from error


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
