"""Image files to arrays.

Pillow decodes, because it refuses truncated files where OpenCV fills the rest with gray. Pixels are
taken as stored, as the tools that made the poses take them: an EXIF orientation is applied only
where that is asked for. HEIC, which phones write, is read through pillow-heif, upright.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from aceg_ros.datasets.names import natural_key
from aceg_ros.errors import ImageError

HEIC_SUFFIXES = frozenset({'.heic', '.heif', '.hif'})
IMAGE_SUFFIXES = (
    frozenset({'.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.pgm', '.tif', '.tiff', '.webp'})
    | HEIC_SUFFIXES
)
_ORIENTATION = 0x0112  # EXIF's tag

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


def read_image(path: str | Path, exif: bool = False) -> NDArray[np.uint8]:
    """Read an image file as RGB (H, W, 3) uint8.

    Gray is repeated in three channels, 16 bits are scaled to 8, an alpha channel is dropped. With
    `exif` the picture is turned upright as its EXIF orientation says. Raises ImageError when the
    file is missing, truncated, or no image.
    """
    image = _decode(path, str(path))
    return to_rgb(ImageOps.exif_transpose(image) if exif and _turn(image) else image, str(path))


def decode_image(file: BinaryIO, name: str, remedy: str) -> NDArray[np.uint8]:
    """Like `read_image`, of an open file; `name` and `remedy` are for the ImageError."""
    return to_rgb(_decode(file, name, remedy), name)


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
    raw = _integers(_decode(path, str(path)), str(path))
    depth = raw.astype(np.float32) / np.float32(units_per_meter)
    if unknown is not None:
        depth[raw == unknown] = 0.0
    return depth


def decode_depth(file: BinaryIO, name: str, remedy: str) -> NDArray[np.integer[Any]]:
    """Integers (H, W) of an open depth image; `name` and `remedy` are for the ImageError."""
    return _integers(_decode(file, name, remedy), name)


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height as stored, from the file's header alone; raises ImageError without one."""
    return image_header(path)[0]


def image_header(path: str | Path) -> tuple[tuple[int, int], int]:
    """Width and height as stored, and the EXIF orientation of a picture that is stored turned.

    The orientation is 2 to 8, or 0 where the picture is upright. Raises ImageError when the file
    has no readable header.
    """
    _prepare(path)
    try:
        with Image.open(path) as image:
            return image.size, _turn(image)
    except FileNotFoundError as error:
        raise ImageError(f'{path}: there is no such image') from error
    except _DAMAGE as error:
        raise ImageError(f'{path}: is no readable image ({_reason(error)})') from error


def turned(size: tuple[int, int], turn: int) -> tuple[int, int]:
    """Width and height of a picture once it is upright."""
    return (size[1], size[0]) if turn >= 5 else size


def list_images(folder: Path) -> list[Path]:
    """Image files lying directly in `folder`, in natural order; hidden files are left out."""
    found = (
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith('.')
    )
    return sorted(found, key=lambda file: natural_key(file.name))


def _turn(image: Image.Image) -> int:
    # Pillow turns TIFF by itself, and decodes a PNG to look for what comes after its pixels.
    if image.format == 'TIFF' or (image.format == 'PNG' and 'exif' not in image.info):
        return 0
    try:
        turn = image.getexif().get(_ORIENTATION, 0)
    except (*_DAMAGE, KeyError, TypeError):
        return 0
    return turn if isinstance(turn, int) and 2 <= turn <= 8 else 0


def _prepare(file: str | Path | BinaryIO) -> None:
    """Have Pillow read HEIC where that is needed; raises ImageError when it cannot."""
    if not isinstance(file, str | Path) or Path(file).suffix.lower() not in HEIC_SUFFIXES:
        return
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise ImageError(
            f"{file}: HEIC is read by pillow-heif: pip install 'aceg_ros[heic]' or pillow-heif; or "
            'convert it to JPEG'
        ) from error
    register_heif_opener()


def _decode(
    file: str | Path | BinaryIO, name: str, remedy: str = 'copy it again or leave it out'
) -> Image.Image:
    _prepare(file)
    try:
        with Image.open(file) as image:
            image.load()
            return image
    except FileNotFoundError as error:
        raise ImageError(f'{name}: there is no such image') from error
    except _DAMAGE as error:
        raise ImageError(f'{name}: cannot be decoded ({_reason(error)}); {remedy}') from error


def _integers(image: Image.Image, name: str) -> NDArray[np.integer[Any]]:
    raw = np.array(image)
    if raw.ndim != 2 or not np.issubdtype(raw.dtype, np.integer):
        raise ImageError(f'{name}: is no depth image; one 16-bit integer a pixel is expected')
    return raw


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return 'it is of no image format that is known here'
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    plain = isinstance(error, OSError | ValueError | Image.DecompressionBombError)
    return str(error).splitlines()[0] if plain and str(error) else 'it is damaged'
