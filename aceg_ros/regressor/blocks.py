"""Sparse cross-attention: a patch looks at the few tokens it found, and weighs them anew.

What decides is how the tokens' anchors lie to each other, to the present estimate and to what the
rest of the image has read, next to how alike the features are. The work is P x k x width, whatever
the size of the code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

GEOMETRY = 15  # numbers that describe a token as seen from a patch
_REACHES = (0.05, 0.25)  # of the scene's size, within which votes of an image support an anchor
_VOTES = 128  # of an image's readings, the surest
_CLOSE, _WIDE = 2.0, 0.1  # in token sigmas, and of the scene's size: anchors that agree
_FAINT = 0.02  # densities well below this count as none
_LOWEST = -12.0  # logits below the best by more are all alike


@dataclass(frozen=True)
class TokensRead:
    """The k tokens that each of P patches may weigh; lengths in metres."""

    projected: torch.Tensor  # (P, k, width) their keys, projected
    anchors: torch.Tensor  # (P, k, 3)
    logits: torch.Tensor  # (P, k) similarity and prior, -inf where there is no token
    log_sigma: torch.Tensor  # (P, k)
    log_prior: torch.Tensor  # (P, k)
    support: torch.Tensor  # (P, k, 2) by the image's other readings, 0 where unknown
    scene_size: torch.Tensor  # () mean distance of anchors from their mean

    def piece(self, rows: slice) -> TokensRead:
        """Some of the patches."""
        parts = (value if value.ndim == 0 else value[rows] for value in vars(self).values())
        return TokensRead(*parts)


@dataclass(frozen=True)
class Weighed:
    """A weighted mean of anchors, and how they spread about it."""

    weights: torch.Tensor  # (P, k)
    points3d: torch.Tensor  # (P, 3)
    spread: torch.Tensor  # (P,) metres squared
    variance: torch.Tensor  # (P,) metres squared, of the tokens themselves


def weigh(logits: torch.Tensor, anchors: torch.Tensor, log_sigma: torch.Tensor) -> Weighed:
    """Softmax of ``logits`` (P, k) over ``anchors`` (P, k, 3)."""
    weights = logits.softmax(dim=1)
    column = weights[:, :, None]
    points3d = (column * anchors).sum(dim=1)
    spread = (column * (anchors - points3d[:, None]).square()).sum(dim=(1, 2))
    variance = (weights * (2 * log_sigma).exp()).sum(dim=1)
    return Weighed(weights, points3d, spread, variance)


class SparseBlocks(nn.Module):
    """Corrects the logits of tokens, block by block; at first it corrects nothing.

    Before every block the estimate is recomputed, and with it how each token lies to it. The
    last layers start at zero, so an untrained one leaves every reading as it was.
    """

    def __init__(self, dim_in: int, dim: int, heads: int, blocks: int, mlp_ratio: float):
        super().__init__()
        self.patch_in = nn.Sequential(
            nn.Linear(dim_in, 2 * dim), nn.GELU(), nn.LayerNorm(2 * dim), nn.Linear(2 * dim, dim)
        )
        self.key_in = nn.Linear(dim_in, dim, bias=False)
        self.blocks = nn.ModuleList(_Block(dim, heads, mlp_ratio) for _ in range(blocks))
        self.out_norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, 4)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, features: torch.Tensor, tokens: TokensRead
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Patch features (P, dim_in) -> logits (P, k), offset (P, 3) in metres, log factor (P,)."""
        patches = self.patch_in(features)
        missing = torch.isinf(tokens.logits)
        anchors = tokens.anchors
        # how anchors lie to each other is an observation: no gradient moves them for its sake
        offsets = (anchors - anchors.mean(dim=1, keepdim=True)).detach()
        squares = torch.cdist(offsets, offsets, compute_mode='donot_use_mm_for_euclid_dist')
        squares = squares.square()
        logits = tokens.logits
        size = tokens.scene_size
        now = weigh(logits, anchors, tokens.log_sigma)
        near = _CLOSE**2 * now.variance.detach()[:, None, None] + 1e-12
        close = 1 / (1 + squares / near)
        wide = 1 / (1 + squares / (_WIDE * size).square())
        for block in self.blocks:
            scale = (now.spread + now.variance + 1e-12).sqrt()
            seen = _geometry(tokens, logits, now, scale, close, wide)
            patches, change = block(patches, tokens.projected, seen, missing)
            logits = logits + change.masked_fill(missing, 0.0)
            now = weigh(logits, anchors, tokens.log_sigma)
        scale = (now.spread + now.variance + 1e-12).sqrt()
        out = self.out(self.out_norm(patches))
        return logits, scale[:, None] * out[:, :3], out[:, 3]


class _Block(nn.Module):
    """Patches attend to their own tokens, then say how much each of them counts more or less."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float):
        super().__init__()
        self.heads = heads
        self.norm, self.mlp_norm, self.change_norm = (nn.LayerNorm(dim) for _ in range(3))
        self.patch_in = nn.Linear(dim, dim)
        self.geometry_in = nn.Linear(GEOMETRY, dim, bias=False)
        self.query = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)
        hidden = int(dim * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.change = nn.Linear(dim, dim)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(
        self,
        patches: torch.Tensor,
        projected: torch.Tensor,
        geometry: torch.Tensor,
        missing: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``patches`` (P, dim), ``geometry`` (P, k, GEOMETRY) -> patches, change of logits (P, k).

        Key, patch and geometry of a token meet in one hidden layer, which is key and value in one.
        """
        count, k, dim = projected.shape
        normed = self.norm(patches)
        met = F.relu(projected + self.patch_in(normed)[:, None] + self.geometry_in(geometry))
        query = self.query(normed).view(count, self.heads, dim // self.heads)
        by_head = met.view(count, k, self.heads, dim // self.heads)
        scores = torch.einsum('phd,pkhd->phk', query, by_head) * (dim // self.heads) ** -0.5
        scores = scores.masked_fill(missing[:, None], -torch.inf).softmax(dim=2)
        read = torch.einsum('phk,pkhd->phd', scores, by_head).reshape(count, dim)
        patches = patches + self.proj(read)
        patches = patches + self.mlp(self.mlp_norm(patches))
        wanted = self.change(self.change_norm(patches))
        return patches, torch.bmm(met, wanted[:, :, None])[:, :, 0] * dim**-0.5


def _geometry(
    tokens: TokensRead,
    logits: torch.Tensor,
    now: Weighed,
    scale: torch.Tensor,
    close: torch.Tensor,
    wide: torch.Tensor,
) -> torch.Tensor:
    """(P, k, GEOMETRY) numbers of order one; no length by itself, so any unit will do."""
    offset = (tokens.anchors - now.points3d[:, None]) / scale[:, None, None]
    length = offset.square().sum(dim=2).add(1e-12).sqrt()
    relative = scale / tokens.scene_size
    first = tokens.logits
    columns = [
        (first - first.amax(dim=1, keepdim=True)).clamp_min(_LOWEST) / 4,
        (logits - logits.amax(dim=1, keepdim=True)).clamp_min(_LOWEST) / 4,
        now.weights,
        tokens.log_prior,
        tokens.log_sigma - scale.log()[:, None],
        length.log1p(),
        (length * relative[:, None]).clamp_max(4.0),
        relative.log()[:, None].expand_as(length).clamp(-8.0, 4.0) / 2,
        *((kernel @ now.weights[:, :, None])[:, :, 0].add(1e-3).log() for kernel in (close, wide)),
    ]
    # of a short offset the whole, of a long one the direction
    bounded = offset / (1 + length)[:, :, None]
    return torch.cat([torch.stack(columns, dim=2), bounded, tokens.support], dim=2)


@torch.no_grad()
def image_support(
    anchors: torch.Tensor, points3d: torch.Tensor, sigma: torch.Tensor, scene_size: torch.Tensor
) -> torch.Tensor:
    """(n, 2) log density, at anchors (n, 3), of what an image's patches read; 0 is far from all.

    ``points3d`` (P, 3) and ``sigma`` (P,) are the patches' first readings; the surest of them vote.
    """
    votes = points3d[sigma.topk(min(_VOTES, len(sigma)), largest=False).indices]
    squares = torch.cdist(anchors, votes).square()
    density = [
        (1 / (1 + squares / (reach * scene_size).square())).mean(dim=1) for reach in _REACHES
    ]
    return (torch.stack(density, dim=1) / _FAINT).log1p() / 4
