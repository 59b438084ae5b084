"""Textures: tiling, look-up, mip levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aceg_ros.lab.worlds.textures import surfaces
from aceg_ros.lab.worlds.textures.atlas import build_atlas
from aceg_ros.lab.worlds.textures.noise import fractal
from aceg_ros.lab.worlds.textures.palette import make_palette


def _seam(image: np.ndarray) -> tuple[float, float]:
    """Mean step over the seam between opposite edges and between neighbors inside."""
    inside = np.abs(np.diff(image, axis=1)).mean()
    return float(np.abs(image[:, 0] - image[:, -1]).mean()), float(inside)


def test_noise_tiles() -> None:
    seam, inside = _seam(fractal(np.random.default_rng(0), 128, 4, 4))
    assert seam < 1.5 * inside


@pytest.mark.parametrize('make', [surfaces.plaster, surfaces.metal, surfaces.carpet])
def test_materials_tile(make) -> None:  # type: ignore[no-untyped-def]
    seam, inside = _seam(make(np.random.default_rng(1), 128))
    assert seam < 3 * inside


def test_every_role_has_textures_of_the_size_asked_for() -> None:
    palette = make_palette(np.random.default_rng(2), 64)
    assert palette.atlas.size == 64
    used = [layer for layers in palette.layers.values() for layer in layers]
    assert used == list(range(len(used)))


class TestAtlas:
    @pytest.fixture
    def images(self) -> list[np.ndarray]:
        rng = np.random.default_rng(5)
        return [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(3)]

    def test_texel_centers_are_exact(self, images: list[np.ndarray]) -> None:
        uv = torch.tensor([[10.5 / 64, 1 + 63.5 / 64], [20.5 / 64, -1 + 0.5 / 64]])
        layer = torch.tensor([1, 2], dtype=torch.int32)
        found = build_atlas(images).sample(layer, uv, torch.zeros(2))
        expected = np.stack([images[1][20, 10], images[2][0, 63]], 1) / 255
        np.testing.assert_allclose(found.numpy(), expected**2, atol=1e-5)

    def test_far_view_is_the_mean_light(self, images: list[np.ndarray]) -> None:
        uv = torch.rand((2, 200), generator=torch.Generator().manual_seed(0))
        layer = torch.zeros(200, dtype=torch.int32)
        found = build_atlas(images).sample(layer, uv, torch.full((200,), 9.0))
        expected = ((images[0] / 255.0) ** 2).mean((0, 1))
        np.testing.assert_allclose(found.mean(1).numpy(), expected, atol=0.02)
