"""Record, map and relocalize in a procedural world."""

from __future__ import annotations

import argparse
from pathlib import Path

from aceg_ros.cli.common import ProgressBar, add_device, write_json
from aceg_ros.engine import Engine
from aceg_ros.evaluation.demo import DemoOptions, run_demo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    defaults = DemoOptions()
    parser.add_argument('-o', '--output', type=Path, default=Path('demo_output'), help='folder')
    parser.add_argument('--seed', type=int, default=defaults.seed, help='of the world')
    parser.add_argument('--budget', type=float, default=defaults.budget, help='seconds of mapping')
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print figures, write pictures; the exit status is 0 when most views were found."""
    engine = Engine.load(arguments.device)
    bar = ProgressBar()
    try:
        result = run_demo(
            engine, arguments.output, DemoOptions(seed=arguments.seed, budget=arguments.budget), bar
        )
    finally:
        bar.close()
    write_json(arguments.output / 'demo.json', result.figures)
    for name, value in result.figures.items():
        print(f'{name:>20}: {value}')
    print(f'pictures: {result.page}')
    return 0 if result.succeeded else 1
