"""Record, map and relocalize over ROS 2, in a procedural world or with a dataset."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aceg_ros.cli.common import ProgressBar, add_device, warn_skipped, write_json, writing
from aceg_ros.datasets import open_dataset
from aceg_ros.demo.engine_demo import (
    DemoResult,
    Tours,
    WorldTours,
    describe,
    held,
    run_engine,
    world_tours,
)
from aceg_ros.engine import Engine
from aceg_ros.errors import AcegError, DatasetError
from aceg_ros.monitor import Monitor

# Hz of the procedural world's camera; 13 degrees a second at most. On a CPU without AVX512 a query
# takes 0.3 s, and at twice this rate a third of the images was dropped.
WORLD_RATE = 2.5
FIGURES = 'demo.json'
WORLD_BUDGET, DATASET_BUDGET = 30.0, 60.0  # s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    defaults = WorldTours()
    parser.add_argument(
        '-o', '--output', type=Path, default=Path('demo_output'), help='folder for the results'
    )
    parser.add_argument(
        '--seed', type=int, default=defaults.seed, help='seed of the procedural world'
    )
    parser.add_argument(
        '--budget',
        type=float,
        help=f'seconds of mapping ({WORLD_BUDGET:g}; {DATASET_BUDGET:g} with a dataset)',
    )
    add_device(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument('--engine', action='store_true', help='run without ROS')
    how.add_argument(
        '--attach', action='store_true', help='use nodes that already run instead of starting them'
    )
    data = parser.add_argument_group('real images')
    data.add_argument('--dataset', type=Path, help='dataset with poses, instead of a world')
    data.add_argument('--map-split', help='split to record')
    data.add_argument('--map-every', type=int, default=1, help='show every n-th frame of it')
    data.add_argument('--query-split', help='split to localize')
    data.add_argument('--query-every', type=int, default=1, help='show every n-th frame of it')
    camera = parser.add_argument_group('camera')
    camera.add_argument('--rate', type=float, help='images per second')
    camera.add_argument(
        '--minutes', type=float, default=0.0, help='repeat the second tour for this long'
    )
    camera.add_argument(
        '--compressed',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='send images as JPEG; raw images can displace poses in transport',
    )


def run(arguments: argparse.Namespace) -> int:
    """Print figures, write pictures; the exit status is 0 when most views were found."""
    with writing(arguments.output):
        arguments.output.mkdir(parents=True, exist_ok=True)
        # What an earlier demo found must not stand beside a failure.
        (arguments.output / FIGURES).unlink(missing_ok=True)
    without_ros = 'the engine alone was asked for' if arguments.engine else _missing_ros()
    if without_ros:
        if arguments.attach:
            raise AcegError(f'there are no nodes to attach to: {without_ros}')
        print(f'aceg: {without_ros}; running without ROS', file=sys.stderr)
    bar = ProgressBar()
    try:
        with writing(arguments.output):
            monitor = Monitor(bar)
            tours = _tours(arguments, monitor)
            result = (_without_ros if without_ros else _over_ros)(arguments, tours, monitor)
    finally:
        bar.close()
    write_json(arguments.output / FIGURES, result.figures)
    print(describe(result.figures))
    print(f'pictures: {result.page}')
    return 0 if result.succeeded else 1


def _missing_ros() -> str:
    """Why ROS cannot be used; empty when it can."""
    try:
        import aceg_ros.demo.run  # noqa: F401
    except ImportError as error:
        return f'ROS 2 cannot be imported ({error})'
    return ''


def _tours(arguments: argparse.Namespace, monitor: Monitor) -> Tours:
    if arguments.dataset is None:
        print(
            f'aceg: rendering world {arguments.seed} and two tours of it; this takes a while',
            file=sys.stderr,
            flush=True,
        )
        return world_tours(WorldTours(seed=arguments.seed), monitor)
    dataset = open_dataset(arguments.dataset)
    tours = held(
        dataset.select(arguments.map_split, every=arguments.map_every),
        dataset.select(arguments.query_split, every=arguments.query_every),
        monitor,
    )
    warn_skipped(tours.recorded.skipped + tours.queries.skipped)
    return tours


def _budget(arguments: argparse.Namespace) -> float:
    usual = WORLD_BUDGET if arguments.dataset is None else DATASET_BUDGET
    return arguments.budget or usual


def _without_ros(arguments: argparse.Namespace, tours: Tours, monitor: Monitor) -> DemoResult:
    if arguments.minutes:
        raise DatasetError('--minutes works over ROS only')
    engine = Engine.load(arguments.device)
    return run_engine(tours, arguments.output, _budget(arguments), engine, monitor)


def _over_ros(arguments: argparse.Namespace, tours: Tours, monitor: Monitor) -> DemoResult:
    from aceg_ros.demo.run import RosOptions, run_ros

    options = RosOptions(
        rate=arguments.rate or (WORLD_RATE if arguments.dataset is None else None),
        minutes=arguments.minutes,
        compressed=arguments.compressed,
        attach=arguments.attach,
        budget=_budget(arguments),
        device=arguments.device,
    )
    return run_ros(tours, arguments.output, options, monitor)
