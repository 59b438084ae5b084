"""Real posed sequences as training scenes: some views mapped, the others relit and asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aceg_ros.datasets.detect import open_dataset
from aceg_ros.errors import DatasetError
from aceg_ros.lab.encoder_training.light import relit
from aceg_ros.lab.pretraining.scenes import Scene

_LEAST = 8  # views of a sequence


@dataclass(frozen=True)
class PosedSequences:
    """One scene per folder: every ``every``-th view is a query, under other light.

    Depth registered to the images supervises in 3D, views without it by reprojection.
    """

    folders: Sequence[Path]
    every: int = 4
    views: int = 80  # evenly chosen where a sequence has more

    def __len__(self) -> int:
        return len(self.folders)

    def name(self, index: int) -> str:
        return f'sequence-{self.folders[index].resolve().name}'

    def scene(self, index: int) -> Scene:
        """See `SceneSource`; raises DatasetError for a sequence of too few views."""
        folder = self.folders[index]
        frames = [f for f in open_dataset(folder).frames if f.world_from_cam is not None]
        if len(frames) < _LEAST:
            raise DatasetError(f'{folder} has {len(frames)} posed views, not {_LEAST} or more')
        if len(frames) > self.views:
            chosen = np.linspace(0, len(frames) - 1, self.views).round().astype(int)
            frames = [frames[i] for i in chosen]
        query = [
            relit(frame, number)
            for number, frame in enumerate(frames)
            if number % self.every == self.every // 2
        ]
        mapping = [f for n, f in enumerate(frames) if n % self.every != self.every // 2]
        return Scene(self.name(index), mapping, query, ['light'] * len(query))
