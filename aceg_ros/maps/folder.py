"""Several maps, given as files or folders: which files, and what each map is called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aceg_ros.errors import MapCodeError, MapNotFoundError
from aceg_ros.maps.code import SUFFIX


def maps_at(paths: Iterable[str | Path]) -> dict[str, Path]:
    """Files of maps by name, that of the file without its suffix; of a folder all that are in it.

    Raises MapNotFoundError for a folder without maps, MapCodeError for two maps of one name.
    """
    named: dict[str, Path] = {}
    for path in map(Path, paths):
        inside = sorted(path.glob(f'*{SUFFIX}')) if path.is_dir() else [path]
        if not inside:
            raise MapNotFoundError(
                f'there is no map in the folder {path}; put *{SUFFIX} files there'
            )
        for file in inside:
            name = file.name.removesuffix(SUFFIX)
            if name in named:
                raise MapCodeError(f'two of the maps are called {name}; rename one of them')
            named[name] = file
    return named
