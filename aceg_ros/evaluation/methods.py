"""The methods that `benchmark` compares, by name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aceg_ros.datasets import Frame
from aceg_ros.encoder.base import Encoder
from aceg_ros.engine import Engine, Networks
from aceg_ros.errors import FitCancelled
from aceg_ros.evaluation.baselines.nearest import NearestLocalizer
from aceg_ros.evaluation.baselines.sift import SiftLocalizer, SiftOptions
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localizes
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import AdjustmentOptions, FreeOptions, MappingOptions
from aceg_ros.maps.code import MapCode
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.monitor import Monitor


class Method(Protocol):
    """A way to map a scene and localize in it.

    It must pickle, because each run has a process of its own; large things like networks are
    better loaded in `build` than carried along.
    """

    @property
    def name(self) -> str:
        """What tables call it."""

    def build(self, frames: Sequence[Frame]) -> tuple[Localizes, int]:
        """Map `frames`; the localizer and its map's size in bytes. May raise AcegError."""


@dataclass(frozen=True)
class AcegMethod:
    """Ours: an anchored code; `budget` is for the whole of mapping."""

    device: str
    budget: float
    networks: Networks = field(default_factory=Networks)
    name: str = 'aceg'
    use_depth: bool = False  # take points from depth images
    adjust: bool = True  # adjust mapping poses where they do not fit the images
    first: bool = False  # only the first, coarser map

    def build(self, frames: Sequence[Frame]) -> tuple[Localizes, int]:
        """See `Method.build`."""
        engine = Engine.load(self.device, self.networks)
        options = MappingOptions(
            budget=self.budget,
            use_depth=self.use_depth,
            adjustment=AdjustmentOptions(enabled=self.adjust),
        )
        if not self.first:
            return _stored(map_scene(frames, engine, options).code, engine)
        maps: list[MapCode] = []
        with suppress(FitCancelled):
            monitor = Monitor(cancelled=lambda: bool(maps))
            map_scene(frames, engine, options, monitor=monitor, on_first_map=maps.append)
        return _stored(maps[0], engine)


@dataclass(frozen=True)
class PublishedMethod:
    """The published ACE-G: a free code, fitted by a schedule of the paper."""

    device: str
    networks: Networks
    options: FreeOptions
    name: str = 'published'

    def build(self, frames: Sequence[Frame]) -> tuple[Localizes, int]:
        """See `Method.build`."""
        engine = Engine.load(self.device, self.networks)
        return _stored(map_scene(frames, engine, MappingOptions(free=self.options)).code, engine)


def _stored(code: MapCode, engine: Engine) -> tuple[Localizes, int]:
    """A localizer in what a robot would load, not in what the fit still holds; the map's size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'map.aceg'
        size = write_map(path, code)
        return Localizer(read_map(path), engine), size


@dataclass(frozen=True)
class SiftMethod:
    """Classical features and triangulated points."""

    options: SiftOptions = field(default_factory=SiftOptions)
    name: str = 'sift'

    def build(self, frames: Sequence[Frame]) -> tuple[Localizes, int]:
        """See `Method.build`."""
        localizer = SiftLocalizer.fit(frames, self.options)
        return localizer, localizer.map_bytes


@dataclass(frozen=True)
class NearestMethod:
    """All patches stored, with points from depth: the yardstick of an encoder."""

    load_encoder: Callable[[], Encoder]
    name: str = 'nearest'

    def build(self, frames: Sequence[Frame]) -> tuple[Localizes, int]:
        """See `Method.build`."""
        localizer = NearestLocalizer.fit(frames, self.load_encoder())
        return localizer, localizer.map_bytes


def baseline_methods(load_encoder: Callable[[], Encoder]) -> dict[str, Method]:
    """The baselines by name."""
    methods: list[Method] = [SiftMethod(), NearestMethod(load_encoder)]
    return {method.name: method for method in methods}
