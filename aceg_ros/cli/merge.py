"""Join two maps of one place, or of places in one frame."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from aceg_ros.cli.common import (
    ProgressBar,
    add_device,
    add_networks,
    add_options,
    add_selection,
    configuration,
    images_at,
    networks,
    warn_notes,
    warn_skipped,
    write_json,
)
from aceg_ros.engine import Engine
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.registration import localized_in_both, register, require_known
from aceg_ros.maps.code import AnchoredCode, world_keyframes
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.maps.sessions import check_joinable, joined, moved, require_anchored
from aceg_ros.monitor import Monitor
from aceg_ros.pose.frames import FrameAlignment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('first', type=Path, help='MAP.aceg, whose frame the joined map has')
    parser.add_argument('second', type=Path, help='MAP.aceg')
    parser.add_argument('-o', '--output', type=Path, required=True, help='the joined map')
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        '--same-frame', action='store_true', help='the poses of both maps are in one frame'
    )
    how.add_argument(
        '--align',
        type=Path,
        metavar='IMAGES',
        help='images of what both maps show, by which the second is brought into the frame of the '
        'first; their poses, if they have any, are not used',
    )
    add_selection(parser)
    add_device(parser)
    add_networks(parser)
    add_options(parser)
    parser.add_argument('--json', type=Path, help='write the figures there')


def run(arguments: argparse.Namespace) -> int:
    """Write the joined map, say what is in it, and how the maps were aligned."""
    first, second = (
        require_anchored(read_map(path), str(path)) for path in (arguments.first, arguments.second)
    )
    check_joinable(first.info, second.info)
    alignment = None
    if arguments.align is not None:
        found, pairs = _registration(arguments, first, second)
        second = moved(second, found.new_from_old)
        cameras = world_keyframes(second)[:, :3, 3]
        alignment = {
            'images': pairs,
            'agreeing': int(found.agreeing.sum()),
            'first_from_second': found.new_from_old.tolist(),
            'std_m': round(found.std_at(cameras), 4),
            'std_deg': round(found.turn_std, 3),
        }
        print(
            f'aligned by {alignment["agreeing"]} of {pairs} images; standard deviation '
            f'{100 * found.std_at(cameras):.1f} cm, {found.turn_std:.2f} degrees'
        )
        require_known(found, cameras)
    code = joined(first, second)
    size = write_map(arguments.output, code)
    figures = {
        'tokens': len(code.anchors),
        'keyframes': len(code.keyframes),
        'map_bytes': size,
        'sessions': [session.name for session in code.info.sessions],
        'alignment': alignment,
    }
    write_json(arguments.json, figures)
    print(
        f'{arguments.output}: {len(code.keyframes)} keyframes, {len(code.anchors)} tokens (of '
        f'{len(first.anchors)} and {len(second.anchors)}), {size / 1e6:.2f} MB; sessions '
        f'{", ".join(session.name for session in code.info.sessions)}'
    )
    return 0


def _in_its_shape(code: AnchoredCode) -> AnchoredCode:
    """A map that gives poses among its own points, and not moved to the frame of its recording."""
    return replace(code, recorded=code.keyframes)


def _registration(
    arguments: argparse.Namespace, first: AnchoredCode, second: AnchoredCode
) -> tuple[FrameAlignment, int]:
    """Where the second map lies in the first, and how many images both maps knew."""
    images = images_at(arguments.align, arguments)
    images = images.select(arguments.split, arguments.start, arguments.stop, arguments.every)
    warn_notes(images.notes)
    warn_skipped(images.skipped)
    engine = Engine.for_map(first.info, arguments.device, networks(arguments))
    options = configuration(arguments).localization
    bar = ProgressBar()
    try:
        pairs = localized_in_both(
            Localizer(_in_its_shape(first), engine, options),
            Localizer(_in_its_shape(second), engine, options),
            images.frames,
            Monitor(bar),
        )
    finally:
        bar.close()
    error = first.info.angular_error + second.info.angular_error
    return register(pairs, error), len(pairs)
