"""Names of files: their order, and finding those that another system wrote."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from aceg_ros.errors import ImageError


def natural_key(name: str | Path) -> tuple[object, ...]:
    """Sort key that orders names as people count: frame_2 before frame_10, whatever the case.

    Every list of files is ordered by it, whether it is shown, played or paired with poses.
    """
    text = name.as_posix() if isinstance(name, Path) else name.replace('\\', '/')
    folders = [
        tuple(
            (0, int(part), '') if part.isdecimal() else (1, 0, part)
            for part in re.split(r'(\d+)', folder.casefold())
            if part
        )
        for folder in text.split('/')
    ]
    # Last the name itself, so that no two names are equal.
    return (folders, text)


def order_is_unclear(names: Iterable[str]) -> bool:
    """Whether names hold numbers with a point that count otherwise than they read: 0.5 and 0.25."""
    names = list(names)
    return sorted(names, key=natural_key) != sorted(names, key=_decimal_key)


def _decimal_key(name: str) -> tuple[object, ...]:
    parts = re.split(r'(\d+(?:\.\d+)?)', name.casefold())
    numbers = tuple((0, float(p), '') if p[0].isdecimal() else (1, 0.0, p) for p in parts if p)
    return (numbers, name)


def file_named(folder: Path, name: str) -> Path:
    """The file `name` in `folder`; it need not be there.

    Where there is no such file, paths with the `\\` of Windows are tried, and of paths from the
    root of another computer what lies in `folder`. Raises ImageError for names that lead out of
    `folder`: a dataset must not have other pictures of this computer read.
    """
    other = name.replace('\\', '/') if '\\' in name else name
    parts = other.split('/')
    rooted = other.startswith('/') or bool(re.match('[A-Za-z]:/', other))
    tails = ['/'.join(parts[start:]) for start in range(1, len(parts))] if rooted else []
    inside = [folder / tail for tail in (name, other, *tails) if tail and _within(folder, tail)]
    if not inside:
        raise ImageError(f'{name} lies outside of {folder}; put the image there, and name it so')
    return next((candidate for candidate in inside if is_file(candidate)), inside[0])


def _within(folder: Path, name: str) -> bool:
    """Whether `..` and roots in a name leave it below the folder; links are followed later."""
    # Each as it is written: links in the folder's own path mean the same in both.
    return Path(os.path.normpath(folder / name)).is_relative_to(os.path.normpath(folder))


def shown(name: str) -> str:
    """A file's name as frames are called: with / between folders, without ./ before it."""
    return name.replace('\\', '/').removeprefix('./')


def is_file(path: Path) -> bool:
    """Whether this is a file; names that no system takes are none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
