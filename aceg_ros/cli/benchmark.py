"""Compare with a classical localizer and a per-scene network on the same images."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aceg_ros.cli.common import ProgressBar, add_device, make_output, write_json
from aceg_ros.datasets import Frame, open_dataset
from aceg_ros.encoder.base import Encoder
from aceg_ros.engine import PUBLISHED, WIDE, Engine, Networks
from aceg_ros.errors import DatasetError
from aceg_ros.evaluation.benchmark import benchmark, scaling
from aceg_ros.evaluation.figures import draw_scaling
from aceg_ros.evaluation.methods import (
    AcegMethod,
    Method,
    PublishedMethod,
    baseline_methods,
)
from aceg_ros.evaluation.tables import benchmark_table
from aceg_ros.lab.encoder_training.light import relit
from aceg_ros.mapping.ace_g.schedule import SCHEDULES, schedule_named
from aceg_ros.mapping.options import FreeOptions
from aceg_ros.monitor import Monitor

_HOLD_OUT = 5
_WITH_ENCODER = ('aceg', 'first', 'depth', 'blocks', 'nearest')


@dataclass(frozen=True)
class LoadEncoder:
    """Loads an encoder, with features of unit length; unlike a network it pickles."""

    device: str
    encoder: str = WIDE

    def __call__(self) -> Encoder:
        return Engine.load(self.device, Networks(self.encoder)).encoder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('datasets', type=Path, nargs='+', help='datasets with poses')
    parser.add_argument('--map-split', help='split to map')
    parser.add_argument(
        '--query-split', help='split to localize; by default frames of the mapped one, held out'
    )
    parser.add_argument(
        '--queries', type=Path, help='another dataset to localize, in the frame of the mapped one'
    )
    parser.add_argument('--every', type=int, default=1, help='map every n-th frame of the split')
    parser.add_argument(
        '--hold-out',
        type=int,
        metavar='N',
        help='without --query-split and --queries: query every n-th frame, map the rest '
        f'(default: {_HOLD_OUT})',
    )
    parser.add_argument(
        '--halves', action='store_true', help='map the first half of the frames, query the second'
    )
    parser.add_argument(
        '--methods',
        default='aceg,sift',
        help='with commas between: aceg, first (its first map), depth (aceg with depth images), '
        'sift, nearest, published, blocks (aceg with --blocks)',
    )
    parser.add_argument(
        '--encoders',
        default=WIDE,
        help='encoders to compare, with commas between: compact, wide, dinov2, ... or folders',
    )
    parser.add_argument(
        '--schedule',
        default='ace-g-5min',
        choices=SCHEDULES,
        help='schedule of the method published',
    )
    parser.add_argument(
        '--regressor', default=PUBLISHED, help='regressor of the method published: a file or a name'
    )
    parser.add_argument(
        '--blocks', default='', help='weights from "aceg pretrain", for the method blocks'
    )
    parser.add_argument(
        '--memory',
        type=float,
        default=0.0,
        help='device memory for the method published, GB (0: all)',
    )
    parser.add_argument('--budget', type=float, default=60.0, help='seconds that aceg may map')
    parser.add_argument(
        '--relit',
        type=int,
        default=0,
        metavar='N',
        help='query each frame N times under random light instead of once as it is',
    )
    parser.add_argument(
        '--scaling', action='store_true', help='also measure maps of 50 to 300 keyframes'
    )
    parser.add_argument('-o', '--output', type=Path, help='folder for JSON and the picture')
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a table for each dataset, and write what was asked for."""
    if arguments.queries is not None and len(arguments.datasets) > 1:
        raise DatasetError('--queries are of one mapped dataset; name only that one')
    _check_division(arguments)
    methods = _methods(arguments)
    if arguments.output is not None:
        make_output(arguments.output)
    bar = ProgressBar()
    rows, scaled = [], []
    for path in arguments.datasets:
        mapped, queried = _divided(arguments, path)
        if arguments.relit > 0:
            queried = [relit(f, i) for i, f in enumerate(queried * arguments.relit)]
        rows += benchmark(path.name, mapped, queried, methods, Monitor(bar))
        if arguments.scaling:
            all_frames, _ = _divided(arguments, path, every=1)
            scaled += scaling(path.name, all_frames, queried, methods, monitor=Monitor(bar))
    bar.close()
    print(benchmark_table(rows))
    if scaled:
        print(benchmark_table(scaled))
    if arguments.output is not None:
        values = {'rows': [asdict(r) for r in rows], 'scaling': [asdict(r) for r in scaled]}
        write_json(arguments.output / 'benchmark.json', values)
        if scaled:
            draw_scaling(arguments.output / 'scaling.png', scaled)
    return 0


def _methods(arguments: argparse.Namespace) -> list[Method]:
    """Those asked for; one that has an encoder comes once for each, and is named by it."""
    encoders = arguments.encoders.split(',')
    methods: dict[str, Method] = {}
    for encoder in encoders:
        known: dict[str, Method] = {
            'aceg': AcegMethod(arguments.device, arguments.budget, Networks(encoder)),
            'first': AcegMethod(
                arguments.device, arguments.budget, Networks(encoder), 'first map', first=True
            ),
            'depth': AcegMethod(
                arguments.device,
                arguments.budget,
                Networks(encoder),
                'aceg with depth',
                use_depth=True,
            ),
            'blocks': AcegMethod(
                arguments.device, arguments.budget, Networks(encoder, arguments.blocks), 'blocks'
            ),
            'published': PublishedMethod(
                arguments.device,
                Networks(regressor=arguments.regressor),
                FreeOptions(schedule_named(arguments.schedule), arguments.memory),
            ),
        }
        known |= baseline_methods(LoadEncoder(arguments.device, encoder))
        for name in arguments.methods.split(','):
            if name not in known:
                raise DatasetError(f'method {name!r} is unknown; there are {", ".join(known)}')
            method = known[name]
            if len(encoders) > 1 and name in _WITH_ENCODER:
                named = f'{method.name} {Path(encoder).name}'
                method = replace(method, name=named)  # type: ignore[type-var]
            methods[method.name] = method
    return list(methods.values())


def _check_division(arguments: argparse.Namespace) -> None:
    """Raise DatasetError where options divide the frames in more than one way."""
    asked = {
        '--queries or --query-split': arguments.queries is not None or arguments.query_split,
        '--halves': arguments.halves,
        '--hold-out': arguments.hold_out is not None,
    }
    given = [name for name, is_given in asked.items() if is_given]
    if len(given) > 1:
        raise DatasetError(f'{" and ".join(given)} say different frames to query; give only one')
    if arguments.hold_out is not None and arguments.hold_out < 2:
        raise DatasetError(f'--hold-out {arguments.hold_out} leaves nothing to map; give 2 or more')


def _divided(
    arguments: argparse.Namespace, path: Path, every: int | None = None
) -> tuple[list[Frame], list[Frame]]:
    """Frames to map and frames to query."""
    every = every or arguments.every
    dataset = open_dataset(path)
    if arguments.queries is not None or arguments.query_split:
        asked = dataset if arguments.queries is None else open_dataset(arguments.queries)
        mapped = dataset.select(arguments.map_split, every=every).frames
        return mapped, asked.select(arguments.query_split).frames
    frames = dataset.select(arguments.map_split).frames
    if arguments.halves:
        middle = len(frames) // 2
        return frames[:middle:every], frames[middle:]
    step = _HOLD_OUT if arguments.hold_out is None else arguments.hold_out
    mapped = [frame for i, frame in enumerate(frames) if i % step != step // 2]
    return mapped[::every], frames[step // 2 :: step]
