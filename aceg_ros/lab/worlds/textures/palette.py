"""The set of textures of one world, by the role they play in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aceg_ros.lab.worlds.textures import pictures, surfaces
from aceg_ros.lab.worlds.textures.atlas import Atlas, build_atlas
from aceg_ros.lab.worlds.textures.noise import Rng, to_bytes

# Role -> (makers to draw from, how many textures of the role a world has).
_ROLES: dict[str, tuple[tuple[Callable[[Rng, int], np.ndarray], ...], int]] = {
    'plain': ((surfaces.paint,), 2),
    'wall': ((surfaces.wallpaper, surfaces.bricks, surfaces.plaster, surfaces.wallpaper), 3),
    'ceiling': ((surfaces.paint, surfaces.plaster, surfaces.tiles), 1),
    'floor': (
        (surfaces.planks, surfaces.parquet, surfaces.tiles, surfaces.terrazzo, surfaces.carpet),
        2,
    ),
    'wood': ((surfaces.wood,), 3),
    'metal': ((surfaces.metal,), 2),
    'cloth': ((surfaces.cloth,), 3),
    'rug': ((surfaces.rug,), 2),
    'tiles': ((surfaces.tiles,), 1),
    'foliage': ((surfaces.foliage,), 1),
    'poster': ((pictures.poster,), 3),
    'painting': ((pictures.painting,), 3),
    'board': ((pictures.pinboard, pictures.whiteboard, pictures.collage), 2),
    'page': ((pictures.page,), 2),
    'spines': ((pictures.spines,), 3),
    'screen': ((pictures.screen,), 2),
    'keyboard': ((pictures.keyboard,), 1),
    'cardboard': ((pictures.cardboard,), 1),
    'pack': ((pictures.packaging,), 2),
    'clock': ((pictures.clock,), 1),
    'outside': ((pictures.landscape,), 2),
}


@dataclass(frozen=True)
class Palette:
    """A world's textures. layers: role -> layers of the atlas that can play it."""

    atlas: Atlas
    layers: dict[str, tuple[int, ...]]

    def pick(self, rng: Rng, role: str) -> int:
        """A layer for the role."""
        return int(rng.choice(self.layers[role]))


def make_palette(rng: Rng, size: int) -> Palette:
    """Textures of size x size texels for every role."""
    images: list[np.ndarray] = []
    layers = {}
    for role, (makers, count) in _ROLES.items():
        first = len(images)
        for maker in rng.permutation(np.arange(max(count, len(makers))) % len(makers))[:count]:
            images.append(to_bytes(makers[maker](rng, size)))
        layers[role] = tuple(range(first, len(images)))
    return Palette(build_atlas(images), layers)
