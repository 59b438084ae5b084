"""Groups of views of one spot, each patch with the point it shows: what `wide` is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera

STRIDE = 8


@dataclass(frozen=True)
class ViewGroup:
    """V views of one spot, of one size; patches of stride 8, H' x W' of them.

    Points are in one frame of the group's own: meters, or pixels of a picture.
    """

    images: np.ndarray  # (V, H, W, 3) uint8
    points: np.ndarray  # (V, H', W', 3) float32, nan where it is not known what a patch shows
    footprint: np.ndarray  # (V, H', W') float32, how much of the scene a patch covers, same unit

    def save(self, path: Path) -> None:
        """Write it as .npz, atomically."""
        partial = path.with_suffix('.partial.npz')
        np.savez(partial, images=self.images, points=self.points, footprint=self.footprint)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> ViewGroup:
        """Read what `save` wrote; raises DatasetError for another file."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(arrays['images'], arrays['points'], arrays['footprint'])
        except (OSError, KeyError, ValueError, MemoryError) as error:
            raise DatasetError(f'{path} is no group of views ({error}); remove it') from error


def surface(
    depth: np.ndarray, camera: Camera, world_from_cam: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points (H', W', 3) and footprints (H', W') of a view's patches from its depth (H, W) m."""
    rows, columns = camera.height // STRIDE, camera.width // STRIDE
    centers = PatchFeatures.grid(columns, rows, STRIDE)
    x, y = np.round(centers).astype(int).T
    z = depth[y, x].astype(np.float64)
    z[~(z > 0)] = np.nan
    rays = camera.rays(centers)
    local = rays / rays[:, 2:] * z[:, None]
    points = local @ world_from_cam[:3, :3].T + world_from_cam[:3, 3]
    footprint = z * STRIDE / camera.focal
    shape = (rows, columns)
    return (
        points.reshape(*shape, 3).astype(np.float32),
        footprint.reshape(shape).astype(np.float32),
    )


class GroupSource(Protocol):
    """Draws groups; ``views`` of each."""

    def draw(self, rng: np.random.Generator, views: int) -> ViewGroup | None:
        """A group, or None when this draw had too little in common."""


class StoredGroups:
    """Groups in files, of which more may come while a training runs."""

    def __init__(self, folder: Path, pattern: str = '*.npz'):
        """Raises DatasetError when there is none."""
        self._folder, self._pattern = folder, pattern
        self._paths: list[Path] = []
        self._draws = 0
        self._refresh()
        if not self._paths:
            raise DatasetError(f'{folder} has no groups of views called {pattern}')

    def draw(self, rng: np.random.Generator, views: int) -> ViewGroup | None:
        """See `GroupSource`."""
        self._draws += 1
        if self._draws % 50 == 0:
            self._refresh()
        group = ViewGroup.load(self._paths[rng.integers(len(self._paths))])
        chosen = rng.permutation(len(group.images))[:views]
        return ViewGroup(group.images[chosen], group.points[chosen], group.footprint[chosen])

    def _refresh(self) -> None:
        found = self._folder.glob(self._pattern)
        self._paths = sorted(path for path in found if not path.name.endswith('.partial.npz'))
