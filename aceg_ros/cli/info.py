"""Say what is in a map, and how good it found itself."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from aceg_ros.maps.file import read_map
from aceg_ros.maps.sessions import session_reports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', type=Path, help='MAP.aceg')


def run(arguments: argparse.Namespace) -> int:
    """Print the map's description as JSON."""
    code = read_map(arguments.map)
    description = asdict(code.info) | {
        'quality': code.info.quality.to_dict(),
        'cameras': [camera.to_dict() for camera in code.info.cameras],
        'sessions': session_reports(code),
        'kind': code.kind,
        'tokens': len(code.embeddings),
        'keyframes': len(code.keyframes),
        'mean': (code.mean + np.array(code.info.origin)).round(4).tolist(),
        'extent': (code.extent + np.array(code.info.origin)).round(4).tolist(),
        'bytes': arguments.map.stat().st_size,
    }
    print(json.dumps(description, indent=2))
    return 0
