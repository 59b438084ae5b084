"""Fitting a code to the buffer by minimizing the reprojection error."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import nn

from aceg_ros.learning import laplace_loss, warmup_cosine
from aceg_ros.mapping.buffer import PatchBuffer
from aceg_ros.mapping.options import FitOptions
from aceg_ros.mapping.result import FitHistory
from aceg_ros.monitor import Monitor
from aceg_ros.regressor.anchored import AnchoredRegressor, AnchoredTensors

_WARM_UP, _DECAY_FROM = 0.08, 0.5  # parts of the fit
_NEAREST = 0.02  # of the median depth: predictions nearer than this along the ray are invalid
_FARTHEST_PX = 1000.0  # errors beyond this are invalid too


@dataclass(frozen=True)
class FitStart:
    """A code of n tokens before its fit, and where they come from; K keyframes."""

    code: AnchoredTensors
    owner: torch.Tensor  # (n,) long, the keyframe of each token
    origins: torch.Tensor  # (n, 3) its camera center
    # (2 K, K) bool, the keyframes whose tokens each group of the buffer does not read: without its
    # own, a patch's only way to a low error is to agree with other views
    hidden: torch.Tensor
    depth: float  # the scene's median depth
    # (n,) as in `Candidates`; None where no distance was measured
    deviation: torch.Tensor | None = None

    def to(self, device: torch.device) -> FitStart:
        """The same on ``device``."""
        return FitStart(
            self.code.to(device),
            self.owner.to(device),
            self.origins.to(device),
            self.hidden.to(device),
            self.depth,
            None if self.deviation is None else self.deviation.to(device),
        )


class FittedCode(nn.Module):
    """The code's parameters; anchors move along their ray and off it, in units of the depth."""

    def __init__(self, start: AnchoredTensors, origins: torch.Tensor):
        super().__init__()
        self.embeddings = nn.Parameter(start.embeddings.clone())
        self.log_sigma = nn.Parameter(start.log_sigma.clone())
        self.log_prior = nn.Parameter(start.log_prior.clone())
        self.register_buffer('_along', start.anchors - origins)
        self.register_buffer('_start', start.anchors)
        # log distance, then an offset in any direction
        self.anchors = nn.Parameter(torch.zeros(len(origins), 4, device=origins.device))

    def tensors(self) -> AnchoredTensors:
        along: torch.Tensor = self._along  # type: ignore[assignment]
        start: torch.Tensor = self._start  # type: ignore[assignment]
        distance = along.norm(dim=1, keepdim=True)
        moved = along * torch.expm1(self.anchors[:, :1]) + 0.2 * distance * self.anchors[:, 1:]
        return AnchoredTensors(self.embeddings, start + moved, self.log_sigma, self.log_prior)

    def farther(self) -> torch.Tensor:
        """How much farther along its ray each anchor has moved, (n,), as a part of its distance."""
        along: torch.Tensor = self._along  # type: ignore[assignment]
        towards = torch.nn.functional.normalize(along, dim=1)
        return torch.expm1(self.anchors[:, 0]) + 0.2 * (self.anchors[:, 1:] * towards).sum(dim=1)


def fit_code(
    start: FitStart,
    buffer: PatchBuffer,
    regressor: AnchoredRegressor,
    options: FitOptions,
    seed: int,
    deadline: float,
    monitor: Monitor,
) -> tuple[AnchoredTensors, FitHistory]:
    """Adapt ``start`` to the buffer; all tensors on the buffer's device.

    ``deadline`` is a time of `time.monotonic` at which the learning rate has reached zero.
    """
    device = buffer.features.device
    generator = torch.Generator().manual_seed(seed)
    code = FittedCode(start.code, start.origins).to(device)
    rates = learning_rates(options)
    groups = [{'params': [getattr(code, name)], 'lr': rate} for name, rate in rates.items()]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    batches = max(len(buffer) // options.batch, 1)
    pace = _Pace(options.epochs * batches, deadline)
    losses: list[float] = []
    hits = 0.0
    while not pace.over or not losses:  # late or not, one pass there is
        monitor.check()
        if len(losses) % options.search_every == 0:
            rivals = _search(code.tensors(), start, buffer, regressor, options.rivals, monitor)
        order = torch.randperm(len(buffer), generator=generator).to(device)
        sums, done = torch.zeros(2, device=device), 0
        for batch in order.split(options.batch)[:batches]:
            if pace.over and losses:
                break
            for group, rate in zip(optimizer.param_groups, rates.values(), strict=True):
                group['lr'] = rate * pace.learning_rate
            loss, close = _step_loss(
                code.tensors(), rivals[batch], buffer, batch, start.depth, regressor
            )
            if start.deviation is not None:
                # Images say little of a distance, and nothing from one spot: measured it may stay.
                loss = loss + (2**0.5 * code.farther().abs() / start.deviation).sum() / len(buffer)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            pace.step()
            sums, done = sums + torch.stack([loss.detach(), close]), done + 1
            monitor.report('fit', min(pace.part, 1.0), f'loss {loss.detach():.2f}')
        if done:
            mean, hits = (sums / done).tolist()
            losses.append(mean)
        if _settled(losses, options.min_gain):
            pace.finish()
    with torch.no_grad():
        final = AnchoredTensors(*(t.detach() for t in _as_tuple(code.tensors())))
    return final, FitHistory(losses, hits, pace.seconds, pace.finishing)


def learning_rates(options: FitOptions) -> dict[str, float]:
    """By the parameters of `FittedCode`."""
    return {
        'embeddings': options.embedding_rate,
        'anchors': options.anchor_rate,
        'log_sigma': options.sigma_rate,
        'log_prior': options.prior_rate,
    }


class _Pace:
    """How far a fit has come: by steps or by the clock, whichever is further."""

    def __init__(self, steps: int, deadline: float):
        """``deadline`` is a time of `time.monotonic`."""
        self.part = 0.0
        self.finishing = False  # before its time
        self._steps, self._done = steps, 0
        self._began, self._deadline = time.monotonic(), deadline
        self._skipped = 0.0

    @property
    def over(self) -> bool:
        return self.part >= 1

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def learning_rate(self) -> float:
        """Factor 0..1: linear rise, plateau, cosine fall to zero."""
        return warmup_cosine(self.part, _WARM_UP, _DECAY_FROM, first=0.05)

    def step(self) -> None:
        """One more step is done."""
        self._done += 1
        used = self.seconds / max(self._deadline - self._began, 1e-3)
        self.part = max(self._done / self._steps, used) + self._skipped

    def finish(self) -> None:
        """Begin the fall of the learning rate now, unless it has begun."""
        if self.part < _DECAY_FROM:
            self.finishing = True
            self._skipped = _DECAY_FROM - self.part


def _as_tuple(code: AnchoredTensors) -> tuple[torch.Tensor, ...]:
    return code.embeddings, code.anchors, code.log_sigma, code.log_prior


def _settled(losses: list[float], min_gain: float) -> bool:
    return len(losses) >= 3 and losses[-3] - losses[-1] < 2 * min_gain * abs(losses[-3])


@torch.no_grad()
def _search(
    code: AnchoredTensors,
    start: FitStart,
    buffer: PatchBuffer,
    regressor: AnchoredRegressor,
    rivals: int,
    monitor: Monitor,
) -> torch.Tensor:
    """The tokens (N, rivals) most like each patch of the buffer, none of those hidden from it."""
    found = []
    counts = buffer.group.bincount(minlength=len(start.hidden)).tolist()
    features = buffer.features.split(counts)
    for group, patches in enumerate(features):
        monitor.check()
        own = start.hidden[group][start.owner]
        found.append(regressor.similar_tokens(patches.float(), code, rivals, own))
    return torch.cat(found)


def _step_loss(
    code: AnchoredTensors,
    tokens: torch.Tensor,
    buffer: PatchBuffer,
    batch: torch.Tensor,
    depth: float,
    regressor: AnchoredRegressor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean Laplace loss of a batch and its share of errors below 10 px.

    log(sigma_px) + sqrt(2) d / sigma_px, with d the reprojection error on the ray's tangent plane
    and sigma_px = sigma f / z (ACE-G). An invalid prediction, nearer than a minimum or more than
    1000 px off, is pulled towards its ray at the median depth instead.
    """
    read = regressor.among(buffer.features[batch].float(), code, tokens)
    frames, focal = buffer.frames[batch], buffer.focal[batch]
    local = torch.einsum('nij,nj->ni', frames, read.points3d - buffer.centers[batch])
    z = local[:, 2].clamp_min(_NEAREST * depth)
    error = (local[:, :2] / z[:, None] * focal[:, None]).norm(dim=1)
    valid = (local[:, 2] > _NEAREST * depth) & (error < _FARTHEST_PX)
    sigma_px = read.sigma * focal / z + 0.5
    laplace = laplace_loss(error, sigma_px)
    target = local.new_tensor([0.0, 0.0, depth])
    pulled = 10 * (local - target).abs().sum(dim=1) / depth
    loss = torch.where(valid, laplace, pulled).mean()
    return loss, (error.detach() < 10).float().mean()
