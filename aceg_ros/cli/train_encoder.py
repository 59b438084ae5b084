"""Train the compact encoder."""

from __future__ import annotations

import argparse
from pathlib import Path

from aceg_ros.cli.common import add_device
from aceg_ros.encoder.compact import CompactEncoder
from aceg_ros.engine import resolve_device
from aceg_ros.lab.encoder_training.loop import TrainingOptions, TrainingStep, train
from aceg_ros.lab.encoder_training.sources import collect
from aceg_ros.lab.encoder_training.teacher import Teacher

REPORT_EVERY = 20  # steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    defaults = TrainingOptions()
    parser.add_argument('datasets', type=Path, nargs='*', help='datasets or folders of pictures')
    parser.add_argument('-o', '--output', type=Path, required=True, help='weights, .safetensors')
    parser.add_argument('--teacher', type=Path, required=True, help='fused XFeat weights')
    parser.add_argument('--init', type=Path, help='weights to start from, not random ones')
    parser.add_argument('--minutes', type=float, default=defaults.minutes, help='over all sittings')
    parser.add_argument('--worlds', type=int, default=8, help='procedural worlds to add')
    parser.add_argument('--frames', type=int, default=40, help='per world')
    parser.add_argument('--seed', type=int, default=defaults.seed, help='of everything random')
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, or go on where a run into the same output was stopped."""
    device = resolve_device(arguments.device)
    teacher = Teacher(arguments.teacher, device)
    sources = collect(
        arguments.datasets, arguments.worlds, arguments.frames, arguments.seed + 100, print
    )
    options = TrainingOptions(minutes=arguments.minutes, seed=arguments.seed)
    start = CompactEncoder.load(arguments.init, device).network if arguments.init else None
    train(sources, teacher, arguments.output, options, device, _report, start)
    print(f'weights in {arguments.output}')
    return 0


def _report(step: TrainingStep) -> None:
    if step.step % REPORT_EVERY == 0:
        print(
            f'step {step.step}, {step.minutes:.1f} min: distillation {step.distillation:.4f}, '
            f'matching {step.matching:.3f}, reading {step.reading:.3f}, '
            f'reliability {step.reliability:.3f}',
            flush=True,
        )
