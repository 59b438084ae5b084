"""The maps in use. Others are loaded beside them, and take their place when all is well.

Importing PyTorch takes seconds, so nothing at the top of this module does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from aceg_ros.errors import AcegError, MapCodeError, MapNotFoundError, WeightsError
from aceg_ros.maps.code import SUFFIX
from aceg_ros.maps.file import read_map
from aceg_ros.maps.folder import maps_at
from aceg_ros.ros.localizer.background import Background

if TYPE_CHECKING:
    from aceg_ros.engine import Engine, Engines, Networks
    from aceg_ros.geometry.cameras import Camera
    from aceg_ros.localization.localizer import Localizer
    from aceg_ros.maps.code import KnownCamera, MapCode

T = TypeVar('T')


class MapMismatchError(MapCodeError):
    """The map was made with other networks than those installed."""


class LoadingError(AcegError):
    """Networks or map did not load, for a reason that is not theirs, such as want of memory."""


@dataclass(frozen=True)
class MapFrames:
    """What frames of maps are called."""

    alone: str  # of a map that is the only one in use
    each: str  # of each of several; {name} stands for the name of the map, or of the place

    def of(self, name: str, count: int) -> str:
        """The frame of a map, or of the parts of a place, of so many."""
        return self.alone if count == 1 else self.each.replace('{name}', name)


@dataclass(frozen=True)
class LoadedMap:
    """A map ready for localization in it."""

    name: str
    path: Path
    networks: Networks
    localizer: Localizer
    frame: str = ''  # in TF

    @property
    def place(self) -> str:
        """Whose frame its poses are in: its own, or that of the place it is a part of."""
        return self.localizer.code.info.place or self.name

    def known_camera(self, camera: Camera) -> KnownCamera:
        """What its images say of a camera."""
        return self.localizer.code.info.known_camera(camera)

    def goes_on_from(self, other: LoadedMap | None) -> bool:
        """Whether a path in the other one goes on: parts of one place, in one frame."""
        place = self.localizer.code.info.place
        return other is not None and self.frame == other.frame and place == other.place != ''

    def looks_like(self, other: LoadedMap | None) -> bool:
        """Whether what viewers show of the two is the same."""
        return (
            other is not None
            and self.localizer.code is other.localizer.code
            and self.frame == other.frame
        )


class LoadedMaps:
    """The maps in use, at least one."""

    def __init__(self, maps: Iterable[LoadedMap]) -> None:
        from aceg_ros.localization.several import MapSet

        self.by_name = {each.name: each for each in maps}
        self.set = MapSet({name: each.localizer for name, each in self.by_name.items()})

    @property
    def names(self) -> str:
        """For people."""
        return ', '.join(self.by_name)

    @property
    def first(self) -> LoadedMap:
        """The first one named."""
        return next(iter(self.by_name.values()))

    @property
    def several(self) -> bool:
        """Whether there are maps of more places than one."""
        return len({each.place for each in self.by_name.values()}) > 1

    @property
    def metric(self) -> bool:
        """Whether the unit of all of them is the meter."""
        return all(each.localizer.code.info.metric for each in self.by_name.values())

    def of_place(self, place: str) -> LoadedMap | None:
        """The map of a place; of several parts that of the last answer, or else the first."""
        parts = [each for each in self.by_name.values() if each.place == place]
        last = [each for each in parts if each.name == self.set.last_of(place)]
        return next(iter([*last, *parts]), None)

    def in_frame(self, frame: str) -> LoadedMap | None:
        """The map of a frame; the first one where several share it."""
        return next((each for each in self.by_name.values() if each.frame == frame), None)

    def kept_from(self, before: LoadedMaps | None) -> set[str]:
        """Places of which a map was in use before."""
        old = {} if before is None else before.set.localizers
        kept = (each for each in self.by_name.values() if each.localizer is old.get(each.name))
        return {each.place for each in kept}


class Maps:
    """Loads maps and the networks that read them, one after the other, in the background.

    What it is told to do is done in the order told. `current` can be read at any time.
    """

    def __init__(
        self,
        device: str,
        requested: tuple[str, str],
        frames: MapFrames,
        on_loaded: Callable[[LoadedMaps | None, LoadedMaps], None],
        on_failed: Callable[[str], None],
        on_closed: Callable[[str], None],
    ) -> None:
        """``requested`` are encoder and regressor as in `Networks`, empty for what each map needs.

        The functions are called in the background: the first with the maps in use before and now,
        the others with the reason.
        """
        self._device = device
        self._networks = requested
        self._frames = frames
        self._on_loaded = on_loaded
        self._on_failed = on_failed
        self._on_closed = on_closed
        self._background = Background('maps')
        self._engines: Engines | None = None
        self._current: LoadedMaps | None = None
        self._problem = ''

    @property
    def current(self) -> LoadedMaps | None:
        """The maps in use."""
        return self._current

    @property
    def problem(self) -> str:
        """Why what was asked for last could not be done; empty when it was."""
        return self._problem

    def warm_up(self) -> None:
        """Import what the networks need, which takes most of the time of loading."""
        self._background.submit(lambda: import_module('aceg_ros.localization.several'))

    def prepare(self) -> Future[Engine]:
        """Load the networks, so that a map comes quickly later."""
        return self._submit(lambda: self._loaded_networks.load(self._requested().complete()))

    def load(self, urls: Sequence[str], min_confidence: float) -> Future[LoadedMaps]:
        """Put these maps in use and no others.

        The future raises AcegError when that fails, and the old ones stay; so with `add` and
        `remove`.
        """
        return self._submit(lambda: self._use(self._read(urls, min_confidence)))

    def add(self, url: str, min_confidence: float) -> Future[LoadedMaps]:
        """Put maps in use beside those that are; one of the same name is replaced."""
        return self._submit(lambda: self._use(self._in_use | self._read([url], min_confidence)))

    def remove(self, url: str, no_map: str) -> Future[LoadedMaps | None]:
        """Use maps no longer, given by a name or as for `add`.

        ``no_map`` is the reason for having none after the last one.
        """

        def remove() -> LoadedMaps | None:
            names = [url] if url in self._in_use else _map_names(url)
            rest = {name: each for name, each in self._in_use.items() if name not in names}
            if len(rest) == len(self._in_use):
                known = ', '.join(rest) or 'there is none'
                raise MapNotFoundError(
                    f'no map in use is called {" or ".join(map(repr, names))}; in use: {known}'
                )
            if rest:
                return self._use(rest)
            self._close(no_map)
            return None

        return self._submit(remove)

    def restrict(self, min_confidence: float) -> None:
        """Ask for another confidence in the maps in use."""

        def rebuild() -> None:
            if self._current is not None:
                self._current = LoadedMaps(
                    replace(
                        each,
                        localizer=self._localizer(
                            each.localizer.code, each.networks, min_confidence
                        ),
                    )
                    for each in self._current.by_name.values()
                )

        self._submit(rebuild)

    def unload(self, reason: str) -> None:
        """Have no map."""
        self._submit(lambda: self._close(reason))

    def release(self) -> None:
        """Give back the memory of the networks."""

        def release() -> None:
            self._engines = None

        self._submit(release)

    def stop(self) -> None:
        """Load nothing any more."""
        self._background.stop()

    def check(self, urls: Sequence[str]) -> None:
        """Raise AcegError when maps cannot be put in use. Takes a moment: it reads all of them."""
        for path in map_files(urls).values():
            code = read_map(path)
            needed = self._needed(code)
            engine = None if self._engines is None else self._engines.loaded(needed)
            if engine is not None:
                _check_networks(code, engine)

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

    @property
    def _in_use(self) -> dict[str, LoadedMap]:
        return {} if self._current is None else dict(self._current.by_name)

    @property
    def _loaded_networks(self) -> Engines:
        if self._engines is None:
            from aceg_ros.engine import Engines

            self._engines = Engines(self._device)
        return self._engines

    def _requested(self) -> Networks:
        from aceg_ros.engine import Networks

        return Networks(*self._networks)

    def _needed(self, code: MapCode) -> Networks:
        """Networks for a map; raises MapMismatchError where there are none."""
        try:
            return self._requested().for_map(code.info)
        except WeightsError as error:
            raise MapMismatchError(str(error)) from error

    def _read(self, urls: Sequence[str], min_confidence: float) -> dict[str, LoadedMap]:
        found = {}
        for name, path in map_files(urls).items():
            code = read_map(path)
            networks = self._needed(code)
            localizer = self._localizer(code, networks, min_confidence)
            found[name] = LoadedMap(name, path, networks, localizer)
        return found

    def _use(self, maps: dict[str, LoadedMap]) -> LoadedMaps:
        """Put maps in the place of those in use."""
        before, count = self._current, len({each.place for each in maps.values()})
        self._current = now = LoadedMaps(
            replace(each, frame=self._frames.of(each.place, count)) for each in maps.values()
        )
        self._problem = ''
        self._loaded_networks.keep_only({each.networks for each in maps.values()})
        self._on_loaded(before, now)
        return now

    def _close(self, reason: str) -> None:
        self._current = None
        self._problem = ''
        self._on_closed(reason)

    def _localizer(self, code: MapCode, networks: Networks, min_confidence: float) -> Localizer:
        from aceg_ros.localization.localizer import Localizer
        from aceg_ros.localization.options import GateOptions, LocalizationOptions

        engine = self._loaded_networks.load(networks)
        _check_networks(code, engine)
        options = LocalizationOptions(gate=GateOptions(min_confidence=min_confidence))
        return Localizer(code, engine, options)


def map_path(url: str) -> Path:
    """File or folder that a path, a file:// or a package:// URL names.

    The suffix .aceg of a file may be left out. Raises MapNotFoundError when there is neither.
    """
    if not url:
        raise MapNotFoundError('no map is named; give a path, or a file:// or package:// URL')
    try:
        path = _path_of(url)
        for candidate in (path, path.with_name(path.name + SUFFIX)) if path.name else ():
            if candidate.is_file():
                return candidate
        if path.is_dir():
            return path
    except (OSError, RuntimeError, ValueError) as error:
        raise MapNotFoundError(f'{url} cannot be looked at: {error}') from error
    raise MapNotFoundError(f'there is no map at {path}; make one with "aceg map" or the mapper')


def _path_of(url: str) -> Path:
    """The path that a path or URL stands for; raises RuntimeError and ValueError for odd ones."""
    parts = urlsplit(url)
    if parts.scheme == 'package':
        try:
            share = get_package_share_directory(parts.netloc)
        except (PackageNotFoundError, ValueError, LookupError) as error:
            raise MapNotFoundError(f'there is no package {parts.netloc!r}, for {url}') from error
        return Path(share, unquote(parts.path).lstrip('/'))
    if parts.scheme == 'file':
        return Path(unquote(parts.path))
    if '://' in url:
        raise MapNotFoundError(f'{url}: give a path, or a file:// or package:// URL')
    return Path(url).expanduser()


def map_files(urls: Sequence[str]) -> dict[str, Path]:
    """Files of maps by name; raises MapNotFoundError, MapCodeError for two maps of one name."""
    return maps_at([map_path(url) for url in urls or ['']])


def _map_names(url: str) -> list[str]:
    """What maps are called that are given by a name, as a path or as a URL; of a folder all."""
    try:
        return list(map_files([url]))
    except (MapNotFoundError, MapCodeError):  # a file that is gone may still be in use
        return [Path(unquote(urlsplit(url).path)).name.removesuffix(SUFFIX)]


def _check_networks(code: MapCode, engine: Engine) -> None:
    from aceg_ros.engine import check_networks

    try:
        check_networks(code.info, engine)
    except MapCodeError as error:
        raise MapMismatchError(str(error)) from error
