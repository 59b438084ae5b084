"""Fit a map to posed images."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from aceg_ros.cli.common import (
    ProgressBar,
    add_device,
    add_networks,
    add_options,
    add_selection,
    configuration,
    networks,
    selected,
    warn_skipped,
    write_json,
)
from aceg_ros.engine import PUBLISHED, Engine
from aceg_ros.errors import FitError
from aceg_ros.evaluation.benchmark import peak_rss_mb
from aceg_ros.mapping.ace_g.schedule import SCHEDULES, schedule_named
from aceg_ros.mapping.extension import extend_map
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.maps.code import FREE, MapCode
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.monitor import Monitor
from aceg_ros.options import configured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    defaults = MappingOptions()
    parser.add_argument('dataset', type=Path, help='folder with images and poses, or a rosbag')
    parser.add_argument('-o', '--output', type=Path, required=True, help='the map, MAP.aceg')
    add_selection(parser)
    add_device(parser)
    add_networks(parser)
    parser.add_argument(
        '--budget',
        type=float,
        help=f'seconds for the whole of mapping ({defaults.budget:g}, '
        f'with --extend {defaults.extension_budget:g})',
    )
    parser.add_argument(
        '--first',
        action='store_true',
        help='write a map to drive with after a first pass, before it is refined',
    )
    parser.add_argument(
        '--extend',
        type=Path,
        metavar='MAP.aceg',
        help='add the images to this map, whose own images are not needed; poses are in its frame',
    )
    parser.add_argument(
        '--session', default='', help='what the map calls these images (the name of the dataset)'
    )
    parser.add_argument('--tokens', type=int, help='size of the code')
    parser.add_argument('--depth', action='store_true', help='use depth images where there are any')
    parser.add_argument('--seed', type=int, help='of everything random (0)')
    add_options(parser)
    published = parser.add_argument_group('the published ACE-G', 'see docs/published-aceg.md')
    published.add_argument(
        '--schedule',
        choices=SCHEDULES,
        help='map as the published ACE-G, with a regressor that was imported (ace_g_pretrained, '
        'unless --regressor says otherwise); --budget and --depth make no difference then',
    )
    published.add_argument(
        '--memory', type=float, help="GB that may be used of the device's memory; all by default"
    )
    parser.add_argument('--json', type=Path, help='write the figures there')


def run(arguments: argparse.Namespace) -> int:
    """Map, write the map, say how good it is."""
    dataset = selected(arguments, arguments.dataset)
    base = None if arguments.extend is None else read_map(arguments.extend)
    engine = _engine(arguments, base)
    session = arguments.session or dataset.name
    mapper = map_scene if base is None else partial(extend_map, base)
    bar = ProgressBar()
    try:
        result = mapper(
            dataset.frames,
            engine,
            _options(arguments),
            dataset.metric,
            Monitor(bar),
            partial(_write_first, arguments.output) if arguments.first else None,
            session,
        )
    finally:
        bar.close()
    warn_skipped(result.skipped)
    for note in result.notes:
        print(f'aceg: {note}', file=sys.stderr)
    size = write_map(arguments.output, result.code)
    quality = result.code.info.quality
    figures = {
        'seconds': round(result.seconds, 2),
        'keyframes': len(result.code.keyframes),
        'map_bytes': size,
        'peak_rss_mb': peak_rss_mb(),
        'quality': quality.to_dict(),
    }
    write_json(arguments.json, figures)
    print(
        f'{arguments.output}: {len(result.code.keyframes)} keyframes in {result.seconds:.1f} s, '
        f'{size / 1e6:.2f} MB; quality {quality.rating.value}; more views: {quality.advice}'
    )
    return 0


def _engine(arguments: argparse.Namespace, base: MapCode | None) -> Engine:
    """The networks asked for, or those of the map to extend, or the usual ones."""
    chosen = networks(arguments)
    if base is not None:
        return Engine.for_map(base.info, arguments.device, chosen)
    if arguments.schedule and not chosen.regressor:
        chosen = replace(chosen, regressor=PUBLISHED)
    engine = Engine.load(arguments.device, chosen)
    if arguments.schedule and engine.regressor.kind != FREE:
        raise FitError(
            f'{arguments.schedule} is for a regressor that reads free codes: name one '
            '(--regressor, docs/published-aceg.md), or map without a schedule'
        )
    return engine


def _write_first(output: Path, code: MapCode) -> None:
    write_map(output, code)
    print(f'{output}: a first map; it is being refined', file=sys.stderr)


def _options(arguments: argparse.Namespace) -> MappingOptions:
    """Options by their dotted names, then those that have a flag of their own."""
    options, budget = configuration(arguments).mapping, arguments.budget
    flags = {
        'budget': options.extension_budget if budget is None and arguments.extend else budget,
        'tokens': arguments.tokens,
        'use_depth': arguments.depth or None,
        'seed': arguments.seed,
        'free.memory': arguments.memory,
        'free.schedule.tokens': arguments.tokens,
    }
    if arguments.schedule:
        schedule = schedule_named(arguments.schedule)
        options = replace(options, free=replace(options.free, schedule=schedule))
    return configured(options, {n: value for n, value in flags.items() if value is not None})
