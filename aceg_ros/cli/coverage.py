"""Tell from where, and in which directions, a map finds a camera."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.cli.common import add_json, add_selection, print_figures, selected, writing
from aceg_ros.datasets import read_camera
from aceg_ros.errors import DatasetError
from aceg_ros.evaluation.figures.coverage import draw_coverage
from aceg_ros.maps.code import world_points
from aceg_ros.maps.coverage import MOVED, TURNED, Coverage, CoveragePlan, coverage_plan
from aceg_ros.maps.file import read_map

_WORST = 3  # views that are worth recording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', type=Path, help='MAP.aceg')
    parser.add_argument(
        'views',
        type=Path,
        nargs='?',
        metavar='DATASET',
        help='images with poses: say how many of these views are expected to be found',
    )
    parser.add_argument('-o', '--output', type=Path, metavar='PNG', help='picture from above')
    add_selection(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print how likely views are found, and draw it."""
    code = read_map(arguments.map)
    coverage = Coverage(code, read_camera(arguments.camera) if arguments.camera else None)
    plan = coverage_plan(coverage)
    if arguments.output:
        points3d = world_points(code)
        with writing(arguments.output):
            draw_coverage(arguments.output, plan, coverage.keyframes, points3d, code.colors)
    figures = to_dict(coverage, plan)
    if arguments.views:
        frames = selected(arguments, arguments.views).frames
        chances = [
            coverage.chance(frame.world_from_cam, frame.camera)
            for frame in frames
            if frame.world_from_cam is not None
        ]
        if not chances:
            raise DatasetError(f'{arguments.views} has no poses, so no views to look at')
        figures['views'] = {'count': len(chances), 'expected': round(float(np.mean(chances)), 3)}
    print_figures(arguments.json, figures, describe(figures, code.info.metric))
    return 0


def to_dict(coverage: Coverage, plan: CoveragePlan) -> dict[str, Any]:
    """Chances of views, 0 to 1, and the views that are most worth recording."""
    near = coverage.keyframes[:, :3, 3]
    return {
        'as_recorded': round(coverage.moved(0.0), 3),
        'moved': [
            {
                'distance': round(part * coverage.scene_distance, 3),
                'chance': round(coverage.moved(part), 3),
            }
            for part in MOVED
        ],
        'turned': [
            {'degrees': degrees, 'chance': round(coverage.turned(degrees), 3)} for degrees in TURNED
        ],
        'worst': [
            {
                'position': (np.round(place, 2) + 0.0).tolist(),
                'direction': (np.round(direction, 2) + 0.0).tolist(),
                'chance': round(chance, 3),
            }
            for place, direction, chance in plan.worst(near, plan.step, _WORST)
        ],
    }


def describe(figures: dict[str, Any], metric: bool) -> list[str]:
    """The same for people."""
    unit = ' m' if metric else ''
    moved = '   '.join(f'{x["distance"]:.2g}{unit}: {x["chance"]:.0%}' for x in figures['moved'])
    turned = '   '.join(f'{x["degrees"]:.0f} deg: {x["chance"]:.0%}' for x in figures['turned'])
    lines = [
        'Estimated part of the views that are found:',
        f'as recorded   {figures["as_recorded"]:.0%}',
        f'moved by      {moved}',
        f'turned by     {turned}',
        'Least likely found there; record these if the robot will look that way:',
    ]
    if 'views' in figures:
        given = figures['views']
        lines.insert(1, f'as given      {given["expected"]:.0%} of {given["count"]} views')
    for view in figures['worst']:
        position, direction = (
            ', '.join(f'{x:.2f}' for x in view[name]) for name in ('position', 'direction')
        )
        lines.append(f'  from ({position}) along ({direction}): {view["chance"]:.0%}')
    return lines
