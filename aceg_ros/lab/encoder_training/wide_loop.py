"""The training loop of the wide encoder, resumable at any checkpoint."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aceg_ros.encoder.base import image_tensor
from aceg_ros.encoder.wide import WideNetwork, layout, save_weights
from aceg_ros.lab.checkpoints import resumed, save_checkpoint
from aceg_ros.lab.encoder_training.groups import GroupSource, ViewGroup
from aceg_ros.lab.encoder_training.light import relight_batch
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
    # Whether the trunk's first blocks and its filters by channel learn as well. Their gradients are
    # most of a step's time on a CPU.
    whole_trunk: bool = False
    frozen: float = 0.1  # part of the time in which stem and trunk stay as they are
    warmup: float = 0.03  # part of the time in which the learning rates rise
    reliability_weight: float = 0.2
    teacher_weight: float = 0.1  # on groups of real pictures
    # Whether what is saved has half of its features' correlation removed. It helps the first
    # training, and makes weights worse that go on from such ones.
    whiten: bool = True
    checkpoint_seconds: float = 60.0
    loaders: int = 1  # threads that read groups ahead
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """A source of groups, how often it is drawn from, and whether the teacher is asked."""

    name: str
    groups: GroupSource
    weight: float
    taught: bool = False


@dataclass(frozen=True)
class Drawn:
    """A group to learn from, with its pictures (V, 3, H, W) on the device."""

    source: Source
    group: ViewGroup
    images: torch.Tensor


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
    network.to(memory_format=layout(device))  # type: ignore[call-overload]
    own, stem, trunk = _parts(network, options.whole_trunk)
    optimizer = torch.optim.AdamW(
        [{'params': own}, {'params': stem}, {'params': trunk}],
        lr=options.learning_rate,
        weight_decay=1e-4,
    )
    shares = (1.0, options.stem_share, options.trunk_share)
    checkpoint = output.with_suffix('.checkpoint')
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(_AVERAGED))
    step, used, pairs = _resume(checkpoint, network, average, optimizer)
    learner = _Learner(network, teacher, options, device, step)

    averaged: WideNetwork = average.module  # type: ignore[assignment]
    pictures = _pictures(sources, options) if options.whiten else []
    network.train()
    last, saved = time.monotonic(), time.monotonic()
    for groups in _prefetched(sources, options, step, device):
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
        losses, met = learner.learn(groups)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(network)
        step, pairs = step + 1, pairs + met
        now = time.monotonic()
        used, last = used + now - last, now
        report(WideStep(step, used / 60, pairs, *losses))
        if now - saved > options.checkpoint_seconds or used >= options.minutes * 60:
            _save(checkpoint, step, used, pairs, network, average, optimizer)
            about = {'steps': str(step), 'pairs': str(pairs), 'options': _json(options)}
            save_weights(_outcome(averaged, pictures), output, about)
            saved = now
    return _outcome(averaged, pictures)


def _outcome(averaged: WideNetwork, pictures: Sequence[np.ndarray]) -> WideNetwork:
    """The weights as they ship, whitened where there are pictures for it."""
    return whitened(averaged, pictures) if pictures else averaged


class _Learner:
    """Gradients of groups, those with pictures of one size together."""

    def __init__(
        self,
        network: WideNetwork,
        teacher: Taught | None,
        options: WideOptions,
        device: torch.device,
        step: int,
    ):
        self._network, self._teacher, self._options = network, teacher, options
        self._device = device
        self._rng = np.random.default_rng([options.seed, step, 2])
        self._generator = torch.Generator(device).manual_seed(options.seed + step)

    def learn(self, groups: Sequence[Drawn]) -> tuple[list[float], int]:
        """Mean reading loss, probability, divergence and reliability loss; pairs of views."""
        shapes = sorted({drawn.images.shape[1:] for drawn in groups})
        found = torch.stack(
            [
                self._of_one_size([drawn for drawn in groups if drawn.images.shape[1:] == shape])
                for shape in shapes
            ]
        ).sum(dim=0)
        *losses, met = found.tolist()
        return [value / len(groups) for value in losses], int(met)

    def _of_one_size(self, drawn: Sequence[Drawn]) -> torch.Tensor:
        """Sums (5,) of what `learn` gives."""
        seen = relight_batch(torch.cat([one.images for one in drawn]), self._rng)
        with half_precision(self._device):
            maps, logits = self._network(seen)
        sizes = [len(one.images) for one in drawn]
        sums = torch.zeros(5, device=self._device)
        total = torch.zeros((), device=self._device)
        for one, features, certainty in zip(
            drawn, maps.split(sizes), logits.split(sizes), strict=True
        ):
            loss, values = self._of_group(one, features, certainty)
            total, sums = total + loss, sums + values
        if total.requires_grad:
            (total / self._options.groups).backward()
        return sums

    def _of_group(
        self, drawn: Drawn, maps: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of one group, and its share (5,) of what `learn` gives."""
        options, device, clean = self._options, self._device, drawn.images
        patches = Patches.of(drawn.group, options.patches, self._generator, device)
        queries, relation = patches.queries(options.queries, self._generator)
        if len(queries) < 16:
            return torch.zeros((), device=device), torch.zeros(5, device=device)
        with half_precision(device):
            features = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
            loss, probability = reading(features[patches.index], queries, relation)
            total = loss
            divergence = torch.zeros((), device=device)
            if drawn.source.taught and self._teacher is not None:
                taught = self._teacher(clean.float())
                taught = taught.permute(0, 2, 3, 1).reshape(len(features), -1)
                view = torch.arange(len(clean)).repeat_interleave(len(features) // len(clean))
                order = torch.randperm(len(features), generator=self._generator, device=device)
                asked = order[: options.queries // 2]
                divergence = relational(features, taught, asked, view.to(device))
                total = total + options.teacher_weight * divergence
        certainty = logits.flatten()[patches.index][queries]
        reliability = F.binary_cross_entropy_with_logits(certainty, probability)
        met = patches.pairs_of_views(queries, relation, len(clean))
        values = [loss, probability.mean(), divergence, reliability, met]
        return (
            total + options.reliability_weight * reliability,
            torch.stack([value.detach().float() for value in values]),
        )


def _pictures(sources: Sequence[Source], options: WideOptions) -> list[np.ndarray]:
    """Pictures by which the features are whitened, always the same."""
    rng = np.random.default_rng([options.seed, 1])
    pictures = []
    for _ in range(_WHITENED_BY):
        drawn = _draw(sources, options, rng, torch.device('cpu'))[0]
        seen = relight_batch(drawn.images[:1], rng)
        pictures.append(seen[0].permute(1, 2, 0).byte().numpy())
    return pictures


def _prefetched(
    sources: Sequence[Source], options: WideOptions, step: int, device: torch.device
) -> Iterator[list[Drawn]]:
    """Groups for step after step, drawn while those before are learned from."""
    with ThreadPoolExecutor(options.loaders) as pool:
        coming: deque[Future[list[Drawn]]] = deque()
        while True:
            while len(coming) < 2 * options.loaders:
                rng = np.random.default_rng([options.seed, step, 3])
                coming.append(pool.submit(_draw, sources, options, rng, device))
                step += 1
            yield coming.popleft().result()


def _draw(
    sources: Sequence[Source],
    options: WideOptions,
    rng: np.random.Generator,
    device: torch.device,
) -> list[Drawn]:
    weights = np.array([source.weight for source in sources])
    drawn: list[Drawn] = []
    while len(drawn) < options.groups:
        source = sources[rng.choice(len(sources), p=weights / weights.sum())]
        group = source.groups.draw(rng, options.views)
        if group is not None:
            drawn.append(Drawn(source, group, image_tensor(group.images, device)))
    return drawn


def _parts(
    network: WideNetwork, whole_trunk: bool
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Parameters of the network's own, of the fine stem, and of the trunk where it learns.

    Of what stays as it is, no gradient is asked any more.
    """
    own: list[torch.nn.Parameter] = []
    stem: list[torch.nn.Parameter] = []
    trunk: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if name.startswith(('stem.', 'level8.', 'level16.')):
            stem.append(parameter)
        elif not name.startswith('trunk.'):
            own.append(parameter)
        elif whole_trunk or (name.startswith(_LEARNING_BLOCKS) and '.filter.' not in name):
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
