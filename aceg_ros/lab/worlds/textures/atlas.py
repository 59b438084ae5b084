"""Square textures of one size with mip levels, packed for quick trilinear look-up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Atlas:
    """L textures of size x size texels, each with its mip levels.

    texels: flat int32, R + 256 G + 65536 B, level after level, layer after layer. offsets:
    (levels,) int32, where each level starts.
    """

    texels: Tensor
    offsets: Tensor
    size: int

    @property
    def levels(self) -> int:
        """Number of mip levels."""
        return len(self.offsets)

    def sample(self, layer: Tensor, uv: Tensor, lod: Tensor) -> Tensor:
        """Trilinear look-up that wraps around.

        layer: (P,) texture index. uv: (2, P), one texture per unit. lod: (P,) log2 of texels under
        the footprint. Returns (3, P) linear-light color in [0, 1].
        """
        lod = lod.clamp(0, self.levels - 1.001)
        level = lod.to(torch.int32)
        coarse = self._bilinear(layer, uv, level + 1)
        return torch.lerp(self._bilinear(layer, uv, level), coarse, lod - level)

    def _bilinear(self, layer: Tensor, uv: Tensor, level: Tensor) -> Tensor:
        size = torch.bitwise_right_shift(torch.full_like(level, self.size), level)
        position = uv * size - 0.5
        corner = position.floor()
        fx, fy = (position - corner).unbind(0)
        wrap = size - 1
        x, y = corner.to(torch.int32).unbind(0)
        x0, x1 = x & wrap, (x + 1) & wrap
        base = self.offsets.index_select(0, level) + layer * size * size
        y0, y1 = base + (y & wrap) * size, base + ((y + 1) & wrap) * size
        upper = torch.lerp(self._texel(y0 + x0), self._texel(y0 + x1), fx)
        lower = torch.lerp(self._texel(y1 + x0), self._texel(y1 + x1), fx)
        # Texels are stored with gamma 2; squaring gives linear light.
        return torch.lerp(upper, lower, fy).mul_(1 / 255).square_()

    def _texel(self, where: Tensor) -> Tensor:
        packed = self.texels.index_select(0, where)
        return torch.stack([packed & 255, (packed >> 8) & 255, packed >> 16]).to(torch.float32)


def build_atlas(images: list[np.ndarray]) -> Atlas:
    """Atlas of (S, S, 3) uint8 RGB images, S a power of two shared by all."""
    size = images[0].shape[0]
    level = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(torch.float32)
    packed, offsets, total = [], [], 0
    while level.shape[-1] >= 4:
        red, green, blue = level.round().to(torch.int32).unbind(1)
        packed.append((red + (green << 8) + (blue << 16)).flatten())
        offsets.append(total)
        total += len(packed[-1])
        # Halved in linear light, so that fine contrast keeps its brightness from afar.
        level = torch.nn.functional.avg_pool2d(level.square(), 2).sqrt()
    return Atlas(torch.cat(packed), torch.tensor(offsets, dtype=torch.int32), size)
