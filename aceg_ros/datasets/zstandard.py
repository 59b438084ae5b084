"""Zstandard, with which rosbag2 compresses files and messages; the library comes with `rosbags`."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from types import ModuleType

from aceg_ros.errors import DatasetError

MAGIC = b'\x28\xb5\x2f\xfd'
# Bytes of one message, at most; an image of 100 megapixels has fewer.
MAX_MESSAGE = 1 << 29

_PIECE = 1 << 20
_MODULES = ('compression.zstd', 'backports.zstd')


def decompress(data: bytes, source: Path) -> bytes:
    """Unpack one message; raises DatasetError, naming `source`, when that is not possible."""
    zstd = _library(source)
    try:
        unpacked = zstd.ZstdDecompressor().decompress(data, MAX_MESSAGE)
    except zstd.ZstdError as error:
        raise DatasetError(f'{source}: a compressed message is damaged ({error})') from error
    if len(unpacked) == MAX_MESSAGE:
        raise DatasetError(f'{source}: a compressed message has more than {MAX_MESSAGE} bytes')
    return unpacked


def decompress_file(packed: Path, plain: Path) -> None:
    """Unpack `packed` as `plain`, as far as the disk allows; raises DatasetError."""
    zstd = _library(packed)
    try:
        with zstd.open(packed, 'rb') as source, plain.open('wb') as sink:
            while piece := source.read(_PIECE):
                if shutil.disk_usage(plain.parent).free < 64 * _PIECE:
                    raise DatasetError(
                        f'{packed}: {plain.parent} has no room to unpack it; set TMPDIR to a '
                        'larger disk, or unpack it with `zstd -d`'
                    )
                sink.write(piece)
    except (OSError, EOFError, zstd.ZstdError) as error:
        raise DatasetError(
            f'{packed}: cannot be unpacked ({error}); copy it again, or try `zstd -d`'
        ) from error


def _library(source: Path) -> ModuleType:
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise DatasetError(
        f'{source}: is compressed with zstd; unpack it with `zstd -d`, or install a library for '
        'it: pip install backports.zstd'
    )
