"""The map in use. Another one is loaded beside it, and takes its place when all is well.

Importing PyTorch takes seconds, so nothing at the top of this module does.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from aceg_ros.errors import AcegError, MapCodeError, WeightsError
from aceg_ros.maps.code import SUFFIX
from aceg_ros.ros.localizer.background import Background

if TYPE_CHECKING:
    from aceg_ros.engine import Engine, Networks
    from aceg_ros.localization.localizer import Localizer
    from aceg_ros.maps.code import MapCode

T = TypeVar('T')


class MapNotFoundError(MapCodeError):
    """There is no map at the place named."""


class MapMismatchError(MapCodeError):
    """The map was made with other networks than those installed."""


class LoadingError(AcegError):
    """Networks or map did not load, for a reason that is not theirs, such as want of memory."""


@dataclass(frozen=True)
class LoadedMap:
    """A map ready for localization in it."""

    path: Path
    localizer: Localizer


class Maps:
    """Loads maps and the networks that read them, one after the other, in the background.

    What it is told to do is done in the order told. `current` can be read at any time.
    """

    def __init__(
        self,
        device: str,
        encoder: str,
        regressor: str,
        on_loaded: Callable[[LoadedMap], None],
        on_failed: Callable[[str], None],
        on_closed: Callable[[str], None],
    ) -> None:
        """``encoder`` and ``regressor`` are as in `Networks`, empty for what each map needs.

        The functions are called in the background, the last two with the reason.
        """
        self._device = device
        self._encoder = encoder
        self._regressor = regressor
        self._on_loaded = on_loaded
        self._on_failed = on_failed
        self._on_closed = on_closed
        self._background = Background('maps')
        self._engine: tuple[Networks, Engine] | None = None
        self._current: LoadedMap | None = None
        self._problem = ''

    @property
    def current(self) -> LoadedMap | None:
        """The map in use."""
        return self._current

    @property
    def problem(self) -> str:
        """Why what was asked for last could not be loaded; empty when it was."""
        return self._problem

    def warm_up(self) -> None:
        """Import what the networks need, which takes most of the time of loading."""
        self._background.submit(lambda: import_module('aceg_ros.localization.localizer'))

    def prepare(self) -> Future[Engine]:
        """Load the networks, so that a map comes quickly later."""
        return self._submit(lambda: self._load_networks(self._requested().complete()))

    def load(self, url: str, min_confidence: float) -> Future[LoadedMap]:
        """Put a map in use; the future raises AcegError when that fails, and the old map stays."""
        return self._submit(lambda: self._load(url, min_confidence))

    def restrict(self, min_confidence: float) -> None:
        """Ask for another confidence in the map in use."""

        def rebuild() -> None:
            if self._current is not None:
                code = self._current.localizer.code
                localizer = self._localizer(code, min_confidence)
                self._current = LoadedMap(self._current.path, localizer)

        self._submit(rebuild)

    def unload(self, reason: str) -> None:
        """Have no map."""

        def unload() -> None:
            self._current = None
            self._problem = ''
            self._on_closed(reason)

        self._submit(unload)

    def release(self) -> None:
        """Give back the memory of the networks."""

        def release() -> None:
            self._engine = None

        self._submit(release)

    def stop(self) -> None:
        """Load nothing any more."""
        self._background.stop()

    def check(self, url: str) -> None:
        """Raise AcegError when the map cannot be put in use. Takes a moment: it reads all of it."""
        code = _read(map_path(url))
        needed = self._needed(code)
        if self._engine is not None and self._engine[0] == needed:
            _check_networks(code, self._engine[1])

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        def reporting() -> T:
            try:
                return work()
            except AcegError as error:
                failure = error
            except Exception as error:
                failure = LoadingError(f'loading failed: {type(error).__name__}: {error}')
            self._problem = str(failure)
            self._on_failed(self._problem)
            raise failure

        return self._background.submit(reporting)

    def _requested(self) -> Networks:
        from aceg_ros.engine import Networks

        return Networks(self._encoder, self._regressor)

    def _needed(self, code: MapCode) -> Networks:
        """Networks for a map; raises MapMismatchError where there are none."""
        try:
            return self._requested().for_map(code.info)
        except WeightsError as error:
            raise MapMismatchError(str(error)) from error

    def _load_networks(self, wanted: Networks) -> Engine:
        if self._engine is None or self._engine[0] != wanted:
            from aceg_ros.engine import Engine

            self._engine = wanted, Engine.load(self._device, wanted)
        return self._engine[1]

    def _load(self, url: str, min_confidence: float) -> LoadedMap:
        path = map_path(url)
        loaded = LoadedMap(path, self._localizer(_read(path), min_confidence))
        self._current = loaded
        self._problem = ''
        self._on_loaded(loaded)
        return loaded

    def _localizer(self, code: MapCode, min_confidence: float) -> Localizer:
        from aceg_ros.localization.localizer import Localizer
        from aceg_ros.localization.options import GateOptions, LocalizationOptions

        engine = self._load_networks(self._needed(code))
        _check_networks(code, engine)
        options = LocalizationOptions(gate=GateOptions(min_confidence=min_confidence))
        return Localizer(code, engine, options)


def map_path(url: str) -> Path:
    """File that a path, a file:// or a package:// URL names; its suffix .aceg may be left out.

    Raises MapNotFoundError when there is none.
    """
    if not url:
        raise MapNotFoundError('no map is named; give a path, or a file:// or package:// URL')
    parts = urlsplit(url)
    if parts.scheme == 'package':
        try:
            share = get_package_share_directory(parts.netloc)
        except (PackageNotFoundError, ValueError, LookupError) as error:
            raise MapNotFoundError(f'there is no package {parts.netloc!r}, for {url}') from error
        path = Path(share, unquote(parts.path).lstrip('/'))
    elif parts.scheme == 'file':
        path = Path(unquote(parts.path))
    elif '://' in url:
        raise MapNotFoundError(f'{url}: give a path, or a file:// or package:// URL')
    else:
        path = Path(url).expanduser()
    for candidate in (path, path.with_name(path.name + SUFFIX)) if path.name else ():
        if candidate.is_file():
            return candidate
    raise MapNotFoundError(f'there is no map at {path}; make one with "aceg map" or the mapper')


def _read(path: Path) -> MapCode:
    from aceg_ros.maps.file import read_map

    return read_map(path)


def _check_networks(code: MapCode, engine: Engine) -> None:
    from aceg_ros.engine import check_networks

    try:
        check_networks(code.info, engine)
    except MapCodeError as error:
        raise MapMismatchError(str(error)) from error
