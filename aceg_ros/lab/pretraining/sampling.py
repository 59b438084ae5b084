"""Patches drawn from a scene's buffers, a few views at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from aceg_ros.lab.pretraining.shards import ViewBuffer
from aceg_ros.regressor.anchored import AnchoredRegressor, AnchoredTensors


@dataclass(frozen=True)
class Sample:
    """P patches of some views, with what supervision needs."""

    features: torch.Tensor  # (P, D) unit
    images: torch.Tensor  # (P,) long, the number of the view in this sample
    points3d: torch.Tensor  # (P, 3), nan where unknown
    rays: torch.Tensor  # (P, 3) unit
    centers: torch.Tensor  # (P, 3)
    focal: torch.Tensor  # (P,) px
    views: tuple[int, ...]  # which they are in the buffer

    def turned(self, rotation: torch.Tensor) -> Sample:
        """The same in axes turned by ``rotation`` (3, 3)."""
        points3d, rays, centers = (
            part @ rotation.T for part in (self.points3d, self.rays, self.centers)
        )
        return Sample(self.features, self.images, points3d, rays, centers, self.focal, self.views)


def sample_patches(
    buffer: ViewBuffer, views: int, patches: int, generator: torch.Generator, dropout: float = 0.0
) -> Sample:
    """Up to ``patches`` neighbors in the buffer's random order out of each of ``views`` views.

    ``dropout`` zeroes that part of the features' numbers.
    """
    chosen = torch.randperm(len(buffer), generator=generator)[:views].tolist()
    rows, images = [], []
    for number, view in enumerate(chosen):
        first, last = int(buffer.starts[view]), int(buffer.starts[view + 1])
        count = min(patches, last - first)
        spare = last - first - count
        first += int(torch.randint(spare + 1, (), generator=generator))
        rows.append(torch.arange(first, first + count))
        images.append(torch.full((count,), number))
    device = buffer.features.device
    row, image = (torch.cat(parts).to(device) for parts in (rows, images))
    view_of = torch.tensor(chosen, device=device)[image]
    features = buffer.features[row].float()
    if dropout:
        keep = torch.rand(features.shape, generator=generator) >= dropout
        features = features * keep.to(device) / (1 - dropout)
    return Sample(
        features,
        image,
        buffer.points3d[row],
        buffer.rays[row],
        buffer.centers[view_of],
        buffer.focal[view_of],
        tuple(chosen),
    )


def find_tokens(
    reader: AnchoredRegressor,
    sample: Sample,
    code: AnchoredTensors,
    hidden: torch.Tensor | None = None,
) -> torch.Tensor:
    """The tokens (P, k) most like each patch; ``hidden`` (V, n) bool keeps some from each view."""
    count = reader.config.tokens_read
    if hidden is None:
        return reader.similar_tokens(sample.features, code, count)
    sizes = sample.images.bincount(minlength=len(sample.views)).tolist()
    found = [
        reader.similar_tokens(features, code, count, hidden[view])
        for features, view in zip(sample.features.split(sizes), sample.views, strict=True)
    ]
    return torch.cat(found)


def random_rotation(generator: torch.Generator) -> torch.Tensor:
    """(3, 3) evenly from all rotations."""
    q = torch.randn(4, generator=generator)
    w, x, y, z = (q / q.norm()).tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
