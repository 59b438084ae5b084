"""What several trainings share: learning rates over time, and the likelihood of an error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def cosine(start: float, end: float, part: float) -> float:
    """From ``start`` to ``end`` along half a cosine, at a part 0..1 of the way."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def warmup_cosine(
    part: float, warm_up: float, hold_until: float = 0.0, first: float = 0.01, last: float = 0.0
) -> float:
    """A factor on the learning rate at a part 0..1 of the training.

    It rises linearly until ``warm_up``, stays at 1 until ``hold_until``, and falls along a cosine
    to ``last``. It is never below ``first`` while it rises.
    """
    if part < warm_up:
        return max(part / warm_up, first)
    hold_until = max(hold_until, warm_up)
    if part < hold_until:
        return 1.0
    return cosine(1.0, last, min((part - hold_until) / max(1 - hold_until, 1e-9), 1.0))


def laplace_loss(error: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood of errors, less a constant: log sigma + sqrt(2) error / sigma.

    Of a Laplace distribution with the deviation sigma, as in ACE-G.
    """
    return sigma.log() + math.sqrt(2.0) * error / sigma
