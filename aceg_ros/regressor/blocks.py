"""Sparse cross-attention: a patch weighs the few tokens it found anew, by what its image reads.

By itself a patch cannot tell which of its matches to believe. Neighboring patches of an image
mostly see neighboring places. In each round every patch reads its tokens and a sigma. The readings
of the patches around it are evidence for the next round. Only how places lie to each other and how
alike features are is looked at, never the features themselves nor any length by itself. The work is
patches x tokens x neighbors, whatever the size of the code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree
from torch import nn

NEIGHBORS = 16  # patches of the same image, the nearest
_APART = 5.0  # between images; rays of one are at most 2 apart
_MODE, _WIDE = 0.05, 0.2  # of the scene's size: anchors that are one reading, and that agree
# Places seen under an angle t are up to about _REACH + t apart, as a part of the scene's size;
# the factors are on the square of distance over reach.
_REACH, _NEAR = 0.04, (4.0, 0.4)
_FAINT = 0.003  # densities below this count as none
_STRONG = 48.0  # logit of a patch that is just like its token, by the usual temperature
_LOWEST = -12.0  # logits below the best by more are all alike
TOKEN, PATCH = 8, 5  # numbers that describe a token as seen from a patch, and a patch


@dataclass(frozen=True)
class Surroundings:
    """Which patches of the same image lie around each of P patches."""

    beside: torch.Tensor  # (P, M) long, the nearest ones
    angle: torch.Tensor  # (P, M) rad, to them, as a chord; infinite where there is no patch

    @classmethod
    def of(cls, rays: torch.Tensor, images: torch.Tensor | None = None) -> Surroundings:
        """From unit viewing rays (P, 3), those of an image in axes of its own.

        ``images`` (P,) long numbers the images, 0 and up; without it there is one.
        """
        places = rays.detach().cpu().numpy().astype(np.float64)
        if images is not None:
            places = np.concatenate([places, _APART * images.cpu().numpy()[:, None]], axis=1)
        chord, beside = cKDTree(places).query(
            places, k=range(2, NEIGHBORS + 2), distance_upper_bound=_APART / 2
        )
        beside[beside == len(places)] = 0
        return cls(torch.from_numpy(beside).to(rays.device), torch.from_numpy(chord).to(rays))


@dataclass(frozen=True)
class Candidates:
    """The k tokens that each of P patches may weigh."""

    anchors: torch.Tensor  # (P, k, 3) meters
    logits: torch.Tensor  # (P, k) similarity and prior, -inf where there is no token
    log_sigma: torch.Tensor  # (P, k) log meters
    log_prior: torch.Tensor  # (P, k)
    similarity: torch.Tensor  # (P,) cosine to the token most alike


@dataclass(frozen=True)
class Weighed:
    """A weighted mean of anchors, and how they spread about it; lengths in those of the anchors."""

    weights: torch.Tensor  # (P, k)
    points3d: torch.Tensor  # (P, 3)
    spread: torch.Tensor  # (P,) squared
    variance: torch.Tensor  # (P,) squared, of the tokens themselves

    def sigma(self, spread_weight: float) -> torch.Tensor:
        """(P,) deviation of the tokens, with such a part of their spread."""
        return (self.variance + spread_weight**2 * self.spread).clamp_min(1e-12).sqrt()


def weigh(logits: torch.Tensor, anchors: torch.Tensor, log_sigma: torch.Tensor) -> Weighed:
    """Softmax of ``logits`` (P, k) over ``anchors`` (P, k, 3)."""
    weights = logits.softmax(dim=1)
    column = weights[:, :, None]
    points3d = (column * anchors).sum(dim=1)
    spread = (column * (anchors - points3d[:, None]).square()).sum(dim=(1, 2))
    variance = (weights * (2 * log_sigma).exp()).sum(dim=1)
    return Weighed(weights, points3d, spread, variance)


@dataclass(frozen=True)
class Round:
    """What a block makes of the candidates; lengths in meters."""

    logits: torch.Tensor  # (P, k)
    points3d: torch.Tensor  # (P, 3)
    sigma: torch.Tensor  # (P,)
    state: torch.Tensor  # (P, width) what the next block is told; of width 0 before the first


@dataclass(frozen=True)
class _Scene:
    """How the candidates of P patches lie to each other, in units of the scene's size."""

    places: torch.Tensor  # (P, k, 3)
    squares: torch.Tensor  # (P, k, k) of distances between them
    close: torch.Tensor  # (P, k, k) 1 where two are one reading, towards 0 where they are not
    wide: torch.Tensor  # (P, k, k) the same for rough agreement
    center: torch.Tensor  # (3,) meters, where places are measured from
    size: torch.Tensor  # () meters

    @classmethod
    @torch.no_grad()
    def of(cls, anchors: torch.Tensor, size: torch.Tensor) -> _Scene:
        """Of anchors (P, k, 3) meters; no gradient moves them for the sake of how they lie."""
        center = anchors.mean(dim=(0, 1))
        places = (anchors - center) / size
        offsets = places - places.mean(dim=1, keepdim=True)
        squares = _planar_patches(offsets, offsets)
        close, wide = (_kernel(squares, 1 / reach**2) for reach in (_MODE, _WIDE))
        return cls(places, squares, close, wide, center, size)


@dataclass(frozen=True)
class _Votes:
    """What the M patches beside each of P patches have read, in units of the scene's size."""

    places: torch.Tensor  # (P, M, 3)
    reach: torch.Tensor  # (P, M) how far from there the patch may look
    weight: torch.Tensor  # (P, M) how sure they are, 0 where there is none

    @classmethod
    @torch.no_grad()
    def of(cls, now: Round, scene: _Scene, around: Surroundings | None) -> _Votes:
        """Those of the readings ``now``; M is 0 where nothing is known of the image."""
        places = (now.points3d - scene.center) / scene.size
        if around is None:
            none = places[:, :0]
            return cls(none[:, :, None].expand(-1, -1, 3), none, none)
        known = torch.isfinite(around.angle)
        reach = _REACH + around.angle.where(known, 0.0)
        sigma = (now.sigma / scene.size)[around.beside]
        weight = _kernel((sigma / reach).square_(), 1.0) * known
        return cls(places[around.beside], reach, weight)


class SparseBlocks(nn.Module):
    """Weighs candidates anew, block by block; untrained it only chooses among their modes."""

    def __init__(self, dim: int, blocks: int, spread_weight: float):
        super().__init__()
        self.spread_weight = spread_weight
        self.blocks = nn.ModuleList(_Block(dim, first=not index) for index in range(blocks))

    def forward(
        self, given: Candidates, size: torch.Tensor, around: Surroundings | None
    ) -> list[Round]:
        """The reading after each block; ``size`` () is the scene's, meters."""
        scene = _Scene.of(given.anchors, size)
        now = self._read(given, scene, given.logits, given.logits[:, :0])
        rounds: list[Round] = []
        for block in self.blocks:
            with torch.no_grad():
                tokens, patches = _describe(given, scene, _Votes.of(now, scene, around), now)
            patches = torch.cat([patches, now.state], dim=1)
            state, change, log_factor = block(tokens, patches, now.logits.detach())
            logits = now.logits + change.masked_fill(torch.isinf(given.logits), 0.0)
            now = self._read(given, scene, logits, state, log_factor)
            rounds.append(now)
        return rounds

    def _read(
        self,
        given: Candidates,
        scene: _Scene,
        logits: torch.Tensor,
        state: torch.Tensor,
        log_factor: torch.Tensor | None = None,
    ) -> Round:
        """Of several places that candidates name the one with most weight."""
        with torch.no_grad():
            best = _density(scene.close, logits.softmax(dim=1)).argmax(dim=1)
            column = best[:, None, None].expand(-1, scene.squares.shape[1], 1)
            others = scene.squares.gather(2, column)[:, :, 0] > (2 * _MODE) ** 2
        read = weigh(logits.masked_fill(others, -torch.inf), given.anchors, given.log_sigma)
        sigma = read.sigma(self.spread_weight)
        if log_factor is not None:
            sigma = sigma * log_factor.exp()
        return Round(logits, read.points3d, sigma, state)


class _Block(nn.Module):
    """Attends from a patch to its candidates, and says how much each counts more or less."""

    def __init__(self, dim: int, first: bool):
        super().__init__()
        self.token_in = nn.Linear(TOKEN, dim)
        self.patch_in = nn.Linear(PATCH if first else PATCH + dim, dim, bias=False)
        self.change = nn.Linear(dim, 1, bias=False)
        self.mlp = nn.Sequential(nn.Linear(3 * dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.norm = nn.LayerNorm(dim)
        self.factor = nn.Linear(dim, 1)
        for parameter in (self.change.weight, self.factor.weight, self.factor.bias):
            nn.init.zeros_(parameter)

    def forward(
        self, tokens: torch.Tensor, patches: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens (P, k, TOKEN), patches (P, PATCH + width), logits (P, k), as they are seen now.

        Returns the state (P, dim), the change of the logits (P, k) and of log sigma (P,).
        """
        patch = self.patch_in(patches)
        met = F.relu(self.token_in(tokens) + patch[:, None])
        change = self.change(met)[:, :, 0]
        weights = (logits + change).softmax(dim=1)
        read = torch.bmm(weights[:, None], met)[:, 0]
        state = self.norm(self.mlp(torch.cat([read, met.amax(dim=1), F.relu(patch)], dim=1)))
        return state, change, self.factor(state)[:, 0]


def _describe(
    given: Candidates, scene: _Scene, votes: _Votes, now: Round
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (P, k, TOKEN) and patches (P, PATCH) as numbers of order one."""
    weights = now.logits.softmax(dim=1)
    count = votes.weight.shape[1]
    near = [torch.zeros_like(weights)] * len(_NEAR)
    heard = torch.zeros_like(weights[:, 0])
    if count:
        squares = _planar_patches(scene.places, votes.places).div_(votes.reach.square()[:, None])
        share = votes.weight / count
        near = [_logarithm(_density(_kernel(squares, factor), share)) for factor in _NEAR]
        heard = votes.weight.mean(dim=1)
    first, best = given.logits, given.logits.amax(dim=1, keepdim=True)
    columns = [
        (first - best).clamp_min(_LOWEST) / 4,
        (now.logits - now.logits.amax(dim=1, keepdim=True)).clamp_min(_LOWEST) / 4,
        given.log_prior,
        (given.log_sigma - scene.size.log() + 4) / 2,
        *(_logarithm(_density(kernel, weights)) for kernel in (scene.close, scene.wide)),
        *near,
    ]
    patches = [
        ((now.sigma / scene.size).clamp_min(1e-4).log() + 4) / 2,
        weights.amax(dim=1),
        best[:, 0] / _STRONG,
        heard,
        near[-1].amax(dim=1),
    ]
    return torch.stack(columns, dim=2), torch.stack(patches, dim=1)


def _planar_patches(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Squared distances (P, n, m) of points (P, n, 3) and (P, m, 3)."""
    squares = torch.baddbmm(
        first.square().sum(dim=2)[:, :, None], first, second.transpose(1, 2), alpha=-2
    )
    squares += second.square().sum(dim=2)[:, None]
    return squares.clamp_min_(0)


def _kernel(squares: torch.Tensor, factor: float) -> torch.Tensor:
    """1 / (1 + factor * squares)."""
    return (squares * factor).add_(1).reciprocal_()


def _density(kernel: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(P, n) sums over m of ``kernel`` (P, n, m) times ``weights`` (P, m)."""
    return torch.bmm(kernel, weights[:, :, None])[:, :, 0]


def _logarithm(density: torch.Tensor) -> torch.Tensor:
    return ((density + _FAINT).log() + 3) / 2
