"""What the wide encoder is trained on: made worlds, posed sequences and single pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aceg_ros.encoder.base import Encoder
from aceg_ros.errors import DatasetError, FitError
from aceg_ros.lab.encoder_training.groups import StoredGroups
from aceg_ros.lab.encoder_training.real import HomographyGroups, PosedCrops, PosedSequence
from aceg_ros.lab.encoder_training.sources import read_folder
from aceg_ros.lab.encoder_training.spots import (
    ProceduralSpots,
    Spots,
    TexturedSpots,
    draw_group,
    read_environments,
)
from aceg_ros.lab.encoder_training.wide_loop import Source

_TRIES = 20  # per group
# of the groups drawn, per kind of source
_SHARES = {'worlds': 0.33, 'textured': 0.33, 'sequences': 0.2, 'pictures': 0.14}


@dataclass(frozen=True)
class TexturedArea:
    """A part of a textured world to be stood in: ``low`` <= x < ``high``, meters."""

    folder: Path
    low: float = -np.inf
    high: float = np.inf

    @classmethod
    def parse(cls, text: str) -> TexturedArea:
        """From FOLDER or FOLDER:LOW:HIGH; raises DatasetError for another text."""
        folder, *bounds = text.split(':')
        try:
            low, high = (float(bound) for bound in bounds) if bounds else (-np.inf, np.inf)
        except ValueError as error:
            raise DatasetError(
                f'{text} is no textured world: give FOLDER, or FOLDER:LOW:HIGH with bounds of x'
            ) from error
        return cls(Path(folder), low, high)


@dataclass(frozen=True)
class Rendered:
    """How many groups are made of worlds, and where they are kept."""

    cache: Path
    worlds: int
    groups_per_world: int
    textured: Sequence[TexturedArea]
    environments: Path | None
    groups_per_area: int
    seed: int


def collect_groups(
    folders: Sequence[Path], rendered: Rendered, encoder: Encoder, report: Callable[[str], None]
) -> list[Source]:
    """Sources out of datasets, folders of pictures, and worlds that are rendered first.

    Groups already in the cache are not rendered again. ``encoder`` finds the depths of sequences.
    Raises DatasetError when there is nothing to train on.
    """
    sources = _rendered_sources(rendered, report)
    pictures: list[np.ndarray] = []
    posed: list[Source] = []
    for folder in folders:
        images, frames = read_folder(folder)
        pictures += images
        frames = [frame for frame in frames if frame.world_from_cam is not None]
        try:
            crops = PosedCrops(PosedSequence.of(frames, encoder)) if frames else None
        except FitError as error:
            report(f'{folder}: pictures only: {error}')
            crops = None
        if crops is not None:
            posed.append(Source(folder.name, crops, float(len(frames)), taught=True))
        report(f'{folder}: {len(images)} pictures' + (', with poses' if crops else ''))
    whole = sum(source.weight for source in posed)
    sources += [
        Source(s.name, s.groups, _SHARES['sequences'] * s.weight / whole, s.taught) for s in posed
    ]
    if pictures:
        groups = HomographyGroups(pictures)
        sources.append(Source('pictures', groups, _SHARES['pictures'], taught=True))
    if not sources:
        raise DatasetError('nothing to train on: name dataset folders, or ask for --worlds')
    return sources


def _rendered_sources(rendered: Rendered, report: Callable[[str], None]) -> list[Source]:
    rendered.cache.mkdir(parents=True, exist_ok=True)
    sources = []
    for index in range(rendered.worlds):
        seed = rendered.seed + index
        missing = _missing(rendered.cache, f'world-{seed:06d}', rendered.groups_per_world)
        if missing:
            _fill(ProceduralSpots(seed), missing, seed)
            report(f'world {index + 1} of {rendered.worlds} rendered')
    if rendered.worlds:
        groups = StoredGroups(rendered.cache, 'world-*.npz')
        sources.append(Source('worlds', groups, _SHARES['worlds']))
    for area in rendered.textured:
        if rendered.environments is None:
            raise DatasetError('textured worlds need light: give --environments, a folder of .hdr')
        missing = _missing(rendered.cache, area.folder.name, rendered.groups_per_area)
        if missing:
            lights = read_environments(rendered.environments)
            _fill(TexturedSpots(area.folder, lights, area.low, area.high), missing, rendered.seed)
            report(f'{area.folder.name} rendered')
        groups = StoredGroups(rendered.cache, f'{area.folder.name}-*.npz')
        share = _SHARES['textured'] / len(rendered.textured)
        sources.append(Source(area.folder.name, groups, share))
    return sources


def _missing(cache: Path, name: str, count: int) -> list[Path]:
    paths = [cache / f'{name}-{index:04d}.npz' for index in range(count)]
    return [path for path in paths if not path.exists()]


def _fill(spots: Spots, missing: Sequence[Path], seed: int) -> None:
    """Draw a group for every path; a world without room gives fewer."""
    for path in missing:
        # each by itself, so that a stop loses nothing and changes nothing
        rng = np.random.default_rng([seed, 31, int(path.stem.rsplit('-', 1)[1])])
        for _ in range(_TRIES):
            spots.arrange(rng)
            group = draw_group(spots, rng)
            if group is not None:
                group.save(path)
                break
