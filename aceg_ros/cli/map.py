"""Fit a map to posed images."""

from __future__ import annotations

import argparse
from pathlib import Path

from aceg_ros.cli.common import (
    ProgressBar,
    add_device,
    add_selection,
    selected,
    warn_skipped,
    write_json,
)
from aceg_ros.engine import Engine
from aceg_ros.evaluation.benchmark import peak_rss_mb
from aceg_ros.map_code.file import write_map
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import FitOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    defaults = FitOptions()
    parser.add_argument('dataset', type=Path, help='folder with images and poses, or a rosbag')
    parser.add_argument('-o', '--output', type=Path, required=True, help='the map, MAP.aceg')
    add_selection(parser)
    add_device(parser)
    parser.add_argument(
        '--budget', type=float, default=defaults.budget, help='seconds for the whole of mapping'
    )
    parser.add_argument('--tokens', type=int, default=defaults.tokens, help='size of the code')
    parser.add_argument('--depth', action='store_true', help='use depth images where there are any')
    parser.add_argument('--seed', type=int, default=defaults.seed, help='of everything random')
    parser.add_argument('--json', type=Path, help='write the figures there')


def run(arguments: argparse.Namespace) -> int:
    """Map, write the map, say how good it is."""
    dataset = selected(arguments, arguments.dataset)
    engine = Engine.load(arguments.device)
    options = FitOptions(
        budget=arguments.budget,
        tokens=arguments.tokens,
        use_depth=arguments.depth,
        seed=arguments.seed,
    )
    bar = ProgressBar()
    try:
        result = map_scene(
            dataset.frames, engine.encoder, engine.regressor, options, dataset.metric, bar
        )
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
