"""Compares what `aceg_ros.maps.coverage` expects to be found with what is, and fits its model.

    python tools/compare_coverage.py tum_fr1_rpy --worlds 2 --first 900000
    python tools/compare_coverage.py fox --textured small_house --environments hdri --fit

Each scene is mapped, and all its views are asked for. Views of other places are left out, and those
under other light are not fitted: a map cannot know of them.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aceg_ros.cli.common import write_json
from aceg_ros.engine import Engine
from aceg_ros.errors import FitError
from aceg_ros.evaluation.tables import markdown, percent
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.confidence.samples import SceneQueries
from aceg_ros.lab.confidence.scenes import (
    procedural_scenes,
    recorded_scenes,
    textured_scenes,
)
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.localization.verification import is_right
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.maps.code import MapCode
from aceg_ros.maps.coverage import Coverage, CoverageModel

ANGLES = np.radians([20.0, 30.0, 40.0, 50.0, 60.0])
RATIOS = (0.35, 0.5, 0.65)
COLUMNS = ('scene', 'views', 'number', 'found, and right', 'expected')
OTHER_LIGHT = ('night', 'relit', 'light')  # words in the names of groups


@dataclass(frozen=True)
class View:
    """A view of a mapped scene, and whether it was found."""

    code: MapCode
    scene: str
    group: str
    camera: Camera
    world_from_cam: np.ndarray  # (4, 4), the true pose
    found: bool  # and right


def views_of(scene: SceneQueries, engine: Engine, options: MappingOptions) -> Iterator[View]:
    """Map a scene, and ask for its views; raises FitError when it cannot be mapped."""
    code = map_scene(scene.mapping, engine, options).code
    localizer = Localizer(code, engine)
    for group, frames in scene.groups.items():
        for frame in frames:
            pose = frame.world_from_cam
            if pose is None:
                continue
            answer = localizer.localize(frame.image(), frame.camera)
            found = isinstance(answer, Localization) and is_right(answer, pose)
            yield View(code, scene.name, group, frame.camera, pose, found)


def recognized(views: list[View], model: CoverageModel) -> np.ndarray:
    """How much of each view (N,) is recognized."""
    coverage: dict[tuple[int, Camera], Coverage] = {}
    parts = []
    for view in views:
        key = id(view.code), view.camera
        if key not in coverage:
            coverage[key] = Coverage(view.code, view.camera, model)
        parts.append(coverage[key].recognized(view.world_from_cam))
    return np.array(parts)


def fit(views: list[View]) -> tuple[CoverageModel, float]:
    """The model of the greatest likelihood, and its mean log loss."""
    found = np.array([view.found for view in views])
    best, least = CoverageModel(), np.inf
    for angle, ratio in itertools.product(ANGLES, RATIOS):
        part = recognized(views, CoverageModel(angle, ratio))
        solved = minimize(_loss, [4.0, 3.0], args=(part, found))
        if solved.fun < least:
            best, least = CoverageModel(angle, ratio, *solved.x), float(solved.fun)
    return best, least


def _loss(weights: np.ndarray, part: np.ndarray, found: np.ndarray) -> float:
    chance = np.array([CoverageModel(1.0, 1.0, *weights).chance(each) for each in part])
    right = np.where(found, chance, 1 - chance)
    return float(-np.log(right.clip(1e-9)).mean())


def main() -> None:
    """Print what is found, and what the model as it is expects."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('datasets', type=Path, nargs='*', help='recordings with poses')
    parser.add_argument('--textured', type=Path, nargs='*', default=[], help='textured worlds')
    parser.add_argument('--environments', type=Path, help='folder of .hdr that light them')
    parser.add_argument('--spots', type=int, default=1, help='spots in each textured world')
    parser.add_argument('--worlds', type=int, default=0, help='number of procedural worlds')
    parser.add_argument('--first', type=int, default=700_000, help='seed of the first of them')
    parser.add_argument('--budget', type=float, default=40.0, help='seconds to map a scene')
    parser.add_argument('--json', type=Path, help='JSON file for the figures')
    parser.add_argument('--fit', action='store_true', help='fit the model anew, and print it')
    arguments = parser.parse_args()
    if arguments.textured and arguments.environments is None:
        parser.error('textured worlds need light: give --environments')
    engine = Engine.load('cpu')
    views: list[View] = []
    textured: Iterator[SceneQueries] = iter(())
    if arguments.textured:
        textured = textured_scenes(arguments.textured, arguments.environments, arguments.spots)
    for scene in chain(
        recorded_scenes(arguments.datasets),
        textured,
        procedural_scenes(arguments.worlds, arguments.first),
    ):
        try:
            views += views_of(scene, engine, MappingOptions(budget=arguments.budget))
        except FitError as error:
            print(f'{scene.name}: left out, {error}', flush=True)
    model = CoverageModel()
    groups: dict[tuple[str, str], list[tuple[bool, float]]] = defaultdict(list)
    for view, part in zip(views, recognized(views, model), strict=True):
        groups[view.scene, view.group].append((view.found, model.chance(part)))
    figures = []
    for (scene_name, group), pairs in groups.items():
        found, expected = np.mean(np.array(pairs, float), axis=0).tolist()
        figures.append(
            {
                'scene': scene_name,
                'views': group,
                'number': len(pairs),
                'found': found,
                'expected': expected,
            }
        )
    rows = [
        [each['scene'], each['views'], str(each['number'])]
        + [percent(each[name]) for name in ('found', 'expected')]
        for each in figures
    ]
    print(markdown(COLUMNS, rows))
    write_json(arguments.json, {'groups': figures})
    if arguments.fit:
        print(*fit([v for v in views if not any(word in v.group for word in OTHER_LIGHT)]))


if __name__ == '__main__':
    main()
