"""The main job, from two tours of one place to figures and pictures; here with the engine alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aceg_ros.datasets.base import Dataset
from aceg_ros.engine import Engine
from aceg_ros.errors import DatasetError, ImageError
from aceg_ros.evaluation.metrics import Evaluation, evaluate
from aceg_ros.evaluation.report import write_report
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds import WorldOptions, make_world, record, tour, tour_beside
from aceg_ros.localization.localizer import Localizer
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.maps.code import MapCode, world_keyframes, world_points
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.monitor import Monitor

LEAST_RECALL = 0.8  # of the views, within 10 cm and 5 degrees
MAP_NAME = 'map.aceg'


@dataclass(frozen=True)
class WorldTours:
    """A procedural world and two tours of it, sized for two CPU cores and a minute or two."""

    seed: int = 7
    views: int = 80  # recorded
    queries: int = 50
    step: int = 3  # of the smooth tour, from view to view
    offset: float = 0.3  # meters at most between the two tours
    degrees: float = 20.0


@dataclass(frozen=True)
class Tours:
    """What is recorded, and what is to be found; images are read and poses known."""

    recorded: Dataset
    queries: Dataset


@dataclass(frozen=True)
class DemoResult:
    """What the demo found and where it drew it."""

    figures: dict[str, Any]
    page: Path
    succeeded: bool


def world_tours(options: WorldTours, monitor: Monitor) -> Tours:
    """Two tours of a world: one to record, and one beside it."""
    camera = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)
    monitor.report('build world', 0.0, f'seed {options.seed}')
    world = make_world(options.seed, WorldOptions(texture_size=256))
    path = tour(world, options.views * options.step, options.seed)
    beside = tour_beside(world, path, options.seed, options.offset, options.degrees)
    recorded = record(world, camera, path[:: options.step], name='recorded', supersample=1)
    queries = beside[options.step // 2 :: options.step][: options.queries]
    return held(recorded, record(world, camera, queries, name='query', supersample=1), monitor)


def held(recorded: Dataset, queries: Dataset, monitor: Monitor) -> Tours:
    """The tours with their images in memory, so that showing them takes no time; without depth.

    Raises DatasetError for frames without a pose. Images that cannot be read are left out, and
    noted as skipped.
    """
    tours = []
    for dataset in (recorded, queries):
        frames, skipped = [], list(dataset.skipped)
        for index, frame in enumerate(dataset.frames):
            monitor.report(f'read {dataset.name}', index / len(dataset), frame.name)
            if frame.world_from_cam is None:
                raise DatasetError(f'{frame.name} has no pose; choose frames with known poses')
            try:
                image = frame.image()
            except ImageError as error:
                skipped.append(f'{frame.name}: {error}')
                continue
            frames.append(replace(frame, load_image=image.copy, load_depth=None))
        if not frames:
            raise DatasetError(f'no image of {dataset.name} can be read')
        tours.append(replace(dataset, frames=frames, skipped=skipped))
    return Tours(*tours)


def run_engine(
    tours: Tours, folder: Path, budget: float, engine: Engine, monitor: Monitor
) -> DemoResult:
    """Map one tour and find the other; write a map and a report into ``folder``."""
    options = MappingOptions(budget=budget)
    result = map_scene(tours.recorded.frames, engine, options, tours.recorded.metric, monitor)
    write_map(folder / MAP_NAME, result.code)
    evaluation, code = evaluate_map(folder / MAP_NAME, tours.queries, engine, monitor)
    figures = {
        'mapping_seconds': round(result.seconds, 1),
        **map_figures(folder / MAP_NAME, code),
        **evaluation.summary(),
    }
    return DemoResult(
        figures,
        draw_report(folder, evaluation, code),
        figures['recall_10cm_5deg'] >= LEAST_RECALL,
    )


def evaluate_map(
    path: Path, queries: Dataset, engine: Engine, monitor: Monitor
) -> tuple[Evaluation, MapCode]:
    """Answers of the engine alone, and the map they are from."""
    code = read_map(path)
    localizer = Localizer(code, engine)
    return evaluate(localizer, queries.frames, monitor), code


def map_figures(path: Path, code: MapCode) -> dict[str, Any]:
    """What there is to say of a map."""
    return {
        'keyframes': len(code.keyframes),
        'map_bytes': path.stat().st_size,
        'quality': code.info.quality.rating.value,
    }


def draw_report(folder: Path, evaluation: Evaluation, code: MapCode, title: str = '') -> Path:
    """Write the report into the folder's `report`; the page's path."""
    return write_report(
        folder / 'report',
        evaluation,
        world_keyframes(code),
        world_points(code),
        code.colors,
        title or 'Localization report',
    )


def describe(figures: Mapping[str, Any]) -> str:
    """The figures in lines; beside those over ROS, where there are some, those of the engine."""
    alone: Mapping[str, Any] = figures.get('engine', {})
    lines = [
        f'{name:>26}: {_short(value)}'
        for name, value in figures.items()
        if name not in alone and value is not None and not isinstance(value, dict | list)
    ]
    lines += [f'{name:>26}: {count}' for name, count in figures.get('images', {}).items()]
    if alone:
        lines.append(f'{"":>26}  {"over ROS":>10}  {"engine":>10}')
    lines += [
        f'{name:>26}: {_short(figures[name]):>10}  {_short(value):>10}'
        for name, value in alone.items()
        if name in figures
    ]
    return '\n'.join(lines)


def _short(value: object) -> str:
    return '-' if value is None else f'{value:.3g}' if isinstance(value, float) else str(value)
