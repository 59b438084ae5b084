"""Write a map of the published regressor as the published ACE-G tool reads it."""

from __future__ import annotations

import argparse
from pathlib import Path

from aceg_ros.maps.ace_g import write_published_map
from aceg_ros.maps.file import read_map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', type=Path, help='MAP.aceg')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='file for the published tool, MAP.pt'
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, write."""
    code = read_map(arguments.map)
    write_published_map(arguments.output, code)
    print(f'{arguments.output}: {len(code.embeddings)} vectors and the mean')
    return 0
