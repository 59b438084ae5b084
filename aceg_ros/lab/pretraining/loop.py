"""The training loop: mapping and query iterations in turn, on one process or several."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from aceg_ros.errors import ConfigError
from aceg_ros.lab.checkpoints import resumed, save_checkpoint
from aceg_ros.lab.pretraining.config import PretrainOptions, ScheduleOptions
from aceg_ros.lab.pretraining.losses import choice_loss, prediction_loss
from aceg_ros.lab.pretraining.pool import ActiveScene, Pool
from aceg_ros.lab.pretraining.sampling import find_tokens, random_rotation, sample_patches
from aceg_ros.lab.pretraining.shards import feature_length
from aceg_ros.learning import warmup_cosine
from aceg_ros.regressor.anchored import AnchoredRegressor, AnchoredTensors
from aceg_ros.regressor.blocks import Surroundings
from aceg_ros.regressor.files import save_regressor

_CHANGEABLE = ('iterations', 'checkpoint_seconds')  # between two sittings
_SMOOTHING = 0.01  # of the losses reported


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is."""

    rank: int = 0
    world: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Ranks:
        """As `torchrun` says; alone without it."""
        if 'RANK' not in os.environ or int(os.environ.get('WORLD_SIZE', 1)) == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group('nccl' if device.type == 'cuda' else 'gloo')
        return cls(dist.get_rank(), dist.get_world_size())

    def device(self) -> torch.device:
        """The GPU of this process on its machine."""
        return torch.device('cuda', int(os.environ.get('LOCAL_RANK', self.rank)))


@dataclass(frozen=True)
class Progress:
    """What an iteration reports, losses smoothed; nan before the first of its kind."""

    iteration: int
    mapping: float
    query: float
    patches_per_second: float


def pretrain(
    files: list[Path],
    output: Path,
    options: PretrainOptions,
    device: torch.device,
    report: Callable[[Progress], None],
    ranks: Ranks | None = None,
) -> AnchoredRegressor:
    """Train a regressor on scenes' ``files`` and write it to ``output``.

    ``output`` with suffix ``.checkpoint<rank>`` is what resuming needs: a run that was stopped goes
    on as if it had not been. Raises WeightsError for a checkpoint that does not fit.
    """
    ranks = ranks or Ranks()
    schedule = options.schedule
    if schedule.slots % ranks.world:
        raise ConfigError(
            f'schedule.slots is {schedule.slots}, which {ranks.world} processes cannot share evenly'
        )
    if not options.reader.blocks:
        raise ConfigError('reader.blocks is 0, so there is nothing to train')
    if not files:
        raise ConfigError('there is no scene to train on')
    torch.manual_seed(schedule.seed)
    reader = AnchoredRegressor(options.reader.shape(feature_length(files))).to(device).train()
    optimizer = torch.optim.AdamW(
        reader.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    slots = list(range(ranks.rank, schedule.slots, ranks.world))
    pool = Pool(files, schedule, slots, device)
    checkpoint = output.with_suffix(f'.checkpoint{ranks.rank}')
    iteration = _resume(checkpoint, reader, optimizer, pool, options, ranks)

    losses = {True: math.nan, False: math.nan}
    saved = measured = time.monotonic()
    patches = 0
    while iteration < schedule.iterations:
        mapping = is_mapping(iteration, schedule)
        for slot in slots:
            generator = _generator(schedule.seed, iteration, slot)
            active = pool.scene(slot, generator)
            loss, count = iterate(reader, active, schedule, mapping, generator)
            value, patches = float(loss), patches + count
            before = losses[mapping] if math.isfinite(losses[mapping]) else value
            losses[mapping] = before + _SMOOTHING * (value - before)
        iteration += 1
        if iteration % schedule.network_every == 0:
            _step(reader, optimizer, iteration, schedule, ranks)
        now = time.monotonic()
        report(Progress(iteration, losses[True], losses[False], patches / (now - measured)))
        if iteration % schedule.network_every == 0 and _due(
            now - saved > schedule.checkpoint_seconds or iteration == schedule.iterations, ranks
        ):
            _save(checkpoint, iteration, reader, optimizer, pool, options, ranks)
            if ranks.rank == 0:
                save_regressor(reader, output, {'iterations': str(iteration)})
            saved = time.monotonic()
        if now - measured > 60:
            measured, patches = now, 0
    if ranks.rank == 0:
        save_regressor(reader, output, {'iterations': str(iteration)})
    return reader


def is_mapping(iteration: int, schedule: ScheduleOptions) -> bool:
    """Whether this iteration maps; the others query."""
    return iteration % (schedule.mapping + schedule.query) < schedule.mapping


def iterate(
    reader: AnchoredRegressor,
    active: ActiveScene,
    schedule: ScheduleOptions,
    mapping: bool,
    generator: torch.Generator,
) -> tuple[torch.Tensor, int]:
    """One iteration on one scene: its loss, and how many patches were read.

    Gradients are added to the network's, and a mapping iteration steps the code.
    """
    buffer = active.buffer
    views = buffer.mapping if mapping else buffer.query
    sample = sample_patches(views, schedule.views, schedule.patches, generator, schedule.dropout)
    in_context = float(torch.rand((), generator=generator)) < schedule.image_context
    rotation = random_rotation(generator).to(sample.features.device)
    code = active.code.tensors()
    if not mapping:
        code = AnchoredTensors(*(part.detach() for part in vars(code).values()))
    tokens = find_tokens(reader, sample, code, active.hidden() if mapping else None)
    turned = AnchoredTensors(
        code.embeddings, code.anchors @ rotation.T, code.log_sigma, code.log_prior
    )
    sample = sample.turned(rotation)
    given = reader.candidates(sample.features, turned, tokens)
    around = Surroundings.of(sample.rays, sample.images) if in_context else None
    in_space = (schedule.mapping_loss if mapping else schedule.query_loss) == 'points'
    losses = [
        prediction_loss(read, sample, buffer.depth, in_space)
        + schedule.choice_weight * choice_loss(given, read.logits, sample, not mapping).mean()
        for read in reader.rounds(given, turned, around)
    ]
    loss = torch.stack(losses).mean()
    loss.backward()
    if mapping:
        active.optimizer.step()
        active.optimizer.zero_grad(set_to_none=True)
        active.age += 1
    return loss.detach(), len(sample.features)


def _generator(seed: int, iteration: int, slot: int) -> torch.Generator:
    """Of everything random in one slot of one iteration, whoever does it."""
    return torch.Generator().manual_seed((seed * 7919 + iteration) * 1009 + slot)


def _step(
    reader: AnchoredRegressor,
    optimizer: torch.optim.Optimizer,
    iteration: int,
    schedule: ScheduleOptions,
    ranks: Ranks,
) -> None:
    """Step the network by the mean gradient of all slots since its last step."""
    gradients = [p.grad for p in reader.parameters() if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    if ranks.world > 1:
        dist.all_reduce(flat)
    flat /= schedule.slots * schedule.network_every
    flat *= min(1.0, schedule.clip / max(float(flat.norm()), 1e-12))
    if torch.isfinite(flat).all():
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, part in zip(gradients, flat.split(sizes), strict=True):
            gradient.copy_(part.view_as(gradient))
        for group in optimizer.param_groups:
            group['lr'] = schedule.learning_rate * warmup_cosine(
                iteration / schedule.iterations, schedule.warmup, last=0.01
            )
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _due(wanted: bool, ranks: Ranks) -> bool:
    """What the first process wants, so that all save the same iteration."""
    if ranks.world == 1:
        return wanted
    answer = [wanted]
    dist.broadcast_object_list(answer, src=0)
    return answer[0]


def _save(
    path: Path,
    iteration: int,
    reader: AnchoredRegressor,
    optimizer: torch.optim.Optimizer,
    pool: Pool,
    options: PretrainOptions,
    ranks: Ranks,
) -> None:
    state = {
        'iteration': iteration,
        'world': ranks.world,
        'reader_options': asdict(reader.config),
        'schedule': asdict(options.schedule),
        'network': reader.state_dict(),
        'optimizer': optimizer.state_dict(),
        'pool': pool.state(),
    }
    # no process may be left with an older one than the others
    save_checkpoint(path, state, written=dist.barrier if ranks.world > 1 else lambda: None)


def _resume(
    path: Path,
    reader: AnchoredRegressor,
    optimizer: torch.optim.Optimizer,
    pool: Pool,
    options: PretrainOptions,
    ranks: Ranks,
) -> int:
    """Iterations already done, 0 where there is no checkpoint."""
    with resumed(path) as state:
        if state is None:
            return 0
        if state['world'] != ranks.world:
            raise ValueError(f'it is of {state["world"]} processes, not of {ranks.world}')
        now, then = asdict(options.schedule), state['schedule']
        changed = [k for k in now if k not in _CHANGEABLE and now[k] != then.get(k)]
        if changed or asdict(reader.config) != state['reader_options']:
            raise ValueError(f'other options: {", ".join(changed) or "reader"}')
        reader.load_state_dict(state['network'])
        optimizer.load_state_dict(state['optimizer'])
        pool.load_state(state['pool'])
        return int(state['iteration'])
