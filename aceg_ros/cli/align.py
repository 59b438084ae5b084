"""Bring a map into another frame, such as that of an occupancy grid, or upright."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.cli.common import (
    ProgressBar,
    add_device,
    add_json,
    add_networks,
    add_options,
    add_selection,
    configuration,
    images_at,
    networks,
    print_figures,
    selected,
    warn_notes,
    warn_skipped,
    writing,
)
from aceg_ros.datasets import rosbag
from aceg_ros.datasets.conventions import parse_conventions, reread
from aceg_ros.datasets.occupancy import OccupancyGrid, read_occupancy_grid
from aceg_ros.datasets.trajectory import Trajectory, read_trajectory
from aceg_ros.engine import Engine
from aceg_ros.errors import AlignmentError
from aceg_ros.evaluation.figures import draw_alignment
from aceg_ros.geometry.poses import pose_from_tum, pose_to_tum
from aceg_ros.localization.frame_pairs import (
    keyframe_pairs,
    localized_pairs,
    pairs_of_file,
    trajectory_of,
)
from aceg_ros.localization.localizer import Localizer
from aceg_ros.maps.code import AnchoredCode, world_keyframes, world_points
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.maps.sessions import moved, require_anchored
from aceg_ros.monitor import Monitor
from aceg_ros.pose.frames import (
    AlignmentOptions,
    FrameAlignment,
    FramePairs,
    align_frames,
    free_scale,
    require_sure,
    sure_limits,
)
from aceg_ros.pose.upright import floor_below, floor_from_height, up_direction, upright_pose

_SHOWN = 6  # pairs that are named
_DEFAULT = AlignmentOptions()
_MAX_GAP = 0.2  # s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', type=Path, help='MAP.aceg')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='the map in the other frame'
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        '--poses',
        type=Path,
        metavar='PATH',
        help='poses in the other frame: a TUM file, a dataset or a bag, matched by their stamps to '
        'the keyframes of the map, or to --images',
    )
    how.add_argument(
        '--pairs',
        type=Path,
        metavar='FILE',
        help='YAML file of places or poses that are known in both frames',
    )
    how.add_argument(
        '--gravity',
        action='store_true',
        help='z up and the floor at 0, from how the cameras were held',
    )
    parser.add_argument(
        '--images',
        type=Path,
        metavar='PATH',
        help='images to localize in the map, taken while --poses were recorded; they need no poses',
    )
    parser.add_argument(
        '--mount',
        metavar="'X Y Z QX QY QZ QW'",
        help='pose of the camera (optical frame) in the body that --poses are of; by default they '
        'are those of the camera itself',
    )
    parser.add_argument(
        '--max-gap',
        type=float,
        default=_MAX_GAP,
        metavar='SECONDS',
        help=f'interpolate between poses that far apart (default {_MAX_GAP:g})',
    )
    parser.add_argument(
        '--scale',
        action='store_true',
        help='let the frames differ in scale; the other one is in meters',
    )
    parser.add_argument(
        '--level',
        action='store_true',
        help='only turn about z and shift along x and y, for poses on a floor, of an upright map',
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        default=_DEFAULT.tolerance,
        metavar='METERS',
        help='pairs farther off are left out; the result may have a standard deviation of half of '
        f'that (default {_DEFAULT.tolerance:g})',
    )
    parser.add_argument(
        '--tolerance-deg',
        type=float,
        default=_DEFAULT.tolerance_deg,
        metavar='DEGREES',
        help='the same for orientations, of which the result may have a fifth '
        f'(default {_DEFAULT.tolerance_deg:g})',
    )
    parser.add_argument(
        '--camera-height',
        type=float,
        metavar='METERS',
        help='with --gravity: height of the camera over the floor; without it the floor is the '
        'lowest level of many points',
    )
    parser.add_argument('--plan', type=Path, help='PNG file for a picture of before and after')
    parser.add_argument(
        '--grid', type=Path, help='YAML file of an occupancy grid, drawn under the plan'
    )
    add_selection(parser)
    add_device(parser)
    add_networks(parser)
    add_options(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the map in the other frame, and say how well it lies there."""
    before = require_anchored(read_map(arguments.map), str(arguments.map))
    _require_sense(arguments, before)
    grid = None if arguments.grid is None else read_occupancy_grid(arguments.grid)
    if arguments.gravity:
        after, figures, lines = _upright(before, arguments.camera_height)
        places = None
    else:
        pairs = _pairs(arguments, before)
        found, after, figures, lines = _aligned(arguments, before, pairs)
        places = (found.apply(pairs.old), pairs.new, found.agreeing)
    size = write_map(arguments.output, after)
    _draw(arguments.plan, before, after, places, grid)
    lines.append(f'{arguments.output}: {size / 1e6:.2f} MB')
    print_figures(arguments.json, figures, lines)
    return 0


def _require_sense(arguments: argparse.Namespace, code: AnchoredCode) -> None:
    """Raise AlignmentError for arguments that contradict each other or the map."""
    if arguments.gravity and (arguments.scale or arguments.level or arguments.images):
        raise AlignmentError('--gravity needs no --scale, --level or --images: leave them out')
    if arguments.camera_height is not None and not arguments.gravity:
        raise AlignmentError('--camera-height is for --gravity: give both, or none')
    if arguments.images is not None and arguments.poses is None:
        raise AlignmentError('--images need their poses in the other frame: give --poses')
    if arguments.mount is not None and arguments.poses is None:
        raise AlignmentError('--mount is of --poses: give both, or none')
    if arguments.grid is not None and arguments.plan is None:
        raise AlignmentError('--grid is drawn under --plan: give both, or none')
    if not (arguments.tolerance > 0 and arguments.tolerance_deg > 0):
        raise AlignmentError('a tolerance is greater than 0')
    if not (code.info.metric or arguments.scale or arguments.gravity):
        raise AlignmentError(
            'the unit of the map is not known to be the meter, so that its scale differs: give '
            '--scale'
        )
    if not code.info.metric and arguments.camera_height is not None:
        raise AlignmentError(
            'the unit of the map is not known to be the meter: leave --camera-height out, or align '
            'it with --scale first'
        )


def _pairs(arguments: argparse.Namespace, code: AnchoredCode) -> FramePairs:
    if arguments.pairs is not None:
        return pairs_of_file(arguments.pairs)
    mount = _mount(arguments.mount)
    if arguments.images is None:
        return keyframe_pairs(code, _trajectory(arguments), mount, arguments.max_gap)
    if arguments.images == arguments.poses:
        images = selected(arguments, arguments.images)
        others = trajectory_of(images.frames)
    else:
        images = images_at(arguments.images, arguments)
        images = images.select(arguments.split, arguments.start, arguments.stop, arguments.every)
        warn_notes(images.notes)
        warn_skipped(images.skipped)
        others = _trajectory(arguments)
    engine = Engine.for_map(code.info, arguments.device, networks(arguments))
    localizer = Localizer(code, engine, configuration(arguments).localization)
    bar = ProgressBar()
    try:
        return localized_pairs(
            localizer, images.frames, others, mount, arguments.max_gap, Monitor(bar)
        )
    finally:
        bar.close()


def _trajectory(arguments: argparse.Namespace) -> Trajectory:
    """All poses in the other frame; what selects frames is for the images."""
    path = arguments.poses
    if path.is_file() and not rosbag.recognize(path):
        trajectory, problems = read_trajectory(path)
        warn_skipped([f'{line}: {reason}' for line, reason in problems])
        conventions = parse_conventions(arguments.pose_convention)
        if not conventions:
            return trajectory
        poses = [trajectory.pose(index) for index in range(len(trajectory.stamps))]
        meant = [pose_to_tum(reread(pose, conventions)).tolist() for pose in poses]
        return Trajectory(trajectory.stamps, meant)
    whole = argparse.Namespace(
        **{**vars(arguments), 'split': None, 'every': 1, 'start': None, 'stop': None}
    )
    return trajectory_of(selected(whole, path).frames)


def _mount(text: str | None) -> np.ndarray:
    if text is None:
        return np.eye(4)
    try:
        return pose_from_tum([float(word) for word in text.replace(',', ' ').split()])
    except ValueError as error:
        raise AlignmentError(f"--mount {text!r} is not 'x y z qx qy qz qw': {error}") from error


def _aligned(
    arguments: argparse.Namespace, before: AnchoredCode, pairs: FramePairs
) -> tuple[FrameAlignment, AnchoredCode, dict[str, Any], list[str]]:
    options = AlignmentOptions(
        arguments.tolerance, arguments.tolerance_deg, arguments.scale, arguments.level
    )
    found = align_frames(pairs, options)
    after = moved(before, found.new_from_old, found.scale)
    if arguments.scale:
        after = replace(after, info=replace(after.info, metric=True))
    cameras = world_keyframes(after)[:, :3, 3]
    require_sure(found, cameras, *sure_limits(options), 'the map')
    left_out = [
        name for name, agrees in zip(pairs.names, found.agreeing, strict=True) if not agrees
    ]
    figures = {
        'pairs': len(pairs),
        'agreeing': int(found.agreeing.sum()),
        'left_out': left_out,
        'new_from_old': found.new_from_old.tolist(),
        'scale': found.scale,
        'scale_std': found.scale_std if arguments.scale else None,
        'std_m': round(found.std_at(cameras), 4),
        'std_deg': round(found.turn_std, 4),
    }
    lines = [
        f'aligned by {figures["agreeing"]} of {len(pairs)} pairs; standard deviation '
        f'{100 * found.std_at(cameras):.1f} cm at the farthest keyframe, {found.turn_std:.2f} '
        'degrees'
    ]
    if arguments.scale:
        lines.append(f'scale {found.scale:.4f}, standard deviation {found.scale_std:.4f}')
    elif (other := free_scale(pairs, options)) is not None:
        lines.append(
            f'lengths in the other frame are {other[0]:.4f} (+- {other[1]:.4f}) times those in the '
            'map: --scale would take that over, if the other frame is the right one'
        )
    if left_out:
        more = f' and {len(left_out) - _SHOWN} more' if len(left_out) > _SHOWN else ''
        lines.append(f'left out: {", ".join(left_out[:_SHOWN])}{more}')
    return found, after, figures, lines


def _upright(
    before: AnchoredCode, camera_height: float | None
) -> tuple[AnchoredCode, dict[str, Any], list[str]]:
    poses = world_keyframes(before)
    cameras = poses[:, :3, 3]
    found = up_direction(poses)
    upright = cameras[found.agreeing]
    if camera_height is None:
        floor = floor_below(world_points(before), upright, found)
        seen = f'from {floor.points} points'
    else:
        floor = floor_from_height(upright, found.up, camera_height)
        seen = 'from the height of the cameras'
    pose = upright_pose(found.up, floor.height, cameras)
    after = moved(before, pose)
    unit = 'm' if before.info.metric else 'units'
    figures = {
        'cameras': len(poses),
        'agreeing': int(found.agreeing.sum()),
        'new_from_old': pose.tolist(),
        'up': found.up.tolist(),
        'up_std_deg': round(found.std_deg, 4),
        'floor': floor.height,
        'floor_std': round(floor.std, 4),
        'floor_points': floor.points,
    }
    lines = [
        f'up from {found.agreeing.sum()} of {len(poses)} keyframes, standard deviation '
        f'{found.std_deg:.2f} degrees',
        f'floor {seen}, standard deviation {floor.std:.3f} {unit}; the cameras are '
        f'{float(np.median(upright @ found.up)) - floor.height:.2f} {unit} above it',
    ]
    return after, figures, lines


def _draw(
    path: Path | None,
    before: AnchoredCode,
    after: AnchoredCode,
    places: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
    grid: OccupancyGrid | None,
) -> None:
    if path is None:
        return
    with writing(path):
        draw_alignment(path, before, after, places, grid)
    print(f'picture: {path}', file=sys.stderr)
