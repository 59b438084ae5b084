"""Fitting a code to the patches of all keyframes.

A patch should read tokens whose points lie on its viewing ray. What is fitted is how tokens are
read: their embeddings, how much they are trusted, and their sigma. Their points stay where the
sweep found them. Moved to lower the reprojection error they get worse (docs/design/fit.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.optim.adam import adam

from aceg_ros.learning import warmup_cosine
from aceg_ros.mapping.buffer import PatchBuffer
from aceg_ros.mapping.options import FitOptions
from aceg_ros.mapping.result import FitHistory
from aceg_ros.monitor import Monitor
from aceg_ros.regressor.anchored import AnchoredRegressor, AnchoredTensors
from aceg_ros.threads import side_by_side

_WARM_UP, _DECAY_FROM = 0.08, 0.5  # parts of the fit
_BETAS, _EPS = (0.9, 0.99), 1e-8  # of Adam
_LEAST_PX = 0.5  # no token is known better
_CLOSE_PX = 10.0  # of `FitHistory.inlier_ratio`
# Some patches show what no token does: this part of them, which may lie anywhere in an image.
_STRAY = 0.1
_STRAY_DENSITY = 1 / (640 * 480)  # per px^2
_FARTHEST = 1e6  # sigmas


@dataclass(frozen=True)
class FitStart:
    """A code of n tokens before its fit, and where they come from; K keyframes."""

    code: AnchoredTensors
    owner: torch.Tensor  # (n,) long, the keyframe of each token
    # (2 K, K) bool, the keyframes whose tokens each group of the buffer does not read: without its
    # own, a patch's only way to a low error is to agree with other views
    hidden: torch.Tensor

    def to(self, device: torch.device) -> FitStart:
        """The same on ``device``."""
        return FitStart(self.code.to(device), self.owner.to(device), self.hidden.to(device))


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
    rates = {
        'embeddings': options.embedding_rate,
        'log_sigma': options.sigma_rate,
        'log_prior': options.prior_rate,
    }
    fitted = {name: getattr(start.code, name).clone().requires_grad_() for name in rates}
    code = replace(start.code, **fitted)
    optimizer = _Adam(list(fitted.values()))
    batches = max(len(buffer) // options.batch, 1)
    pace = _Pace(options.epochs * batches, deadline)
    losses: list[float] = []
    close = 0.0
    while not pace.over or not losses:  # late or not, one pass there is
        monitor.check()
        if len(losses) % options.search_every == 0:
            rivals = _search(code, start, buffer, regressor, options.rivals, monitor)
        order = torch.randperm(len(buffer), generator=generator).to(device)
        sums, done = torch.zeros(2, device=device), 0
        for batch in order.split(options.batch)[:batches]:
            if pace.over and losses:
                break
            loss, near = _step_loss(code, rivals[batch], buffer, batch, regressor)
            loss.backward()
            optimizer.step([rate * pace.learning_rate for rate in rates.values()])
            pace.step()
            sums, done = sums + torch.stack([loss.detach(), near]), done + 1
            monitor.report('fit', min(pace.part, 1.0), f'loss {loss.detach():.2f}')
        if done:
            mean, close = (sums / done).tolist()
            losses.append(mean)
    final = replace(code, **{name: values.detach() for name, values in fitted.items()})
    return final, FitHistory(losses, close, pace.seconds, pace.completed)


class _Adam:
    """Adam with a learning rate of each tensor (Kingma and Ba, ICLR 2015), by PyTorch's function.

    `torch.optim.Adam` loads PyTorch's compiler, for which a first map would wait two seconds.
    """

    def __init__(self, tensors: Sequence[torch.Tensor]):
        """``tensors`` are leaves, and change in place."""
        self._each = [
            (tensor, torch.zeros_like(tensor), torch.zeros_like(tensor), torch.zeros(()))
            for tensor in tensors
        ]

    @torch.no_grad()
    def step(self, rates: Sequence[float]) -> None:
        """A step of each tensor at its rate, along its gradient, which is used up."""
        for (tensor, mean, square, steps), rate in zip(self._each, rates, strict=True):
            if tensor.grad is None:
                continue
            adam(
                [tensor],
                [tensor.grad],
                [mean],
                [square],
                [],
                [steps],
                amsgrad=False,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                lr=rate,
                weight_decay=0.0,
                eps=_EPS,
                maximize=False,
            )
            tensor.grad = None


class _Pace:
    """How far a fit has come: by steps or by the clock, whichever is further."""

    def __init__(self, steps: int, deadline: float):
        """``deadline`` is a time of `time.monotonic`."""
        self.part = 0.0
        self._steps, self._done = steps, 0
        self._began, self._deadline = time.monotonic(), deadline

    @property
    def over(self) -> bool:
        return self.part >= 1

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def completed(self) -> float:
        """The part of the steps that are done."""
        return self._done / self._steps

    @property
    def learning_rate(self) -> float:
        """Factor 0..1: linear rise, plateau, cosine fall to zero."""
        return warmup_cosine(self.part, _WARM_UP, _DECAY_FROM, first=0.05)

    def step(self) -> None:
        """One more step is done."""
        self._done += 1
        used = self.seconds / max(self._deadline - self._began, 1e-3)
        self.part = max(self._done / self._steps, used)


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
    counts = buffer.group.bincount(minlength=len(start.hidden)).tolist()

    def similar(part: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        patches, hidden = part
        own = hidden[start.owner]
        return regressor.similar_tokens(patches.float(), code, rivals, own)

    found = []
    groups = zip(buffer.features.split(counts), start.hidden, strict=True)
    for tokens in side_by_side(similar, groups):
        monitor.check()
        found.append(tokens)
    return torch.cat(found)


def _step_loss(
    code: AnchoredTensors,
    tokens: torch.Tensor,
    buffer: PatchBuffer,
    batch: torch.Tensor,
    regressor: AnchoredRegressor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean negative log likelihood of a batch of rays; how much of the weight is within 10 px.

    What a patch reads is a mixture: it shows one of its tokens, with a probability of the token's
    weight, or something that no token shows. So only tokens near its ray learn from it. A token's
    reprojection error d on the ray's tangent plane has the density
    exp(-sqrt(2) d / sigma_px) / (pi sigma_px^2), with sigma_px = sigma f / z. A mean over tokens,
    as in ACE-G, pulls at all of them until it is on the ray, also at those of another place.
    """
    read = regressor.candidates(buffer.features[batch].float(), code, tokens)
    frames, focal = buffer.frames[batch], buffer.focal[batch, None]
    offset = read.anchors.detach() - buffer.centers[batch, None]
    local = torch.einsum('nij,nkj->nki', frames, offset)
    z = local[..., 2]
    behind = z <= 0
    per_meter = focal / z.masked_fill(behind, 1.0)
    error = local[..., :2].norm(dim=2) * per_meter
    sigma_px = read.log_sigma.exp() * per_meter + _LEAST_PX
    far = (math.sqrt(2.0) * error / sigma_px).clamp_max(_FARTHEST)
    density = -far - 2 * sigma_px.log() - math.log(math.pi)
    weights = read.logits.log_softmax(dim=1)
    known = torch.logsumexp((weights + density).masked_fill(behind, -_FARTHEST), dim=1)
    stray = math.log(_STRAY * _STRAY_DENSITY)
    likelihood = torch.logaddexp(known + math.log1p(-_STRAY), known.new_tensor(stray))
    near = (weights.exp() * ((error < _CLOSE_PX) & ~behind)).sum(dim=1)
    return -likelihood.mean(), near.detach().mean()
