"""Make a map of the published ACE-G tool one that the other commands and the nodes read."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from aceg_ros.cli.common import add_networks, networks
from aceg_ros.engine import PUBLISHED, Engine
from aceg_ros.errors import MapCodeError
from aceg_ros.maps.ace_g import read_published_map
from aceg_ros.maps.code import FREE
from aceg_ros.maps.file import write_map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', type=Path, help='map of the published tool, MAP.pt')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='file for the map, MAP.aceg'
    )
    parser.add_argument('--frame-id', default='map', help='frame of the poses')
    add_networks(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read, check against the networks that are to read it, write."""
    chosen = networks(arguments)
    chosen = replace(chosen, regressor=chosen.regressor or PUBLISHED)
    engine = Engine.load('cpu', chosen)
    regressor = engine.regressor
    if regressor.kind != FREE:
        raise MapCodeError('published maps are read by the published regressor: name that')
    code = read_published_map(
        arguments.map, engine.encoder.identity, regressor.codes(), arguments.frame_id
    )
    count, width = code.embeddings.shape
    if width != regressor.config.dim:
        raise MapCodeError(
            f'the vectors of {arguments.map} have {width} numbers, but the regressor '
            f'{chosen.regressor} reads vectors of {regressor.config.dim}; name the regressor that '
            'the map was made with (--regressor)'
        )
    size = write_map(arguments.output, code)
    print(f'{arguments.output}: {count} vectors of {width} numbers, {size / 1e6:.2f} MB')
    return 0
