"""The main job on a world made on the spot: record, map, relocalize from new viewpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.recording import RecordingWriter
from aceg_ros.engine import Engine
from aceg_ros.errors import AcegError
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.evaluation.report import write_report
from aceg_ros.geometry.cameras import Camera
from aceg_ros.localization.localizer import Localizer
from aceg_ros.map_code.file import read_map, write_map
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import FitOptions
from aceg_ros.mapping.progress import Progress
from aceg_ros.worlds import WorldOptions, make_world, novel_views, record, tour


@dataclass(frozen=True)
class DemoOptions:
    """Sized for two CPU cores and about a minute and a half."""

    seed: int = 7
    keyframes: int = 80
    queries: int = 30
    budget: float = 30.0
    offset: float = 0.3  # metres at most between a query and the recorded path
    degrees: float = 20.0


@dataclass(frozen=True)
class DemoResult:
    """What the demo found and where it drew it."""

    figures: dict[str, Any]
    page: Path
    succeeded: bool


def run_demo(engine: Engine, folder: Path, options: DemoOptions, progress: Progress) -> DemoResult:
    """Write a recording, a map and a report into ``folder``, which may hold an earlier demo's."""
    camera = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)
    progress('build world', 0.0, f'seed {options.seed}')
    world = make_world(options.seed, WorldOptions(texture_size=256))
    path = tour(world, options.keyframes, options.seed)
    views = novel_views(world, path, options.queries, options.seed, options.offset, options.degrees)

    recorded = record(world, camera, path, name='recording', supersample=1)
    number = 1
    while (folder / f'recording-{number}').exists():
        number += 1
    writer = RecordingWriter(folder / f'recording-{number}', camera, image_suffix='.jpg')
    for index, frame in enumerate(recorded.frames):
        progress('record', index / len(recorded.frames), f'view {index + 1}')
        if frame.world_from_cam is None:
            raise AcegError('a world gave a view without its pose')
        writer.add(frame.image(), frame.world_from_cam, frame.stamp)

    recording = open_dataset(writer.path)
    fit = FitOptions(budget=options.budget)
    result = map_scene(
        recording.frames, engine.encoder, engine.regressor, fit, recording.metric, progress
    )
    size = write_map(folder / 'world.aceg', result.code)
    localizer = Localizer(read_map(folder / 'world.aceg'), engine.encoder, engine.regressor)
    queries = record(world, camera, views, name='queries', supersample=1)
    evaluation = evaluate(localizer, queries.frames, progress)
    page = write_report(
        folder / 'report',
        evaluation,
        result.code.keyframes,
        result.code.anchors,
        result.code.colors,
    )
    summary = evaluation.summary()
    figures = {
        'keyframes': len(result.code.keyframes),
        'mapping_seconds': round(result.seconds, 1),
        'map_bytes': size,
        'quality': result.code.info.quality['verdict'],
        **summary,
    }
    return DemoResult(figures, page, float(summary['recall_10cm_5deg'] or 0.0) >= 0.8)
