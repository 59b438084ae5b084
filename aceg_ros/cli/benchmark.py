"""Compare with a classical localizer and a per-scene network on the same images."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

from aceg_ros.cli.common import ProgressBar, add_device, write_json
from aceg_ros.datasets import Frame, open_dataset
from aceg_ros.encoder.base import Encoder
from aceg_ros.engine import Engine
from aceg_ros.errors import DatasetError
from aceg_ros.evaluation.benchmark import benchmark, scaling
from aceg_ros.evaluation.figures import draw_scaling
from aceg_ros.evaluation.methods import AcegMethod, Method, baseline_methods
from aceg_ros.evaluation.tables import benchmark_table


@dataclass(frozen=True)
class LoadEncoder:
    """Loads the shipped encoder; unlike a network it pickles."""

    device: str

    def __call__(self) -> Encoder:
        return Engine.load(self.device).encoder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('datasets', type=Path, nargs='+', help='datasets with poses')
    parser.add_argument('--map-split', help='map this split and query --query-split')
    parser.add_argument('--query-split', help='see --map-split')
    parser.add_argument('--every', type=int, default=1, help='map every n-th frame of the split')
    parser.add_argument(
        '--hold-out',
        type=int,
        default=5,
        help='without splits: query every n-th frame, map the rest',
    )
    parser.add_argument(
        '--methods', default='aceg,sift,mlp', help='some of aceg, sift, mlp, nearest'
    )
    parser.add_argument(
        '--budget', type=float, default=60.0, help="seconds of aceg's and mlp's fits"
    )
    parser.add_argument('--scaling', action='store_true', help='also 50 to 300 keyframes')
    parser.add_argument('-o', '--output', type=Path, help='folder for tables, JSON and picture')
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a table for each dataset, and write what was asked for."""
    known: dict[str, Method] = {'aceg': AcegMethod(arguments.device, arguments.budget)}
    known |= baseline_methods(LoadEncoder(arguments.device), arguments.budget)
    try:
        methods = [known[name] for name in arguments.methods.split(',')]
    except KeyError as error:
        raise DatasetError(f'method {error} is unknown; there are {", ".join(known)}') from error
    bar = ProgressBar()
    rows, scaled = [], []
    for path in arguments.datasets:
        mapped, queried = _divided(arguments, path)
        rows += benchmark(path.name, mapped, queried, methods, bar)
        if arguments.scaling:
            all_frames, _ = _divided(arguments, path, every=1)
            scaled += scaling(path.name, all_frames, queried, methods, progress=bar)
    bar.close()
    print(benchmark_table(rows))
    if scaled:
        print(benchmark_table(scaled))
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        values = {'rows': [asdict(r) for r in rows], 'scaling': [asdict(r) for r in scaled]}
        write_json(arguments.output / 'benchmark.json', values)
        if scaled:
            draw_scaling(arguments.output / 'scaling.png', scaled)
    return 0


def _divided(
    arguments: argparse.Namespace, path: Path, every: int | None = None
) -> tuple[list[Frame], list[Frame]]:
    """Frames to map and frames to query."""
    dataset = open_dataset(path)
    every = every or arguments.every
    if arguments.map_split or arguments.query_split:
        mapped = dataset.select(arguments.map_split, every=every).frames
        return mapped, dataset.select(arguments.query_split).frames
    step = arguments.hold_out
    queried = dataset.frames[step // 2 :: step]
    mapped = [f for i, f in enumerate(dataset.frames) if i % step != step // 2]
    return mapped[::every], queried
