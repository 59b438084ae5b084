"""Codes that learn in mapping iterations, their anchors too: random ones know no place yet."""

from __future__ import annotations

import torch
from torch import nn

from aceg_ros.regressor.anchored import AnchoredTensors

# learning rates by parameter; of anchors relative to their distance
RATES = {'embeddings': 1e-2, 'anchors': 1.5e-2, 'log_sigma': 3e-2, 'log_prior': 3e-2}


class LearnedCode(nn.Module):
    """The code's parameters; anchors move along their ray and off it, in units of the distance."""

    def __init__(self, start: AnchoredTensors, origins: torch.Tensor):
        """``origins`` (n, 3) are the camera centers that tokens were seen from."""
        super().__init__()
        self.embeddings = nn.Parameter(start.embeddings.clone())
        self.log_sigma = nn.Parameter(start.log_sigma.clone())
        self.log_prior = nn.Parameter(start.log_prior.clone())
        self.register_buffer('_along', start.anchors - origins)
        self.register_buffer('_start', start.anchors)
        # log distance, then an offset in any direction
        self.anchors = nn.Parameter(torch.zeros(len(origins), 4, device=origins.device))

    def tensors(self) -> AnchoredTensors:
        """The code so far."""
        along: torch.Tensor = self._along  # type: ignore[assignment]
        start: torch.Tensor = self._start  # type: ignore[assignment]
        distance = along.norm(dim=1, keepdim=True)
        moved = along * torch.expm1(self.anchors[:, :1]) + 0.2 * distance * self.anchors[:, 1:]
        return AnchoredTensors(self.embeddings, start + moved, self.log_sigma, self.log_prior)
