"""Write a map's colored points as PLY."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from aceg_ros.cli.common import writing
from aceg_ros.errors import MapCodeError
from aceg_ros.files import write_atomically
from aceg_ros.maps.code import world_points
from aceg_ros.maps.file import read_map

_MAX_ROUNDING = 1e-4  # map units


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', type=Path, help='MAP.aceg')
    parser.add_argument('output', type=Path, help='file for the points, .ply')


def run(arguments: argparse.Namespace) -> int:
    """Write the points."""
    code = read_map(arguments.map)
    if not len(code.anchors):
        raise MapCodeError(
            f'{arguments.map} is a free code, which has no points; "aceg export-map" writes its '
            'vectors'
        )
    with writing(arguments.output):
        write_atomically(arguments.output, ply(world_points(code), code.colors))
    print(f'{len(code.anchors)} points in {arguments.output}')
    return 0


def ply(points3d: np.ndarray, colors: np.ndarray) -> bytes:
    """Points (N, 3) with colors (N, 3) uint8 as a binary PLY file (Turk, 1994).

    Coordinates are of 32 bits, which every viewer reads, where these hold them to a tenth of a
    millimeter, and of 64 bits elsewhere.
    """
    names = ('x', 'y', 'z'), ('red', 'green', 'blue')
    near = np.abs(points3d.astype(np.float32) - points3d).max(initial=0.0) < _MAX_ROUNDING
    number, word = ('<f4', 'float') if near else ('<f8', 'double')
    kind = np.dtype([(n, number) for n in names[0]] + [(n, 'u1') for n in names[1]])
    rows = np.empty(len(points3d), dtype=kind)
    for columns, values in zip(names, (points3d, colors), strict=True):
        for index, name in enumerate(columns):
            rows[name] = values[:, index]
    properties = [f'property {word} {name}' for name in names[0]]
    properties += [f'property uchar {name}' for name in names[1]]
    head = ['ply', 'format binary_little_endian 1.0', f'element vertex {len(rows)}', *properties]
    return '\n'.join([*head, 'end_header', '']).encode() + rows.tobytes()
