"""The scene-agnostic regressor: patch features and a map code to scene coordinates and sigma."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

from aceg_ros.precision import half_precision
from aceg_ros.regressor.attention import top_tokens
from aceg_ros.regressor.blocks import SparseBlocks, TokensRead, Weighed, image_support, weigh

_CACHED_PATCHES, _MANY_PATCHES = 256, 16384


@dataclass(frozen=True)
class RegressorConfig:
    """Shape of a regressor. Without blocks it is the anchored reader alone and has no weights."""

    dim_in: int = 64  # patch features and code embeddings
    blocks: int = 0  # cross-attention blocks that correct the anchored reading
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
    reading is that mean, and all the geometry has to come out of the blocks' offsets.
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
    """y = sum_j w_j anchor_j, with weights by similarity; pre-trained blocks correct the weights.

    The anchored reading is attention whose values are the tokens' own anchors, so a code that
    starts as a memory of the scene answers before anything is trained. The blocks add to the
    logits, move the result a little, and scale sigma; untrained they change nothing.
    """

    free_codes = False
    unit_features = True

    def __init__(self, config: RegressorConfig | None = None):
        super().__init__()
        self.config = config or RegressorConfig()
        config = self.config
        self.corrector: SparseBlocks | None = None
        if config.blocks:
            self.corrector = SparseBlocks(
                config.dim_in, config.dim, config.heads, config.blocks, config.mlp_ratio
            )

    def identity(self) -> str:
        """Hash of configuration and weights: a code is read by the regressor it was fitted with."""
        digest = hashlib.sha256(json.dumps(asdict(self.config), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
        return ('pretrained-' if self.corrector else '') + digest.hexdigest()[:16]

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
        images: torch.Tensor | None = None,
        corrected: bool = True,
    ) -> SceneCoordinates:
        """Read the code for unit patch features (P, dim_in).

        ``tokens`` (P, k) names the tokens each patch may attend to, -1 for none, but one at least;
        without it the most similar are found first. Gradients flow to the code through the tokens
        read. ``images`` (P,) long numbers the images that patches come from, 0 and up: then the
        blocks know what else an image has read. Without ``corrected`` no block is asked.
        """
        if tokens is None:
            tokens = self.similar_tokens(features, code, self.config.tokens_read)
        # one table and one gather: on a CPU the gather's backward is most of a fit's time
        keys = F.normalize(code.embeddings, dim=1)
        columns = [keys, code.anchors, code.log_sigma[:, None], code.log_prior[:, None]]
        corrector = self.corrector if corrected else None
        if corrector is not None:
            columns.append(corrector.key_in(keys))
        table = torch.cat(columns, dim=1)
        rows = table.index_select(0, tokens.clamp_min(0).flatten())
        rows = rows.view(*tokens.shape, table.shape[1])
        widths = [keys.shape[1], 3, 1, 1, table.shape[1] - keys.shape[1] - 5]
        keys, anchors, log_sigma, log_prior, projected = rows.split(widths, dim=2)
        similarity = (features[:, None] * keys).sum(dim=2) * self.config.temperature
        logits = (similarity + log_prior[:, :, 0]).masked_fill(tokens < 0, -torch.inf)
        log_sigma = log_sigma[:, :, 0]
        read = weigh(logits, anchors, log_sigma)
        offset = log_factor = None
        if corrector is not None:
            size = _scene_size(code)
            support = anchors.new_zeros(*tokens.shape, 2)
            if images is not None:
                sigma = self._sigma(read).detach()
                support = _support(
                    code.anchors, read.points3d.detach(), sigma, size, tokens, images
                )
            given = TokensRead(
                projected, anchors, logits, log_sigma, log_prior[:, :, 0], support, size
            )
            logits, offset, log_factor = _in_pieces(corrector, features, given)
            read = weigh(logits, anchors, log_sigma)
        sigma, points3d = self._sigma(read), read.points3d
        if offset is not None and log_factor is not None:
            points3d, sigma = points3d + offset, sigma * log_factor.exp()
        return SceneCoordinates(points3d, sigma)

    def _sigma(self, read: Weighed) -> torch.Tensor:
        variance = read.variance + self.config.spread_weight**2 * read.spread
        return variance.clamp_min(1e-12).sqrt()


@torch.no_grad()
def _scene_size(code: CodeTensors) -> torch.Tensor:
    """Mean distance () of the anchors from their mean, and not less than the tokens' sigma."""
    distance = (code.anchors - code.anchors.mean(dim=0)).norm(dim=1).mean()
    return (distance + code.log_sigma.exp().mean()).clamp_min(1e-6)


def _support(
    anchors: torch.Tensor,
    points3d: torch.Tensor,
    sigma: torch.Tensor,
    size: torch.Tensor,
    tokens: torch.Tensor,
    images: torch.Tensor,
) -> torch.Tensor:
    """(P, k, 2) how much each patch's own image supports its tokens."""
    support = anchors.new_zeros(*tokens.shape, 2)
    for image in images.unique().tolist():
        own = images == image
        table = image_support(anchors, points3d[own], sigma[own], size)
        support[own] = table[tokens[own].clamp_min(0)]
    return support


def _in_pieces(
    corrector: SparseBlocks, features: torch.Tensor, given: TokensRead
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Correct all patches; without gradients on a CPU in pieces that stay in its cache."""
    if torch.is_grad_enabled() or features.device.type != 'cpu' or not len(features):
        return corrector(features, given)
    steps = range(0, len(features), _CACHED_PATCHES)
    pieces = [slice(step, step + _CACHED_PATCHES) for step in steps]
    done = [corrector(features[piece], given.piece(piece)) for piece in pieces]
    logits, offset, log_factor = (torch.cat(part) for part in zip(*done, strict=True))
    return logits, offset, log_factor
