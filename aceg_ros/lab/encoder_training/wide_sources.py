"""What the wide encoder is trained on: made worlds, posed sequences and single pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from aceg_ros.encoder.base import Encoder
from aceg_ros.errors import DatasetError, FitError
from aceg_ros.lab.encoder_training.groups import StoredGroups
from aceg_ros.lab.encoder_training.real import HomographyGroups, PosedCrops, PosedSequence
from aceg_ros.lab.encoder_training.rendering import Rendered
from aceg_ros.lab.encoder_training.sources import read_folder
from aceg_ros.lab.encoder_training.wide_loop import Source

# of the groups drawn, per kind of source
_SHARES = {'worlds': 0.33, 'textured': 0.33, 'sequences': 0.2, 'pictures': 0.14}


def collect_groups(
    folders: Sequence[Path], rendered: Rendered, encoder: Encoder, report: Callable[[str], None]
) -> list[Source]:
    """Sources out of datasets, folders of pictures, and what is `rendering`.

    ``encoder`` finds the depths of sequences. Raises DatasetError when there is nothing to train
    on.
    """
    sources = _rendered_sources(rendered)
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


def _rendered_sources(rendered: Rendered) -> list[Source]:
    sources = []
    if rendered.worlds:
        groups = StoredGroups(rendered.cache, 'world-*.npz')
        sources.append(Source('worlds', groups, _SHARES['worlds']))
    for area in rendered.textured:
        groups = StoredGroups(rendered.cache, f'{area.folder.name}-*.npz')
        share = _SHARES['textured'] / len(rendered.textured)
        sources.append(Source(area.folder.name, groups, share))
    return sources
