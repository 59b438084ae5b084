"""What the compact encoder is taught."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from aceg_ros.encoder.compact import STRIDE

_WINDOW = 2  # patches on either side of the true place among which `reading` decides

# Correspondences closer than this in both images count as the same thing, not as a wrong answer.
_SAME_PATCH_PX = 1.5 * STRIDE


def distillation(features: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean of 1 - cosine between the student's and the teacher's unit features (B, D, H', W')."""
    return (1 - (features * teacher).sum(dim=1)).mean()


def sample(features: torch.Tensor, points2d: torch.Tensor) -> torch.Tensor:
    """Unit features (D, H', W') read at pixels (N, 2), bilinearly -> (N, D)."""
    height, width = features.shape[-2:]
    size = torch.tensor([width, height], device=points2d.device) * STRIDE
    grid = (points2d + 0.5) / size * 2 - 1
    read = F.grid_sample(
        features[None], grid[None, None], align_corners=False, padding_mode='border'
    )
    return F.normalize(read[0, :, 0].T, dim=1)


def matching(
    first: torch.Tensor,
    second: torch.Tensor,
    pair: torch.Tensor,
    points2d: torch.Tensor,
    temperature: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Dual-softmax matching loss over all correspondences of a batch.

    ``first``, ``second`` (N, D) are what the two views show of the same N points, ``pair`` (N,)
    says which image pair each belongs to and ``points2d`` (N, 2) where it lies in the first view.
    Returns the mean loss and each correspondence's match probability (N,), without gradient.
    """
    logits = first @ second.T * temperature
    near = (points2d[:, None] - points2d[None]).abs().amax(dim=-1) < _SAME_PATCH_PX
    near &= pair[:, None] == pair[None]
    near.fill_diagonal_(False)
    logits = logits.masked_fill(near, -1e4)
    forward = logits.log_softmax(dim=1).diagonal()
    backward = logits.log_softmax(dim=0).diagonal()
    return -(forward + backward).mean() / 2, (forward + backward).detach().exp()


def reading(
    first: torch.Tensor, features: torch.Tensor, points2d: torch.Tensor, temperature: torch.Tensor
) -> torch.Tensor:
    """Mean error, in patches, of the place that features read from another view's patches.

    A map code is read as an average of places weighted by similarity; so are here, for N features
    ``first`` (N, D) and the other view's ``features`` (D, H', W'), the patches around the true
    place ``points2d`` (N, 2) px. It is small only where similarity falls off evenly with distance,
    which is what makes places between patches readable.
    """
    height, width = features.shape[-2:]
    place = (points2d + 0.5) / STRIDE - 0.5  # patch centers are whole numbers
    limit = torch.tensor([width, height], device=place.device) - 1 - _WINDOW
    center = torch.minimum(place.round().long().clamp_min(_WINDOW), limit)
    steps = torch.arange(-_WINDOW, _WINDOW + 1, device=place.device)
    around = torch.cartesian_prod(steps, steps)
    column, row = (center[:, None] + around).unbind(dim=2)
    similarity = torch.einsum('dnk,nd->nk', features[:, row, column], first)
    weights = (similarity * temperature).softmax(dim=1)
    read = center + (weights[:, :, None] * around).sum(dim=1)
    return (read - place).norm(dim=1).mean()
