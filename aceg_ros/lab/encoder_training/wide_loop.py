"""The training loop of the wide encoder, resumable at any checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aceg_ros.encoder.base import image_tensor
from aceg_ros.encoder.wide import WideNetwork, save_weights
from aceg_ros.lab.checkpoints import resumed, save_checkpoint
from aceg_ros.lab.encoder_training.groups import GroupSource, ViewGroup
from aceg_ros.lab.encoder_training.light import relight
from aceg_ros.lab.encoder_training.whitening import whitened
from aceg_ros.lab.encoder_training.wide_losses import Patches, reading, relational
from aceg_ros.learning import warmup_cosine
from aceg_ros.precision import half_precision

_WHITENED_BY = 48  # pictures
_AVERAGED = 0.98  # how much of the averaged weights stays at each step
_LEARNING_BLOCKS = tuple(f'trunk.blocks.{index}.' for index in range(3, 11))

Taught = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class WideOptions:
    """Everything that decides the outcome, besides the pictures."""

    minutes: float = 60.0  # training time over all sittings; the learning rates follow it
    groups: int = 2  # per step
    views: int = 5  # of a group
    patches: int = 5000  # of a group, that are read
    queries: int = 768  # of these, that read those of other views
    learning_rate: float = 1e-3  # of head, context and reliability
    stem_share: float = 0.3  # of it, for the fine stem
    trunk_share: float = 0.05  # of it, for the trunk
    frozen: float = 0.1  # part of the time in which stem and trunk stay as they are
    warmup: float = 0.03  # part of the time in which the learning rates rise
    reliability_weight: float = 0.2
    teacher_weight: float = 0.1  # on groups of real pictures
    # Whether what is saved has half of its features' correlation removed. It helps the first
    # training, and makes weights worse that go on from such ones.
    whiten: bool = True
    checkpoint_seconds: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """A source of groups, how often it is drawn from, and whether the teacher is asked."""

    name: str
    groups: GroupSource
    weight: float
    taught: bool = False


@dataclass(frozen=True)
class WideStep:
    """What one step reports."""

    step: int
    minutes: float
    pairs: int  # of views, so far, each with tens to hundreds of patches in common
    reading: float
    right: float  # mean probability that a patch reads its own point
    relational: float
    reliability: float


def train_wide(
    sources: Sequence[Source],
    start: WideNetwork,
    output: Path,
    options: WideOptions,
    device: torch.device,
    report: Callable[[WideStep], None],
    teacher: Taught | None = None,
) -> WideNetwork:
    """Train ``start`` further on groups drawn from ``sources`` until the minutes are used up.

    ``output`` receives the weights; ``output`` with suffix ``.checkpoint`` what resuming needs, so
    a run may be stopped and started again. Raises WeightsError for a checkpoint that does not fit.
    """
    network = start.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    own, stem, trunk = _parts(network)
    optimizer = torch.optim.AdamW(
        [{'params': own}, {'params': stem}, {'params': trunk}],
        lr=options.learning_rate,
        weight_decay=1e-4,
    )
    shares = (1.0, options.stem_share, options.trunk_share)
    checkpoint = output.with_suffix('.checkpoint')
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(_AVERAGED))
    step, used, pairs = _resume(checkpoint, network, average, optimizer)
    generator = torch.Generator().manual_seed(options.seed + step)

    averaged: WideNetwork = average.module  # type: ignore[assignment]
    pictures = _pictures(sources, options) if options.whiten else []
    network.train()
    last, saved = time.monotonic(), time.monotonic()
    for groups in _prefetched(sources, options, step):
        if used >= options.minutes * 60:
            break
        progress = used / 60 / options.minutes
        for parameter in (*stem, *trunk):
            parameter.requires_grad_(progress >= options.frozen)
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group['lr'] = (
                options.learning_rate
                * share
                * warmup_cosine(progress, options.warmup, first=0.02, last=0.01)
            )
        optimizer.zero_grad(set_to_none=True)
        sums = np.zeros(4)
        for source, clean, seen in groups:
            asked = teacher if source.taught else None
            values, count = _learn(network, clean, seen, asked, options, generator, device)
            sums += values
            pairs += count
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(network)
        step += 1
        now = time.monotonic()
        used, last = used + now - last, now
        report(WideStep(step, used / 60, pairs, *(sums / len(groups)).tolist()))
        if now - saved > options.checkpoint_seconds or used >= options.minutes * 60:
            _save(checkpoint, step, used, pairs, network, average, optimizer)
            about = {'steps': str(step), 'pairs': str(pairs), 'options': _json(options)}
            save_weights(_outcome(averaged, pictures), output, about)
            saved = now
    return _outcome(averaged, pictures)


def _outcome(averaged: WideNetwork, pictures: Sequence[np.ndarray]) -> WideNetwork:
    """The weights as they ship, whitened where there are pictures for it."""
    return whitened(averaged, pictures) if pictures else averaged


def _learn(
    network: WideNetwork,
    clean: ViewGroup,
    seen: np.ndarray,
    teacher: Taught | None,
    options: WideOptions,
    generator: torch.Generator,
    device: torch.device,
) -> tuple[np.ndarray, int]:
    """Gradients of one group; its losses and how many pairs of views it had."""
    patches = Patches.of(clean, options.patches, generator, device)
    queries, relation = patches.queries(options.queries, generator)
    if len(queries) < 16:
        return np.zeros(4), 0
    images = image_tensor(seen, device).float().contiguous(memory_format=torch.channels_last)
    with half_precision(device):
        maps, logits = network(images)
        features = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
        known = features[patches.index]
        loss, probability = reading(known, queries, relation)
        total = loss
        divergence = torch.zeros(())
        if teacher is not None:
            taught = teacher(image_tensor(clean.images, device).float())
            taught = taught.permute(0, 2, 3, 1).reshape(len(features), -1)
            view = torch.arange(len(images)).repeat_interleave(len(features) // len(images))
            asked = torch.randperm(len(features), generator=generator)[: options.queries // 2]
            divergence = relational(features, taught, asked.to(device), view.to(device))
            total = total + options.teacher_weight * divergence
    certainty = logits.flatten()[patches.index][queries]
    reliability = F.binary_cross_entropy_with_logits(certainty, probability)
    (total + options.reliability_weight * reliability).backward()
    values = [float(v.detach()) for v in (loss, probability.mean(), divergence, reliability)]
    met = 0
    for number in range(len(images)):
        other = (relation == 1) & (patches.view == number)[None]
        met += len(patches.view[queries][other.any(dim=1)].unique())
    return np.array(values), met


def _pictures(sources: Sequence[Source], options: WideOptions) -> list[np.ndarray]:
    """Pictures by which the features are whitened, always the same."""
    rng = np.random.default_rng([options.seed, 1])
    drawn = (_draw(sources, options, rng)[0] for _ in range(_WHITENED_BY))
    return [seen[0] for _, _, seen in drawn]


def _prefetched(
    sources: Sequence[Source], options: WideOptions, step: int
) -> Iterator[list[tuple[Source, ViewGroup, np.ndarray]]]:
    """Groups for step after step, each drawn while the one before is learned from."""
    rng = np.random.default_rng([options.seed, step])
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_draw, sources, options, rng)
        while True:
            groups = coming.result()
            coming = pool.submit(_draw, sources, options, rng)
            yield groups


def _draw(
    sources: Sequence[Source], options: WideOptions, rng: np.random.Generator
) -> list[tuple[Source, ViewGroup, np.ndarray]]:
    """Groups, each with its pictures (V, H, W, 3) under other light."""
    weights = np.array([source.weight for source in sources])
    drawn: list[tuple[Source, ViewGroup, np.ndarray]] = []
    while len(drawn) < options.groups:
        source = sources[rng.choice(len(sources), p=weights / weights.sum())]
        group = source.groups.draw(rng, options.views)
        if group is not None:
            seen = np.stack([relight(image, rng) for image in group.images])
            drawn.append((source, group, seen))
    return drawn


def _parts(
    network: WideNetwork,
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Parameters of the network's own, of the fine stem, and of the trunk where it learns.

    The trunk's first blocks and its filters by channel stay as they are: their gradients would be
    most of a step's time on a CPU. Of what stays, no gradient is asked any more.
    """
    own: list[torch.nn.Parameter] = []
    stem: list[torch.nn.Parameter] = []
    trunk: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if name.startswith(('stem.', 'level8.', 'level16.')):
            stem.append(parameter)
        elif not name.startswith('trunk.'):
            own.append(parameter)
        elif name.startswith(_LEARNING_BLOCKS) and '.filter.' not in name:
            trunk.append(parameter)
        else:
            parameter.requires_grad_(False)
    return own, stem, trunk


def _json(options: WideOptions) -> str:
    return json.dumps(asdict(options))


def _save(
    path: Path,
    step: int,
    used: float,
    pairs: int,
    network: WideNetwork,
    average: AveragedModel,
    optimizer: torch.optim.Optimizer,
) -> None:
    state = {
        'step': step,
        'seconds': used,
        'pairs': pairs,
        'network': network.state_dict(),
        'average': average.state_dict(),
        'optimizer': optimizer.state_dict(),
    }
    save_checkpoint(path, state)


def _resume(
    path: Path, network: WideNetwork, average: AveragedModel, optimizer: torch.optim.Optimizer
) -> tuple[int, float, int]:
    """Steps, seconds and pairs so far, 0 where there is no checkpoint."""
    with resumed(path) as state:
        if state is None:
            return 0, 0.0, 0
        network.load_state_dict(state['network'])
        average.load_state_dict(state['average'])
        optimizer.load_state_dict(state['optimizer'])
        return int(state['step']), float(state['seconds']), int(state['pairs'])
