"""The training loop of the compact encoder, resumable at any checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from aceg_ros.encoder.base import image_tensor
from aceg_ros.encoder.compact import CompactNetwork, Whitening, save_weights
from aceg_ros.lab.checkpoints import resumed, save_checkpoint
from aceg_ros.lab.encoder_training.light import relight
from aceg_ros.lab.encoder_training.losses import distillation, matching, reading, sample
from aceg_ros.lab.encoder_training.pairs import Pair, PairSource
from aceg_ros.lab.encoder_training.teacher import Teacher
from aceg_ros.learning import warmup_cosine
from aceg_ros.precision import half_precision

_WHITENING_CROPS = 100


@dataclass(frozen=True)
class TrainingOptions:
    """Everything that decides the outcome, besides the pictures."""

    minutes: float = 60.0  # training time over all sittings; the learning rate follows it
    pairs: int = 8  # image pairs per step
    size: int = 288  # side of a crop, px, a multiple of 32
    points: int = 256  # correspondences per pair in the matching loss
    learning_rate: float = 1.5e-3
    warmup: float = 0.03  # part of the time in which the learning rate rises
    distillation_weight: float = 2.0
    matching_weight: float = 0.5
    prediction_weight: float = 1.0
    reliability_weight: float = 0.2
    checkpoint_seconds: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class TrainingStep:
    """What one step reports."""

    step: int
    minutes: float
    distillation: float
    matching: float
    reading: float
    reliability: float


def train(
    sources: Sequence[tuple[float, PairSource]],
    teacher: Teacher,
    output: Path,
    options: TrainingOptions,
    device: torch.device,
    report: Callable[[TrainingStep], None],
    start: CompactNetwork | None = None,
) -> CompactNetwork:
    """Train on pairs drawn from ``sources`` (weight, source) until the minutes are used up.

    ``output`` receives the weights; ``output`` with suffix ``.checkpoint`` what resuming needs, so
    a run may be stopped and started again. ``start`` is trained further, in place of random
    weights. Raises WeightsError for a checkpoint that does not fit.
    """
    torch.manual_seed(options.seed)
    network = (start or CompactNetwork()).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # of the matching and of the reading
    log_temperatures = torch.nn.Parameter(torch.full((2,), float(np.log(20.0)), device=device))
    parameters = [*network.parameters(), log_temperatures]
    optimizer = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=1e-4)
    checkpoint = output.with_suffix('.checkpoint')
    step, used = _resume(checkpoint, network, log_temperatures, optimizer)
    rng = np.random.default_rng([options.seed, step])

    network.train()
    last, saved = time.monotonic(), time.monotonic()
    while used < options.minutes * 60:
        for group in optimizer.param_groups:
            group['lr'] = options.learning_rate * warmup_cosine(
                used / 60 / options.minutes, options.warmup, last=0.01
            )
        pairs = [_draw(sources, rng, options.size) for _ in range(options.pairs)]
        losses = _losses(network, log_temperatures.exp(), teacher, pairs, options, rng, device)
        total = (
            options.distillation_weight * losses[0]
            + options.matching_weight * losses[1]
            + options.prediction_weight * losses[2]
            + options.reliability_weight * losses[3]
        )
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        now = time.monotonic()
        used, last = used + now - last, now
        report(TrainingStep(step, used / 60, *(float(loss.detach()) for loss in losses)))
        if now - saved > options.checkpoint_seconds or used >= options.minutes * 60:
            _save(checkpoint, step, used, network, log_temperatures, optimizer)
            metadata = {'steps': str(step), 'options': json.dumps(asdict(options))}
            save_weights(network, _whitening(network, sources, options, device), output, metadata)
            saved = now
    return network


@torch.no_grad()
def _whitening(
    network: CompactNetwork,
    sources: Sequence[tuple[float, PairSource]],
    options: TrainingOptions,
    device: torch.device,
) -> Whitening:
    """From the features of the more reliable half of the patches of fresh crops."""
    rng = np.random.default_rng(options.seed)
    sample_of = []
    for _ in range(_WHITENING_CROPS):
        crop = image_tensor(_draw(sources, rng, options.size).image_a, device)
        features, reliability = network(crop.contiguous(memory_format=torch.channels_last))
        chosen = reliability.flatten().topk(reliability.numel() // 2).indices
        sample_of.append(features[0].flatten(1).T[chosen])
    return Whitening.of(torch.cat(sample_of))


def _losses(
    network: CompactNetwork,
    temperatures: torch.Tensor,
    teacher: Teacher,
    pairs: list[Pair],
    options: TrainingOptions,
    rng: np.random.Generator,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    clean = [pair.image_a for pair in pairs] + [pair.image_b for pair in pairs]
    seen = image_tensor(np.stack([relight(image, rng) for image in clean]), device)
    with half_precision(device):
        taught = teacher(image_tensor(np.stack(clean), device).float()).float()
        features, logits = network(seen.float().contiguous(memory_format=torch.channels_last))

    first, second, owner, places, certainty, misread = [], [], [], [], [], []
    for index, pair in enumerate(pairs):
        count = len(pair.points_a)
        chosen = rng.choice(count, min(options.points, count), replace=False)
        points_a = torch.as_tensor(pair.points_a[chosen], dtype=torch.float32, device=device)
        points_b = torch.as_tensor(pair.points_b[chosen], dtype=torch.float32, device=device)
        first.append(sample(features[index], points_a))
        other = features[index + len(pairs)]
        second.append(sample(other, points_b))
        misread.append(reading(first[-1], other, points_b, temperatures[1]))
        owner.append(torch.full((len(chosen),), index, device=device))
        places.append(points_a)
        column, row = (points_a // 8).long().T
        certainty.append(logits[index, row, column])
    loss, probability = matching(
        torch.cat(first), torch.cat(second), torch.cat(owner), torch.cat(places), temperatures[0]
    )
    reliability = F.binary_cross_entropy_with_logits(torch.cat(certainty), probability)
    return distillation(features, taught), loss, torch.stack(misread).mean(), reliability


def _draw(sources: Sequence[tuple[float, PairSource]], rng: np.random.Generator, size: int) -> Pair:
    weights = np.array([weight for weight, _ in sources])
    while True:
        source = sources[rng.choice(len(sources), p=weights / weights.sum())][1]
        pair = source.draw(rng, size)
        if pair is not None:
            return pair


def _save(
    path: Path,
    step: int,
    used: float,
    network: CompactNetwork,
    log_temperatures: torch.Tensor,
    optimizer: torch.optim.Optimizer,
) -> None:
    state = {
        'step': step,
        'seconds': used,
        'network': network.state_dict(),
        'log_temperatures': log_temperatures.detach(),
        'optimizer': optimizer.state_dict(),
    }
    save_checkpoint(path, state)


def _resume(
    path: Path,
    network: CompactNetwork,
    log_temperatures: torch.Tensor,
    optimizer: torch.optim.Optimizer,
) -> tuple[int, float]:
    """Steps and seconds already spent, 0 where there is no checkpoint."""
    with resumed(path) as state:
        if state is None:
            return 0, 0.0
        network.load_state_dict(state['network'])
        optimizer.load_state_dict(state['optimizer'])
        with torch.no_grad():
            log_temperatures.copy_(state['log_temperatures'])
        return int(state['step']), float(state['seconds'])
