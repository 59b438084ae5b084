"""What a regressor is: patch features and a map code in, scene coordinates out."""

from __future__ import annotations

from typing import Protocol

import torch

from aceg_ros.regressor.anchored import CodeTensors, SceneCoordinates
from aceg_ros.regressor.blocks import Surroundings


class SceneRegressor(Protocol):
    """A scene-agnostic network that reads map codes."""

    # Whether its codes are free (see `CodeTensors`): no anchors, and so nothing to read again near.
    free_codes: bool
    # Whether it reads a patch better when told of those around it (see `Surroundings`).
    looks_around: bool
    # Whether patch features have to be of unit length, or as the encoder's last layer gives them.
    unit_features: bool

    def identity(self) -> str:
        """Changes whenever its answers would."""

    def codes(self) -> str:
        """Names the codes it can read: those fitted for a regressor with the same answer."""

    def to(self, device: torch.device) -> SceneRegressor:
        """Move to ``device``, and return itself."""

    def eval(self) -> SceneRegressor:
        """Switch to inference, and return itself."""

    def __call__(
        self,
        features: torch.Tensor,
        code: CodeTensors,
        tokens: torch.Tensor | None = None,
        around: Surroundings | None = None,
        corrected: bool = True,
    ) -> SceneCoordinates:
        """Read the code for patch features (P, dim_in).

        ``tokens`` (P, k) restricts each patch to some tokens, -1 for none; only anchored codes are
        read that way. ``around`` and ``corrected`` are of use to pre-trained anchored readers, see
        `Regressor.forward`; others do the same without.
        """
