"""Print the pose of each image in a map."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aceg_ros.cli.common import (
    add_bag_images,
    add_camera,
    add_depth,
    add_device,
    add_networks,
    add_options,
    configuration,
    images_at,
    networks,
    refuse_depth,
    rig_at,
    warn_notes,
    warn_skipped,
    warn_without_depth,
    writing,
)
from aceg_ros.datasets.base import Frame
from aceg_ros.datasets.rig import Moment, recognize
from aceg_ros.datasets.trajectory import format_tum_line, write_trajectory
from aceg_ros.errors import ImageError
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.localization.several import MapSet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        'map', type=Path, help='MAP.aceg, or a folder of maps, such as the parts of a place'
    )
    parser.add_argument(
        'images',
        type=Path,
        help='an image, a folder of images, a dataset, or RIG.yaml of several cameras, whose '
        'images are localized together',
    )
    add_camera(parser)
    add_bag_images(parser)
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        help='file for the poses, TUM format; without it they are printed',
    )
    add_depth(parser)
    add_device(parser)
    add_networks(parser)
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Localize every image; the exit status is 1 when none could be."""
    queries = _queries(arguments)
    options = configuration(arguments).localization
    # Images need not be of one tour, so that where the last one was says nothing of the next.
    maps = MapSet.open([arguments.map], arguments.device, options, networks(arguments), False)
    poses: list[tuple[float, np.ndarray]] = []
    ended = False
    try:
        for frame in queries:
            found = _answer(maps, frame, arguments.depth)
            if found is None:
                continue
            poses.append((frame.stamp, found.world_from_cam))
            if arguments.output is None:
                print(format_tum_line(frame.stamp, found.world_from_cam))
        ended = True
    finally:
        # What was found before Ctrl-C is kept; before anything was, so is a file that was there.
        if arguments.output is not None and (ended or poses):
            with writing(arguments.output):
                write_trajectory(arguments.output, poses)
    print(f'{len(poses)} of {len(queries)} images localized', file=sys.stderr)
    return 0 if poses else 1


def _answer(maps: MapSet, frame: Frame | Moment, with_depth: bool) -> Localization | None:
    """Where an image was taken, or those of a rig; why not is printed."""
    try:
        if isinstance(frame, Moment):
            found = maps.localize_rig(*frame.read())
        else:
            depth = frame.registered_depth() if with_depth else None
            found = maps.localize(frame.image(), frame.camera, depth=depth)
    except ImageError as error:
        print(f'aceg: left out {frame.name}: {error}', file=sys.stderr)
        return None
    if isinstance(found, LocalizationFailure):
        print(f'{frame.name}: not localized ({found.reason}): {found.message}', file=sys.stderr)
        return None
    return found


def _queries(arguments: argparse.Namespace) -> Sequence[Frame | Moment]:
    """Images, or those of all cameras of a rig at a time."""
    if recognize(arguments.images):
        refuse_depth(arguments)
        rig = rig_at(arguments.images, arguments)
        warn_notes(rig.notes)
        warn_skipped(rig.skipped)
        return rig.moments()
    images = images_at(arguments.images, arguments)
    warn_notes(images.notes)
    warn_skipped(images.skipped)
    if arguments.depth:
        warn_without_depth(images.frames)
    return images.frames
