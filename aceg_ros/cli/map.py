"""Fit a map to posed images."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from aceg_ros.cli.common import (
    ProgressBar,
    add_device,
    add_networks,
    add_selection,
    networks,
    selected,
    warn_skipped,
    write_json,
)
from aceg_ros.datasets import Dataset
from aceg_ros.engine import PUBLISHED, Engine
from aceg_ros.evaluation.benchmark import peak_rss_mb
from aceg_ros.mapping.ace_g.mapper import map_by_schedule
from aceg_ros.mapping.ace_g.schedule import SCHEDULES, schedule_named
from aceg_ros.mapping.mapper import MappingResult, map_scene
from aceg_ros.mapping.options import FitOptions
from aceg_ros.maps.file import write_map
from aceg_ros.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    defaults = FitOptions()
    parser.add_argument('dataset', type=Path, help='folder with images and poses, or a rosbag')
    parser.add_argument('-o', '--output', type=Path, required=True, help='the map, MAP.aceg')
    add_selection(parser)
    add_device(parser)
    add_networks(parser)
    parser.add_argument(
        '--budget', type=float, default=defaults.budget, help='seconds for the whole of mapping'
    )
    parser.add_argument('--tokens', type=int, help='size of the code')
    parser.add_argument('--depth', action='store_true', help='use depth images where there are any')
    parser.add_argument('--seed', type=int, default=defaults.seed, help='of everything random')
    paper = parser.add_argument_group('the published ACE-G', 'see docs/published-aceg.md')
    paper.add_argument(
        '--schedule',
        choices=SCHEDULES,
        help='map as the paper does, with a regressor that was imported (ace_g_pretrained, unless '
        '--regressor says otherwise); --budget and --depth are not heeded',
    )
    paper.add_argument(
        '--memory', type=float, help="GB that may be used of the device's memory; all by default"
    )
    parser.add_argument('--json', type=Path, help='write the figures there')


def run(arguments: argparse.Namespace) -> int:
    """Map, write the map, say how good it is."""
    dataset = selected(arguments, arguments.dataset)
    chosen = networks(arguments)
    if arguments.schedule and not chosen.regressor:
        chosen = replace(chosen, regressor=PUBLISHED)
    engine = Engine.load(arguments.device, chosen)
    bar = ProgressBar()
    try:
        result = _map(arguments, dataset, engine, bar)
    finally:
        bar.close()
    warn_skipped(result.skipped)
    size = write_map(arguments.output, result.code)
    quality = result.code.info.quality
    figures = {
        'seconds': round(result.seconds, 2),
        'keyframes': len(result.code.keyframes),
        'map_bytes': size,
        'peak_rss_mb': peak_rss_mb(),
        'quality': quality,
    }
    write_json(arguments.json, figures)
    print(
        f'{arguments.output}: {len(result.code.keyframes)} keyframes in {result.seconds:.1f} s, '
        f'{size / 1e6:.2f} MB; quality {quality["verdict"]}; more views: {quality["advice"]}'
    )
    return 0


def _map(
    arguments: argparse.Namespace, dataset: Dataset, engine: Engine, progress: Progress
) -> MappingResult:
    if arguments.schedule or engine.regressor.free_codes:
        schedule = schedule_named(arguments.schedule or 'paper-5min')
        return map_by_schedule(
            dataset.frames,
            engine.encoder,
            engine.regressor,
            replace(schedule, tokens=arguments.tokens or schedule.tokens),
            arguments.memory,
            arguments.seed,
            metric=dataset.metric,
            progress=progress,
        )
    options = FitOptions(
        budget=arguments.budget,
        tokens=FitOptions.tokens if arguments.tokens is None else arguments.tokens,
        use_depth=arguments.depth,
        seed=arguments.seed,
    )
    return map_scene(
        dataset.frames, engine.encoder, engine.regressor, options, dataset.metric, progress
    )
