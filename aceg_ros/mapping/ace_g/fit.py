"""Optimizing a free code on the buffer, step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from aceg_ros.learning import laplace_loss
from aceg_ros.mapping.ace_g.buffer import AceGBuffer
from aceg_ros.mapping.ace_g.schedule import AceGSchedule
from aceg_ros.precision import half_precision
from aceg_ros.regressor.ace_g import AceGRegressor
from aceg_ros.regressor.base import SceneCoordinates


@dataclass(frozen=True)
class AceGStep:
    """What a step was like, before the code moved."""

    index: int
    loss: float  # mean of the batch
    rate: float
    close: float  # share of the patches within 10 px
    embeddings: torch.Tensor  # (n, d), the code now; the same tensor in all steps


def ace_g_steps(
    start: torch.Tensor,
    mean: torch.Tensor,
    buffer: AceGBuffer,
    regressor: AceGRegressor,
    schedule: AceGSchedule,
    piece: int,
    seed: int,
) -> Iterator[AceGStep]:
    """Optimize ``start`` (n, d) on the device it is on; the regressor stays as it is.

    AdamW; batches go through shuffled passes over the buffer. A batch is read in pieces of at most
    ``piece`` patches, whose gradients add up. ``mean`` (3,) meters. The passes' order is drawn on
    the CPU from ``seed``, dropout on the device from the same.
    """
    device = start.device
    embeddings = nn.Parameter(start.clone())
    optimizer = torch.optim.AdamW([embeddings], weight_decay=schedule.weight_decay)
    order = _shuffled(len(buffer), schedule.batch, torch.Generator().manual_seed(seed))
    masks = torch.Generator(device).manual_seed(seed)
    cam_from_world, focal = buffer.cam_from_world.to(device), buffer.focal.to(device)
    for index in range(schedule.steps):
        rate = schedule.learning_rate(index)
        optimizer.param_groups[0]['lr'] = rate
        optimizer.zero_grad(set_to_none=True)
        batch = next(order)
        sums = torch.zeros(2, device=device)
        for part in batch.split(piece):
            part = part.to(buffer.features.device)
            features = buffer.features[part].to(device).float()
            targets, view = buffer.targets[part].to(device), buffer.view[part].to(device)
            if schedule.dropout:
                kept = torch.rand(features.shape, generator=masks, device=device)
                features = features * (kept >= schedule.dropout) / (1 - schedule.dropout)
            with half_precision(device) if device.type == 'cuda' else contextlib.nullcontext():
                read = regressor(features, embeddings, mean)
            losses, errors = ace_g_losses(
                read, targets, cam_from_world[view], focal[view], schedule
            )
            loss = losses.sum() / len(batch)
            loss.backward()
            close = (errors.detach() < 10).sum() / len(batch)
            sums += torch.stack([loss.detach(), close])
        optimizer.step()
        loss_sum, close_share = sums.tolist()
        yield AceGStep(index, loss_sum, rate, close_share, embeddings.detach())


def ace_g_losses(
    read: SceneCoordinates,
    targets: torch.Tensor,
    cam_from_world: torch.Tensor,
    focal: torch.Tensor,
    schedule: AceGSchedule,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses (P,) of P predictions, and their errors (P,) px, infinite where they are invalid.

    With d the L1 distance to ``targets`` (P, 2) px from the principal point and sigma_px the
    deviation as seen from there, log(sigma_px) + sqrt(2) d / sigma_px. An invalid prediction is
    pulled, in L1 meters, to the point on its ray at the nearest valid depth.
    """
    points = torch.cat([read.points3d, torch.ones_like(read.points3d[:, :1])], dim=1)
    local = torch.einsum('pij,pj->pi', cam_from_world, points)
    z = local[:, 2].clamp_min(schedule.nearest)
    error = (focal[:, None] * local[:, :2] / z[:, None] - targets).abs().sum(dim=1)
    valid = (local[:, 2] >= schedule.nearest) & (local[:, 2] <= schedule.farthest)
    valid &= error <= schedule.farthest_px
    sigma_px = read.sigma * focal / z
    laplace = laplace_loss(error, sigma_px)
    ray = torch.cat([targets / focal[:, None], torch.ones_like(targets[:, :1])], dim=1)
    pulled = (local - schedule.nearest * ray).abs().sum(dim=1)
    infinite = torch.full_like(error, torch.inf)
    return torch.where(valid, laplace, pulled), torch.where(valid, error, infinite)


def _shuffled(count: int, batch: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Batches of indices (batch,) out of endless passes over ``count`` rows, each shuffled."""
    left = torch.empty(0, dtype=torch.long)
    while True:
        while len(left) < batch:
            left = torch.cat([left, torch.randperm(count, generator=generator)])
        yield left[:batch]
        left = left[batch:]
