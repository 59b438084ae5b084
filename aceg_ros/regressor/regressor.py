"""The scene-agnostic regressor: patch features and a map code to scene coordinates and sigma."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

from aceg_ros.precision import half_precision
from aceg_ros.regressor.attention import CrossAttentionBlock, top_tokens

_CACHED_PATCHES, _MANY_PATCHES = 256, 16384


@dataclass(frozen=True)
class RegressorConfig:
    """Shape of a regressor. Without blocks it is the anchored reader alone and has no weights."""

    dim_in: int = 64  # patch features and code embeddings
    blocks: int = 0  # cross-attention blocks behind the anchored reading
    dim: int = 256  # width inside the blocks
    heads: int = 8
    mlp_ratio: float = 2.0
    tokens_read: int = 8  # anchors that one patch averages
    temperature: float = 48.0  # logit per unit of cosine similarity
    spread_weight: float = 0.3  # how much of the read anchors' spread counts as sigma


@dataclass(frozen=True)
class CodeTensors:
    """A map code as the regressor reads it, all on one device; lengths in metres.

    An *anchored* code has one 3D anchor and one key per token, born from mapping patches. A *free*
    code (the paper's) has random embeddings and every anchor at the scene's mean: then the coarse
    reading is that mean, and all the geometry has to come out of the blocks.
    """

    embeddings: torch.Tensor  # (n, dim_in)
    anchors: torch.Tensor  # (n, 3)
    log_sigma: torch.Tensor  # (n,) log metres
    log_prior: torch.Tensor  # (n,) logit added to the token's similarity


@dataclass(frozen=True)
class SceneCoordinates:
    """What the regressor says of P patches."""

    points3d: torch.Tensor  # (P, 3) metres, map frame
    sigma: torch.Tensor  # (P,) metres, of the Laplace error in 3D


class Regressor(nn.Module):
    """y = sum_j w_j anchor_j + decode(blocks(patch, code)); the second term only with blocks.

    The anchored reading is attention whose values are the tokens' own anchors, so a code that
    starts as a memory of the scene answers before anything is trained. The blocks are ACE-G's
    cross-attention transformer and correct that reading.
    """

    free_codes = False
    unit_features = True

    def __init__(self, config: RegressorConfig | None = None):
        super().__init__()
        self.config = config or RegressorConfig()
        config = self.config
        self.blocks = nn.ModuleList()
        if config.blocks:
            self.patch_in = _mlp(config.dim_in, 4 * config.dim_in, config.dim)
            self.code_in = nn.Linear(config.dim_in, config.dim)
            for _ in range(config.blocks):
                self.blocks.append(CrossAttentionBlock(config.dim, config.heads, config.mlp_ratio))
            self.decode = _mlp(config.dim, config.dim, 5)

    def identity(self) -> str:
        """Hash of configuration and weights: a code is read by the regressor it was fitted with."""
        digest = hashlib.sha256(json.dumps(asdict(self.config), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
        return digest.hexdigest()[:16]

    @torch.no_grad()
    def similar_tokens(
        self,
        features: torch.Tensor,
        code: CodeTensors,
        count: int,
        hidden: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The tokens (P, count) that patches (P, dim_in) attend to most, the first the most.

        Found in half precision where that is fast: what is read is weighed again in full.
        ``hidden`` (n,) bool keeps some tokens out.
        """
        keys = F.normalize(code.embeddings, dim=1)
        prior = code.log_prior
        if hidden is not None:
            prior = prior.masked_fill(hidden, -torch.inf)
        # in pieces whose logits stay in a CPU's cache
        pieces = features.split(_CACHED_PATCHES if features.device.type == 'cpu' else _MANY_PATCHES)
        found = []
        for piece in pieces:
            with half_precision(features.device):
                logits = torch.addmm(prior, piece, keys.T, alpha=self.config.temperature)
            found.append(top_tokens(logits, count)[1])
        return torch.cat(found)

    def forward(
        self,
        features: torch.Tensor,
        code: CodeTensors,
        tokens: torch.Tensor | None = None,
    ) -> SceneCoordinates:
        """Read the code for unit patch features (P, dim_in).

        ``tokens`` (P, k) names the tokens each patch may attend to, -1 for none, but one at least;
        without it the most similar are found first. Gradients flow to the code through the tokens
        read.
        """
        if tokens is None:
            tokens = self.similar_tokens(features, code, self.config.tokens_read)
        # one table and one gather: on a CPU the gather's backward is most of a fit's time
        keys = F.normalize(code.embeddings, dim=1)
        columns = [keys, code.anchors, code.log_sigma[:, None], code.log_prior[:, None]]
        table = torch.cat(columns, dim=1)
        rows = table.index_select(0, tokens.clamp_min(0).flatten())
        rows = rows.view(*tokens.shape, table.shape[1])
        keys, anchors, log_sigma, log_prior = rows.split([keys.shape[1], 3, 1, 1], dim=2)
        similarity = (features[:, None] * keys).sum(dim=2) * self.config.temperature
        logits = (similarity + log_prior[:, :, 0]).masked_fill(tokens < 0, -torch.inf)
        weights = logits.softmax(dim=1)[:, :, None]
        points3d = (weights * anchors).sum(dim=1)
        spread = (weights * (anchors - points3d[:, None]).square()).sum(dim=(1, 2))
        variance = (weights * (2 * log_sigma).exp()).sum(dim=(1, 2))
        variance = variance + self.config.spread_weight**2 * spread
        if self.blocks:
            offset, log_factor = self._correct(features, code)
            points3d = points3d + offset
            variance = variance * (2 * log_factor).exp()
        return SceneCoordinates(points3d, variance.clamp_min(1e-12).sqrt())

    def _correct(
        self, features: torch.Tensor, code: CodeTensors
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Offset (P, 3) in metres as homogeneous output xyz/h, and log factor (P,) on sigma."""
        patches, tokens = self.patch_in(features), self.code_in(code.embeddings)
        for block in self.blocks:
            patches = block(patches, tokens)
        out = self.decode(patches)
        h = F.softplus(out[:, 3:4], beta=math.log(2)).clamp(0.01, 100.0)  # 1 where the channel is 0
        return out[:, :3] / h, out[:, 4]


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.GELU(), nn.LayerNorm(hidden), nn.Linear(hidden, outputs)
    )
