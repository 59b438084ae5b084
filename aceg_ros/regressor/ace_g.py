"""The regressor of the published ACE-G weights, which reads free codes.

An MLP maps a patch feature to the width of the code. Cross-attention blocks read the code. A last
MLP gives a homogeneous point and a log sigma. All parts have the arithmetic of the published
network, so that its weights give its answers.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from aceg_ros.maps.code import FREE
from aceg_ros.regressor.attention import CrossAttentionBlock
from aceg_ros.regressor.base import SceneCoordinates
from aceg_ros.weights import identity_of

PREFIX = 'published-'  # of identities
LICENSE = (
    'Weights published by the authors of ACE-G under a license that allows non-commercial use '
    'only; the license of aceg_ros does not cover them.'
)
_IN_LAYERS, _IN_RATIO = 2, 4
_OUTPUTS = 5  # x, y, z, homogeneous scale, log sigma
# The MLPs' hidden layers, whose places in `_mlp` are three apart.
_LINEAR, _NORM, _STEP = 0, 2, 3


@dataclass(frozen=True)
class AceGConfig:
    """Shape of the network. The defaults make one of about the published size."""

    dim_in: int = 1024  # patch features
    dim: int = 768  # width of the blocks and of the code
    blocks: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    out_layers: int = 2
    out_ratio: float = 1.0  # width of the output MLP, by that of the blocks
    out_norm: bool = True  # whether that MLP normalizes

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that make no network."""
        whole = (self.dim_in, self.dim, self.blocks, self.heads, self.out_layers)
        ratios = (self.mlp_ratio, self.out_ratio)
        if min(whole) < 1 or max(whole) > 2**16 or self.dim % self.heads:
            raise ValueError(f'impossible sizes: {self}')
        if not all(0 < ratio <= 64 for ratio in ratios):
            raise ValueError(f'impossible ratios: {self}')


class AceGRegressor(nn.Module):
    """y = xyz / h + mean, sigma = exp(s), from the code's vectors by cross-attention."""

    kind: ClassVar[str] = FREE
    unit_features = False
    notice: ClassVar[dict[str, str]] = {'license': LICENSE}

    def __init__(self, config: AceGConfig):
        super().__init__()
        self.config = config
        self.in_mlp = _mlp([config.dim_in, _IN_RATIO * config.dim_in, config.dim], norm=True)
        self.blocks = nn.ModuleList(
            CrossAttentionBlock(config.dim, config.heads, config.mlp_ratio)
            for _ in range(config.blocks)
        )
        hidden = [int(config.dim * config.out_ratio)] * (config.out_layers - 1)
        self.out_mlp = _mlp([config.dim, *hidden, _OUTPUTS], norm=config.out_norm)
        # Bounds of h, and the softness of the lower one.
        self.max_inv_scale: torch.Tensor
        self.min_inv_scale: torch.Tensor
        self.h_beta: torch.Tensor
        self.register_buffer('max_inv_scale', torch.tensor([0.01]))
        self.register_buffer('min_inv_scale', torch.tensor([4.0]))
        self.register_buffer('h_beta', torch.tensor([math.log(2) / (1 - 0.01)]))

    def identity(self) -> str:
        """Hash of configuration and weights."""
        return PREFIX + identity_of(asdict(self.config), self.state_dict())

    def codes(self) -> str:
        """Its own only."""
        return self.identity()

    def random_code(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """What `forward` takes beside features, made up, to try it."""
        return 0.1 * torch.randn(count, self.config.dim, generator=generator), torch.zeros(3)

    def forward(
        self, features: torch.Tensor, embeddings: torch.Tensor, mean: torch.Tensor
    ) -> SceneCoordinates:
        """Scene coordinates of patches (P, dim_in), whose features are as the encoder gives them.

        ``embeddings`` (n, dim) and ``mean`` (3,) are a free code. Blocks follow the caller's
        autocast; the output, whose steps would be centimeters in half precision, is always
        computed in full.
        """
        patches = self.in_mlp(features)
        for block in self.blocks:
            patches = block(patches, embeddings)
        with torch.autocast(features.device.type, enabled=False):
            out = self.out_mlp(patches.float())
            h = F.softplus(out[:, 3:4], beta=float(self.h_beta)) + self.max_inv_scale
            h = torch.minimum(h, self.min_inv_scale)
            return SceneCoordinates(out[:, :3] / h + mean, out[:, 4].exp())


def ours(name: str) -> str:
    """What this network calls the parameter that the published one calls ``name``."""
    parts = name.split('.')
    if parts[0] in ('in_mlp', 'out_mlp') and len(parts) == 4 and parts[1] in ('fcs', 'norms'):
        place = _STEP * int(parts[2]) + (_LINEAR if parts[1] == 'fcs' else _NORM)
        return f'{parts[0]}.{place}.{parts[3]}'
    if parts[0] == 'transformer_blocks':
        block, rest = parts[1], '.'.join(parts[2:])
        rest = (
            rest.removeprefix('attn.').replace('mlp.fcs.0', 'mlp.0').replace('mlp.fcs.1', 'mlp.2')
        )
        return f'blocks.{block}.{rest}'
    return name


def _mlp(widths: list[int], norm: bool) -> nn.Sequential:
    """Linear, GELU and norm for all but the last width, then the last linear."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        after = nn.LayerNorm(outputs) if norm else nn.Identity()
        layers += [nn.Linear(inputs, outputs), nn.GELU(), after]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
