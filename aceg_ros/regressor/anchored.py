"""The scene-agnostic regressor: patch features and a map code to scene coordinates and sigma."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from aceg_ros.precision import half_precision
from aceg_ros.regressor.attention import top_tokens
from aceg_ros.regressor.blocks import Candidates, Round, SparseBlocks, Surroundings, weigh

_CACHED_PATCHES, _MANY_PATCHES = 256, 16384
# Codes are named by the hash of what an anchored reader's configuration was in the first version.
_NAMED_WITH = {'blocks': 0, 'dim': 256, 'heads': 8, 'mlp_ratio': 2.0, 'tokens_read': 8}


@dataclass(frozen=True)
class RegressorConfig:
    """Shape of a regressor. Without blocks it is the anchored reader alone and has no weights."""

    dim_in: int = 64  # patch features and code embeddings
    blocks: int = 0  # cross-attention blocks that correct the anchored reading
    dim: int = 32  # width inside the blocks
    tokens_read: int = 8  # tokens that one patch averages, or that the blocks choose among
    temperature: float = 48.0  # logit per unit of cosine similarity
    spread_weight: float = 0.3  # how much of the read anchors' spread counts as sigma


@dataclass(frozen=True)
class CodeTensors:
    """A map code as the regressor reads it, all on one device; lengths in meters.

    An *anchored* code has one 3D anchor and one key per token, born from mapping patches. A *free*
    code (the paper's) has random embeddings and every anchor at the scene's mean: all the geometry
    has to come out of a regressor made for it, see `PublishedRegressor`.
    """

    embeddings: torch.Tensor  # (n, dim_in)
    anchors: torch.Tensor  # (n, 3)
    log_sigma: torch.Tensor  # (n,) log meters
    log_prior: torch.Tensor  # (n,) logit added to the token's similarity


@dataclass(frozen=True)
class SceneCoordinates:
    """What the regressor says of P patches."""

    points3d: torch.Tensor  # (P, 3) meters, map frame
    sigma: torch.Tensor  # (P,) meters, of the Laplace error in 3D
    similarity: torch.Tensor | None = None  # (P,) cosine to the token most alike; of anchored codes


class Regressor(nn.Module):
    """y = sum_j w_j anchor_j, with weights by similarity; pre-trained blocks correct the weights.

    The anchored reading is attention whose values are the tokens' own anchors, so a code that
    starts as a memory of the scene answers before anything is trained. The blocks add to the
    logits, take the place that most of the weight is at, and scale sigma.
    """

    free_codes = False
    unit_features = True

    def __init__(self, config: RegressorConfig | None = None):
        super().__init__()
        self.config = config or RegressorConfig()
        config = self.config
        self.looks_around = config.blocks > 0
        self.corrector: SparseBlocks | None = None
        if config.blocks:
            self.corrector = SparseBlocks(config.dim, config.blocks, config.spread_weight)

    def identity(self) -> str:
        """Hash of configuration and weights."""
        digest = hashlib.sha256(_hashed(asdict(self.config)).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
        return 'anchored-' + digest.hexdigest()[:16]

    def codes(self) -> str:
        """What codes it reads: blocks change the reading, not what a code is fitted for."""
        shape = asdict(self.config)
        named = {name: shape[name] for name in ('dim_in', 'temperature', 'spread_weight')}
        return _hashed({**_NAMED_WITH, **named})[:16]

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
        around: Surroundings | None = None,
        corrected: bool = True,
    ) -> SceneCoordinates:
        """Read the code for unit patch features (P, dim_in).

        ``tokens`` (P, k) names the tokens each patch may attend to, -1 for none, but one at least;
        without it the most similar are found first. Gradients flow to the code through the tokens
        read. ``around`` says which patches lie beside each other in their images: then the blocks
        know what else an image has read. Without ``corrected`` no block is asked.
        """
        given = self.candidates(features, code, tokens)
        if self.corrector is not None and corrected:
            last = self.rounds(given, code, around)[-1]
            return SceneCoordinates(last.points3d, last.sigma, given.similarity)
        read = weigh(given.logits, given.anchors, given.log_sigma)
        sigma = read.sigma(self.config.spread_weight)
        return SceneCoordinates(read.points3d, sigma, given.similarity)

    def candidates(
        self, features: torch.Tensor, code: CodeTensors, tokens: torch.Tensor | None = None
    ) -> Candidates:
        """What the blocks weigh; arguments as for `forward`."""
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
        similarity = similarity.masked_fill(tokens < 0, -torch.inf)
        similarity = similarity.detach().amax(dim=1) / self.config.temperature
        logits = similarity + log_prior[:, :, 0]
        return Candidates(anchors, logits, log_sigma[:, :, 0], log_prior[:, :, 0], similarity)

    def rounds(
        self, given: Candidates, code: CodeTensors, around: Surroundings | None
    ) -> list[Round]:
        """The readings after each block, of which there may be none."""
        if self.corrector is None:
            return []
        return self.corrector(given, _scene_size(code), around)


def _hashed(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@torch.no_grad()
def _scene_size(code: CodeTensors) -> torch.Tensor:
    """Mean distance () of the anchors from their mean, and not less than the tokens' sigma."""
    distance = (code.anchors - code.anchors.mean(dim=0)).norm(dim=1).mean()
    return (distance + code.log_sigma.exp().mean()).clamp_min(1e-6)
