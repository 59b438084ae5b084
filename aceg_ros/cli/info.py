"""Describe a map: its contents and its rating."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.cli.common import add_json, print_figures
from aceg_ros.geometry.poses import rotation_angle_deg
from aceg_ros.maps.code import AS_GIVEN, MapCode, MapQuality, Session
from aceg_ros.maps.file import read_map
from aceg_ros.maps.sessions import session_reports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', type=Path, help='MAP.aceg')
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the map's description."""
    code = read_map(arguments.map)
    size = arguments.map.stat().st_size
    print_figures(arguments.json, to_dict(code, size), describe(code, size))
    return 0


def to_dict(code: MapCode, size: int) -> dict[str, Any]:
    """The map's description for programs; `size` of its file in bytes."""
    mean, extent = _places(code)
    return asdict(code.info) | {
        'quality': code.info.quality.to_dict(),
        'cameras': [camera.to_dict() for camera in code.info.cameras],
        'known': [known.to_dict() for known in code.info.known],
        'sessions': session_reports(code),
        'kind': code.kind,
        'tokens': len(code.embeddings),
        'keyframes': len(code.keyframes),
        'mean': mean.round(4).tolist(),
        'extent': extent.round(4).tolist(),
        'bytes': size,
    }


def describe(code: MapCode, size: int) -> list[str]:
    """The map's description for people, a line for each thing; `size` of its file in bytes."""
    info, sessions = code.info, session_reports(code)
    _, (low, high) = _places(code)
    sides = ' x '.join(f'{side:.1f}' for side in high - low)
    corners = ' to '.join(f'({", ".join(f"{x:.2f}" for x in corner)})' for corner in (low, high))
    rows = [
        ('size', f'{size / 1e6:.2f} MB, {len(code.keyframes)} keyframes'),
        ('made', info.created or 'unknown'),
        *([('part of', info.place)] if info.place else []),
        ('quality', _quality(info.quality, info.metric)),
        ('more views', info.quality.advice or 'unknown'),
        *(('session', _session(report)) for report in sessions if len(sessions) > 1),
        *(('moved', words) for session in info.sessions if (words := _moved(session))),
        *(
            ('thin', f'{place.frame} at ({", ".join(f"{x:.2f}" for x in place.position)})')
            for place in info.quality.thin
        ),
        ('code', _contents(code)),
        ('extent', f'{sides}, from {corners}'),
        ('frame', f'{info.frame_id}, {"in meters" if info.metric else "without a metric unit"}'),
        *(
            ('camera', f'{c.width}x{c.height}, {c.model}, focal length {c.focal:.0f} px')
            for c in info.cameras
        ),
        ('encoder', info.encoder),
        ('regressor', info.regressor),
    ]
    return [f'{name:>11}: {text}' for name, text in rows]


def _session(report: dict[str, Any]) -> str:
    return (
        f'{report["name"]}: {report["keyframes"]} keyframes, {report["tokens"]} vectors, '
        f'{report["tokens_of_its_own"]} of them in no other session'
    )


def _moved(session: Session) -> str:
    """How the session lies beside the poses it was mapped with; empty where it was not moved."""
    if session.world_from_poses == AS_GIVEN:
        return ''
    matrix = np.array(session.world_from_poses)
    scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
    turn = float(rotation_angle_deg(matrix[:3, :3], np.eye(3)))
    shift = ', '.join(f'{x:.2f}' for x in matrix[:3, 3])
    scaled = '' if abs(scale - 1.0) < 1e-9 else f', scaled by {scale:.4f}'
    return (
        f'{session.name}: its poses were turned by {turn:.1f} degrees, moved by ({shift}){scaled}'
    )


def _places(code: MapCode) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the camera centers (3,) and corners of the scene (2, 3), as the mapping poses."""
    origin = np.array(code.info.origin)
    return code.mean + origin, code.extent + origin


def _quality(quality: MapQuality, metric: bool) -> str:
    words = quality.rating.value
    if not quality.held_out:
        return f'{words}; no keyframe was held out'
    words += f'; {quality.localized} of {quality.held_out} held-out keyframes localized'
    if quality.median_error is None or quality.median_error_deg is None:
        return words
    error = f'{100 * quality.median_error:.1f} cm' if metric else f'{quality.median_error:.4f}'
    return f'{words}, median error {error}, {quality.median_error_deg:.2f} degrees'


def _contents(code: MapCode) -> str:
    return f'{code.kind}, {len(code.embeddings)} vectors, {len(code.landmarks)} landmarks'
