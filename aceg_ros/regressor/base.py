"""What a regressor is: a network, the same for every scene, that reads one kind of map code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch


@dataclass(frozen=True)
class SceneCoordinates:
    """What a regressor says of P patches."""

    points3d: torch.Tensor  # (P, 3) meters, map frame
    sigma: torch.Tensor  # (P,) meters, of the Laplace error in 3D
    similarity: torch.Tensor | None = None  # (P,) cosine to the most similar token; anchored codes


class SceneRegressor(Protocol):
    """A scene-agnostic network. How it is called depends on the kind of code; see `readers`."""

    kind: ClassVar[str]  # of the codes that it reads, such as `maps.code.ANCHORED`
    unit_features: bool  # whether patch features have unit length, or are the encoder's last layer
    notice: ClassVar[dict[str, str]]  # what files of its weights have to say, such as a license
    config: Any  # a dataclass with dim_in, the length of the features

    def identity(self) -> str:
        """Changes whenever its answers would."""

    def codes(self) -> str:
        """Names the codes that it can read: those fitted for a regressor with the same answer."""

    def random_code(self, count: int, generator: torch.Generator) -> tuple[Any, ...]:
        """What it is called with beside features, made up with ``count`` tokens, to try it."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Its weights, of which there may be none."""

    def __call__(self, features: torch.Tensor, *code: Any) -> SceneCoordinates:
        """Scene coordinates of patches (P, dim_in); what a code is depends on its kind."""

    def to(self, device: torch.device) -> SceneRegressor:
        """Move to ``device``, and return itself."""

    def eval(self) -> SceneRegressor:
        """Switch to inference, and return itself."""
