"""Compare methods on textured worlds mapped by day and asked by day and by night."""

from __future__ import annotations

import argparse
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from aceg_ros.cli.common import add_device, add_networks, networks, write_json
from aceg_ros.engine import Engine
from aceg_ros.errors import DatasetError
from aceg_ros.evaluation.methods import AcegMethod, Method, SiftMethod
from aceg_ros.evaluation.metrics import Evaluation, evaluate
from aceg_ros.evaluation.tables import number
from aceg_ros.lab.drift import drifting
from aceg_ros.lab.encoder_training.spots import read_environments
from aceg_ros.lab.light_scenes import (
    GROUPS,
    SESSION_GROUPS,
    SessionScene,
    light_scenes,
    session_scenes,
)
from aceg_ros.lab.miscalibration import miscalibrated
from aceg_ros.lab.pretraining.poses import right_and_wrong
from aceg_ros.localization.localizer import Localizer
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.maps.code import MapCode
from aceg_ros.maps.file import write_map
from aceg_ros.maps.sessions import joined

_SEED = 1
_METHODS = 'aceg,sift'
_HEAD = 'world, method: right / wrong, median of all poses found'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('worlds', type=Path, nargs='+', help='folders of textured worlds')
    parser.add_argument(
        '--environments', type=Path, required=True, help='folder of environment maps, .hdr'
    )
    parser.add_argument(
        '--methods',
        default=_METHODS,
        help='methods, with commas between: aceg, unadjusted (aceg with mapping poses as they '
        'are), sift',
    )
    parser.add_argument('--spots', type=int, default=1, help='spots in each world')
    parser.add_argument('--seed', type=int, default=_SEED, help='seed of spots, light and views')
    parser.add_argument('--budget', type=float, default=60.0, help='seconds that aceg may map')
    parser.add_argument(
        '--drift',
        action='store_true',
        help='map with poses that drift, as those of a SLAM system do; queries keep true poses',
    )
    parser.add_argument(
        '--miscalibrated',
        action='store_true',
        help='map and ask with a camera whose calibration and mounting are a little wrong',
    )
    parser.add_argument(
        '--sessions',
        action='store_true',
        help='instead, compare maps of a day, of an evening and of both, queried at noon as well',
    )
    parser.add_argument('--json', type=Path, help='JSON file for the figures')
    add_device(parser)
    add_networks(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print, for each world and method, right and wrong poses of each group, and their error."""
    if arguments.sessions:
        if arguments.drift or arguments.miscalibrated or arguments.methods != _METHODS:
            raise DatasetError(
                '--sessions compares maps of aceg: leave out --drift, --miscalibrated and --methods'
            )
        return _compare_sessions(arguments)
    methods = _methods(arguments)
    light = read_environments(arguments.environments)
    figures: dict[str, Any] = {}
    print(f'| {_HEAD} | {" | ".join(GROUPS)} |\n| --- |{" --- |" * len(GROUPS)}')
    for folder in arguments.worlds:
        for scene in light_scenes(folder, light, arguments.spots, arguments.seed):
            mapping, groups = scene.mapping, scene.groups
            if arguments.drift:
                mapping = drifting(mapping, arguments.seed)
            if arguments.miscalibrated:
                mapping = miscalibrated(mapping)
                groups = {name: miscalibrated(frames) for name, frames in groups.items()}
            for method in methods:
                localizer, _ = method.build(mapping)
                counted = {
                    group: _counted(evaluate(localizer, frames)) for group, frames in groups.items()
                }
                figures[f'{scene.name}, {method.name}'] = counted
                cells = [_cell(count) for count in counted.values()]
                print(f'| {scene.name}, {method.name} | {" | ".join(cells)} |', flush=True)
    write_json(arguments.json, figures)
    return 0


def _methods(arguments: argparse.Namespace) -> list[Method]:
    given = networks(arguments)
    methods: list[Method] = [
        AcegMethod(arguments.device, arguments.budget, given),
        AcegMethod(arguments.device, arguments.budget, given, 'unadjusted', adjust=False),
        SiftMethod(),
    ]
    known = {method.name: method for method in methods}
    chosen = arguments.methods.split(',')
    for name in chosen:
        if name not in known:
            raise DatasetError(f'method {name!r} is unknown; there are {", ".join(known)}')
    return [known[name] for name in chosen]


def _counted(evaluation: Evaluation) -> dict[str, Any]:
    """As `right_and_wrong`, with the median error of the poses given."""
    errors = [100 * result.meters for result in evaluation.results if result.localized]
    median = float(np.median(errors)) if errors else None
    return {**right_and_wrong(evaluation), 'median_cm': median}


def _cell(count: dict[str, Any]) -> str:
    return f'{count["right"]} / {count["wrong"]}, {number(count["median_cm"], 2)} cm'


def _compare_sessions(arguments: argparse.Namespace) -> int:
    """Print, for each map of a scene, the same, its tokens, and its query time beside the first's.

    Each view is asked of all maps in turn, so that times compare on a busy machine as well.
    """
    engine = Engine.load(arguments.device, networks(arguments))
    options = MappingOptions(budget=arguments.budget)
    figures: dict[str, Any] = {}
    heads = [*SESSION_GROUPS, 'tokens', 'MB', 'query time']
    print(f'| map, right / wrong | {" | ".join(heads)} |\n| --- |{" --- |" * len(heads)}')
    light = read_environments(arguments.environments)
    for folder in arguments.worlds:
        for scene in session_scenes(folder, light, arguments.spots, arguments.seed):
            codes = {
                name: map_scene(frames, engine, options, session=name).code
                for name, frames in scene.sessions.items()
            }
            codes['merged'] = reduce(joined, codes.values())
            found = _answers(scene, codes, engine)
            first = next(iter(codes))
            for name, groups in found.items():
                counted = {group: right_and_wrong(groups[group]) for group in SESSION_GROUPS}
                ratio = float(np.median(_seconds(groups) / _seconds(found[first])))
                size = _map_bytes(codes[name])
                figures[f'{scene.name}, {name}'] = {
                    **counted,
                    'tokens': len(codes[name].anchors),
                    'map_bytes': size,
                    'query_time_ratio': ratio,
                }
                cells = [f'{count["right"]} / {count["wrong"]}' for count in counted.values()]
                cells += [str(len(codes[name].anchors)), f'{size / 1e6:.2f}', f'{ratio:.2f} x']
                print(f'| {scene.name}, {name} | {" | ".join(cells)} |', flush=True)
    write_json(arguments.json, figures)
    return 0


def _answers(
    scene: SessionScene, codes: dict[str, MapCode], engine: Engine
) -> dict[str, dict[str, Evaluation]]:
    """By map and group, what each map answered."""
    localizers = {name: Localizer(code, engine) for name, code in codes.items()}
    found: dict[str, dict[str, Evaluation]] = {name: {} for name in codes}
    for group, frames in scene.groups.items():
        answers = [{n: evaluate(each, [f]) for n, each in localizers.items()} for f in frames]
        for name in codes:
            found[name][group] = reduce(Evaluation.joined, [answer[name] for answer in answers])
    return found


def _seconds(groups: dict[str, Evaluation]) -> np.ndarray:
    """Time of every answer (N,)."""
    return np.array([result.seconds for found in groups.values() for result in found.results])


def _map_bytes(code: MapCode) -> int:
    with TemporaryDirectory() as folder:
        return write_map(Path(folder) / 'map.aceg', code)
