"""Compares ways to bring a map into another frame: python tools/compare_alignment.py DATASET ...

The first half of each recording is mapped. Every fifth image of the second half has a pose in
another frame, and the map is brought there by these. Others are asked for, in that frame.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aceg_ros.cli.common import write_json
from aceg_ros.datasets import open_dataset
from aceg_ros.engine import Engine
from aceg_ros.evaluation.benchmark import spread
from aceg_ros.evaluation.metrics import FrameResult, evaluate
from aceg_ros.evaluation.tables import markdown, percent
from aceg_ros.geometry.poses import Array, inverse, make_pose, pose_error, so3_exp
from aceg_ros.lab.drift import drifting
from aceg_ros.localization.frame_pairs import localized_pairs, trajectory_of
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.maps.code import world_keyframes
from aceg_ros.monitor import Monitor
from aceg_ros.pose.frames import AlignmentOptions, align_frames, require_sure, sure_limits

OTHER_FROM_MAP = make_pose(so3_exp([0.05, -0.03, 2.3]), [12.0, -7.0, 1.5])  # rad, m
EVERY, QUERIES, SEED = 5, 40, 7
CM, DEG = 10.0, 5.0
COLUMNS = (
    'place',
    'poses given',
    'pairs that agree',
    'off by, at the farthest keyframe',
    'claimed deviation',
    'within 10 cm, not aligned',
    'by one pair',
    'aligned',
    'if the frame were known',
)


def compare(path: Path, engine: Engine, budget: float) -> Iterator[dict[str, Any]]:
    """Figures with exact poses in the other frame, and with poses that drift.

    Raises FitError when the place cannot be mapped, AlignmentError when it cannot be aligned.
    """
    frames = [frame for frame in open_dataset(path).frames if frame.world_from_cam is not None]
    half = len(frames) // 2
    code = map_scene(frames[:half], engine, MappingOptions(budget=budget)).code
    localizer = Localizer(code, engine)
    keyframes = world_keyframes(code)
    others = [frame for index, frame in enumerate(frames[half:]) if index % EVERY]
    asked = evaluate(localizer, spread(others, min(QUERIES, len(others)))).results
    for poses, posed in {
        'exact': frames[half:],
        'drifting': drifting(frames[half:], SEED),
    }.items():
        shown = [
            replace(frame, world_from_cam=OTHER_FROM_MAP @ frame.pose()) for frame in posed[::EVERY]
        ]
        pairs = localized_pairs(localizer, shown, trajectory_of(shown), np.eye(4), 0.01, Monitor())
        options = AlignmentOptions()
        found = align_frames(pairs, options)
        moved = found.apply_to_poses(keyframes)
        require_sure(found, moved[:, :3, 3], *sure_limits(options), path.name)
        off, turned = pose_error(moved, OTHER_FROM_MAP @ keyframes)
        old, new = (
            make_pose(turns[0], places[0])
            for turns, places in ((pairs.old_turns, pairs.old), (pairs.new_turns, pairs.new))
        )
        yield {
            'place': path.name,
            'poses': poses,
            'pairs': len(pairs),
            'agreeing': int(found.agreeing.sum()),
            'off_cm': 100 * float(off.max()),
            'off_deg': float(turned.max()),
            'claimed_cm': 100 * found.std_at(moved[:, :3, 3]),
            'claimed_deg': found.turn_std,
            'not_aligned': recall(asked, np.eye(4)),
            'by_one_pair': recall(asked, new @ inverse(old)),
            'aligned': recall(asked, found.new_from_old),
            'known': recall(asked, OTHER_FROM_MAP),
        }


def recall(results: Sequence[FrameResult], new_from_old: Array) -> float:
    """Part of the images whose pose in the other frame is right to 10 cm and 5 degrees."""
    right = 0
    for result in results:
        if isinstance(result.answer, Localization):
            truth = OTHER_FROM_MAP @ result.world_from_cam
            meters, degrees = pose_error(new_from_old @ result.answer.world_from_cam, truth)
            right += bool(100 * meters < CM and degrees < DEG)
    return right / len(results)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('datasets', type=Path, nargs='+', help='recordings with poses')
    parser.add_argument('--budget', type=float, default=40.0, help='seconds to map a place')
    parser.add_argument('--json', type=Path, help='JSON file for the figures')
    arguments = parser.parse_args()
    engine = Engine.load('cpu')
    figures = [
        each for path in arguments.datasets for each in compare(path, engine, arguments.budget)
    ]
    rows = [
        [
            row['place'],
            row['poses'],
            f'{row["agreeing"]} of {row["pairs"]}',
            f'{row["off_cm"]:.1f} cm, {row["off_deg"]:.2f} deg',
            f'{row["claimed_cm"]:.1f} cm, {row["claimed_deg"]:.2f} deg',
            *(percent(row[name]) for name in ('not_aligned', 'by_one_pair', 'aligned', 'known')),
        ]
        for row in figures
    ]
    print(markdown(COLUMNS, rows))
    write_json(arguments.json, {'places': figures})


if __name__ == '__main__':
    main()
