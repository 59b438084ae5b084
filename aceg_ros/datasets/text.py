"""Text files as programs and editors of any system write them."""

from __future__ import annotations

import codecs
from pathlib import Path

# Longest first: UTF-32's mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)


class TextError(Exception):
    """A file cannot be read as text; says why, without the file's name."""


def read_text(path: str | Path) -> str:
    """Read UTF-8, or UTF-16 or 32 with a byte order mark, which is taken off.

    Raises TextError, which each reader turns into an error of its own.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise TextError(f'cannot be read ({error.strerror})') from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), 'utf-8')
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TextError(
            f'cannot be read as text (byte {error.start} is not UTF-8); save it as UTF-8'
        ) from error


def is_number(word: str) -> bool:
    """Whether Python reads the word as a number, also as nan or inf."""
    try:
        float(word)
    except ValueError:
        return False
    return True
