"""Take one session out of a map of several."""

from __future__ import annotations

import argparse
from pathlib import Path

from aceg_ros.maps.file import read_map, write_map
from aceg_ros.maps.sessions import without_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', type=Path, help='MAP.aceg')
    parser.add_argument('--session', required=True, help='its name, as "aceg info" shows it')
    parser.add_argument('-o', '--output', type=Path, required=True, help='the map without it')


def run(arguments: argparse.Namespace) -> int:
    """Write the map without the session, and say what is left."""
    rest = without_session(read_map(arguments.map), arguments.session)
    size = write_map(arguments.output, rest)
    print(
        f'{arguments.output}: {len(rest.keyframes)} keyframes, {len(rest.anchors)} tokens, '
        f'{size / 1e6:.2f} MB; sessions {", ".join(s.name for s in rest.info.sessions)}'
    )
    return 0
