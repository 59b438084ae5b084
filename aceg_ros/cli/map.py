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
    add_json,
    add_networks,
    add_options,
    add_selection,
    configuration,
    networks,
    print_figures,
    selected,
    warn_skipped,
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
    parser.add_argument(
        'dataset',
        type=Path,
        help='folder with images and poses, a rosbag, or RIG.yaml of several cameras',
    )
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='file for the map, MAP.aceg'
    )
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
        help='write a first, coarser map after one pass; the refined map replaces it',
    )
    parser.add_argument(
        '--extend',
        type=Path,
        metavar='MAP.aceg',
        help='add the images to this map, without its own images; poses are in its frame',
    )
    parser.add_argument(
        '--session', default='', help='name of the recording in the map (that of the dataset)'
    )
    parser.add_argument('--tokens', type=int, help='number of vectors in the map code')
    parser.add_argument('--depth', action='store_true', help='use depth images if there are any')
    parser.add_argument('--seed', type=int, help='seed of all random numbers (0)')
    add_options(parser)
    published = parser.add_argument_group('the published ACE-G', 'see docs/published-aceg.md')
    published.add_argument(
        '--schedule',
        choices=SCHEDULES,
        help='map as the published ACE-G does, with its imported regressor (--regressor, '
        'ace_g_pretrained by default); --budget and --depth then have no effect',
    )
    published.add_argument(
        '--memory', type=float, help='device memory that may be used, GB; by default all'
    )
    add_json(parser)


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
    text = (
        f'{arguments.output}: {len(result.code.keyframes)} keyframes in {result.seconds:.1f} s, '
        f'{size / 1e6:.2f} MB; quality {quality.rating.value}; more views: {quality.advice}'
    )
    print_figures(arguments.json, figures, [text])
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
