"""The scene-agnostic regressor: patch features and a map code to scene coordinates and sigma."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from aceg_ros.maps.code import ANCHORED
from aceg_ros.memory import in_pieces
from aceg_ros.precision import half_precision, halved
from aceg_ros.regressor.attention import top_tokens
from aceg_ros.regressor.base import SceneCoordinates
from aceg_ros.regressor.blocks import Candidates, Round, SparseBlocks, Surroundings, weigh
from aceg_ros.weights import identity_of

_CACHED_PATCHES, _MANY_PATCHES = 1024, 16384


@dataclass(frozen=True)
class AnchoredConfig:
    """Shape of a regressor. Without blocks it is the anchored reader alone and has no weights."""

    dim_in: int = 64  # patch features and code embeddings
    blocks: int = 0  # cross-attention blocks that correct the anchored reading
    dim: int = 32  # width inside the blocks
    tokens_read: int = 8  # tokens that one patch averages, or that the blocks choose among
    temperature: float = 48.0  # logit per unit of cosine similarity
    spread_weight: float = 0.3  # how much of the read anchors' spread counts as sigma


@dataclass(frozen=True)
class AnchoredTensors:
    """An anchored code as the regressor reads it, all on one device; lengths in meters."""

    embeddings: torch.Tensor  # (n, dim_in)
    anchors: torch.Tensor  # (n, 3)
    log_sigma: torch.Tensor  # (n,) log meters
    log_prior: torch.Tensor  # (n,) logit added to the token's similarity

    @property
    def keys(self) -> torch.Tensor:
        """Embeddings of unit length, (n, dim_in)."""
        return F.normalize(self.embeddings, dim=1)

    @property
    def quick_keys(self) -> torch.Tensor:
        """`keys` in half precision where that is fast."""
        return halved(self.keys)

    @property
    def table(self) -> torch.Tensor:
        """Key, anchor, log sigma and prior of each token, (n, dim_in + 5).

        One gather from one table is quick: on a CPU its backward is most of a fit's time.
        """
        parts = [self.keys, self.anchors, self.log_sigma[:, None], self.log_prior[:, None]]
        return torch.cat(parts, dim=1)

    def to(self, device: torch.device) -> AnchoredTensors:
        """The same on ``device``."""
        return AnchoredTensors(*(getattr(self, part.name).to(device) for part in fields(self)))


class FixedTensors(AnchoredTensors):
    """A code that changes no more, so that what is computed of it is kept."""

    @cached_property
    def quick_keys(self) -> torch.Tensor:
        """See `AnchoredTensors.quick_keys`."""
        return super().quick_keys

    @cached_property
    def table(self) -> torch.Tensor:
        """See `AnchoredTensors.table`."""
        return super().table


class AnchoredRegressor(nn.Module):
    """y = sum_j w_j anchor_j, with weights by similarity; pre-trained blocks correct the weights.

    The anchored reading is attention whose values are the anchors of the tokens. So a code made of
    patches of the scene can be read before anything is trained. The blocks add to the logits, take
    the place that most of the weight is at, and scale sigma.
    """

    kind: ClassVar[str] = ANCHORED
    unit_features = True
    notice: ClassVar[dict[str, str]] = {}

    def __init__(self, config: AnchoredConfig | None = None):
        super().__init__()
        self.config = config or AnchoredConfig()
        config = self.config
        self.corrector: SparseBlocks | None = None
        if config.blocks:
            self.corrector = SparseBlocks(config.dim, config.blocks, config.spread_weight)

    def identity(self) -> str:
        """Hash of configuration and weights."""
        return 'anchored-' + identity_of(asdict(self.config), self.state_dict())

    def codes(self) -> str:
        """What codes it reads: blocks change the reading, not what a code is fitted for."""
        shape = asdict(self.config)
        named = {name: shape[name] for name in ('dim_in', 'temperature', 'spread_weight')}
        return 'anchored-codes-' + identity_of(named, {})

    def random_code(self, count: int, generator: torch.Generator) -> tuple[AnchoredTensors]:
        """What `forward` takes beside features, made up, to try it."""
        embeddings = torch.randn(count, self.config.dim_in, generator=generator)
        anchors = torch.randn(count, 3, generator=generator)
        return (AnchoredTensors(embeddings, anchors, torch.zeros(count), torch.zeros(count)),)

    @torch.no_grad()
    def similar_tokens(
        self,
        features: torch.Tensor,
        code: AnchoredTensors,
        count: int,
        hidden: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The tokens (P, count) that patches (P, dim_in) attend to most, the first the most.

        Found in half precision where that is fast: what is read is weighed again in full.
        ``hidden`` (n,) bool keeps some tokens out.
        """
        keys, prior = code.quick_keys, code.log_prior
        if hidden is not None:
            prior = prior.masked_fill(hidden, -torch.inf)

        def most_similar(piece: torch.Tensor) -> torch.Tensor:
            with half_precision(features.device):
                logits = torch.addmm(prior, piece, keys.T, alpha=self.config.temperature)
            return top_tokens(logits, count)[1]

        # in pieces whose logits stay in a CPU's cache
        most = _CACHED_PATCHES if features.device.type == 'cpu' else _MANY_PATCHES
        return in_pieces(most_similar, features, most)

    def forward(
        self,
        features: torch.Tensor,
        code: AnchoredTensors,
        around: Surroundings | None = None,
        tokens: torch.Tensor | None = None,
    ) -> SceneCoordinates:
        """Scene coordinates of patches, whose features (P, dim_in) have unit length.

        ``around`` says which patches lie beside each other in their images; the blocks, where there
        are any, use it. ``tokens`` (P, k) are the most similar tokens, if they are known already.
        """
        given = self.candidates(features, code, tokens)
        if self.corrector is None:
            return self._weighed(given)
        last = self.rounds(given, code, around)[-1]
        return SceneCoordinates(last.points3d, last.sigma, given.similarity)

    def among(
        self, features: torch.Tensor, code: AnchoredTensors, tokens: torch.Tensor
    ) -> SceneCoordinates:
        """As `forward`, of the ``tokens`` (P, k) of each patch only, -1 for none, one at least.

        Blocks are left out: they choose among similar tokens, and these are chosen already.
        Gradients flow to the code.
        """
        return self._weighed(self.candidates(features, code, tokens))

    def _weighed(self, given: Candidates) -> SceneCoordinates:
        read = weigh(given.logits, given.anchors, given.log_sigma)
        sigma = read.sigma(self.config.spread_weight)
        return SceneCoordinates(read.points3d, sigma, given.similarity)

    def candidates(
        self, features: torch.Tensor, code: AnchoredTensors, tokens: torch.Tensor | None = None
    ) -> Candidates:
        """The tokens that patches choose among: those given (P, k), else the most similar."""
        if tokens is None:
            tokens = self.similar_tokens(features, code, self.config.tokens_read)
        table = code.table
        rows = table.index_select(0, tokens.clamp_min(0).flatten())
        rows = rows.view(*tokens.shape, table.shape[1])
        widths = [features.shape[1], 3, 1, 1]
        keys, anchors, log_sigma, log_prior = rows.split(widths, dim=2)
        similarity = (features[:, None] * keys).sum(dim=2) * self.config.temperature
        similarity = similarity.masked_fill(tokens < 0, -torch.inf)
        best = similarity.detach().amax(dim=1) / self.config.temperature
        logits = similarity + log_prior[:, :, 0]
        return Candidates(anchors, logits, log_sigma[:, :, 0], log_prior[:, :, 0], best)

    def rounds(
        self, given: Candidates, code: AnchoredTensors, around: Surroundings | None
    ) -> list[Round]:
        """The readings after each block, of which there may be none."""
        if self.corrector is None:
            return []
        return self.corrector(given, _scene_size(code), around)


@torch.no_grad()
def _scene_size(code: AnchoredTensors) -> torch.Tensor:
    """Mean distance () of the anchors from their mean, and not less than the tokens' sigma."""
    distance = (code.anchors - code.anchors.mean(dim=0)).norm(dim=1).mean()
    return (distance + code.log_sigma.exp().mean()).clamp_min(1e-6)
