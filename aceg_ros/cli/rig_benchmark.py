"""Compare a rig's pose with those of its cameras, each by itself."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.cli.common import (
    FIRST_TEST_WORLD,
    add_device,
    add_networks,
    add_options,
    configuration,
    networks,
    write_json,
)
from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.rig import Moment
from aceg_ros.engine import Engine
from aceg_ros.errors import DatasetError
from aceg_ros.evaluation.metrics import Evaluation, FrameResult, evaluate, evaluate_rig
from aceg_ros.evaluation.tables import markdown, number, percent
from aceg_ros.lab.rig_scenes import RigScene, procedural_scene, recorded_scene
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions

_COLUMNS = (
    'place, rig',
    'asked',
    'queries',
    'found',
    '10 cm',
    'wrong',
    'median cm',
    'claimed cm',
    'in 95 %',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('datasets', type=Path, nargs='*', help='recordings with poses')
    parser.add_argument('--worlds', type=int, default=0, help='number of procedural worlds')
    parser.add_argument(
        '--first', type=int, default=FIRST_TEST_WORLD, help='seed of the first procedural world'
    )
    parser.add_argument('--queries', type=int, default=20, help='queries of each place')
    parser.add_argument('--budget', type=float, default=40.0, help='seconds to map a place')
    parser.add_argument('--json', type=Path, help='JSON file for the figures')
    add_device(parser)
    add_networks(parser)
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print, for each rig, how it and its cameras are localized."""
    if not arguments.datasets and not arguments.worlds:
        raise DatasetError('there is no place to map; name a dataset, or give --worlds')
    engine = Engine.load(arguments.device, networks(arguments))
    config = configuration(arguments)
    options = MappingOptions(budget=arguments.budget)
    answers: dict[str, dict[str, Evaluation]] = {}
    for scene in _scenes(arguments):
        code = map_scene(scene.mapping, engine, options).code
        localizer = Localizer(code, engine, config.localization)
        place = scene.name if scene.name.partition('-')[0] != 'world' else 'worlds'
        for rig, moments in scene.rigs.items():
            found = _compared(localizer, moments)
            known = answers.setdefault(f'{place}, {rig}', found)
            if known is not found:
                answers[f'{place}, {rig}'] = {n: known[n].joined(found[n]) for n in known}
    figures = {
        name: {asked: _figures(each) for asked, each in compared.items()}
        for name, compared in answers.items()
    }
    rows = [
        [name, asked, *_cells(values)]
        for name, compared in figures.items()
        for asked, values in compared.items()
    ]
    print(markdown(_COLUMNS, rows))
    write_json(arguments.json, figures)
    return 0


def _scenes(arguments: argparse.Namespace) -> Iterator[RigScene]:
    for path in arguments.datasets:
        yield recorded_scene(path, open_dataset(path).frames, arguments.queries)
    for seed in range(arguments.first, arguments.first + arguments.worlds):
        yield procedural_scene(seed, arguments.queries)


def _compared(localizer: Localizer, moments: Sequence[Moment]) -> dict[str, Evaluation]:
    """What each camera, the surest and the best of them, and the rig answer."""
    by_camera = [
        evaluate(localizer, [frame for frame in frames if frame is not None])
        for frames in zip(*(moment.frames for moment in moments), strict=True)
    ]
    together = list(zip(*(each.results for each in by_camera), strict=True))
    every = [result for results in together for result in results]
    return {
        'each camera': Evaluation(every, [], 0),
        'the surest camera': Evaluation([max(each, key=_sureness) for each in together], [], 0),
        'the best, in hindsight': Evaluation(
            [min(each, key=lambda result: result.meters) for each in together], [], 0
        ),
        'rig': evaluate_rig(localizer, moments),
    }


def _sureness(result: FrameResult) -> float:
    return result.answer.confidence if isinstance(result.answer, Localization) else -1.0


def _figures(evaluation: Evaluation) -> dict[str, Any]:
    """The figures of a row."""
    summary = evaluation.summary()
    given = [result for result in evaluation.results if result.localized]
    stds = [
        100 * math.sqrt(np.trace(result.answer.covariance[:3, :3]))
        for result in given
        if isinstance(result.answer, Localization)
    ]
    return {
        'queries': summary['frames'],
        'localized': summary['localized'],
        'recall_10cm_5deg': summary['recall_10cm_5deg'],
        'wrong': sum(not result.within(25.0) for result in given),
        'median_cm': float(np.median([100 * r.meters for r in given])) if given else None,
        'claimed_cm': float(np.median(stds)) if given else None,
        'within_95': evaluation.calibration()['position']['within_95'],
        'query_ms_median': summary['query_ms_median'],
    }


def _cells(values: dict[str, Any]) -> list[str]:
    return [
        str(values['queries']),
        str(values['localized']),
        percent(values['recall_10cm_5deg']),
        str(values['wrong']),
        number(values['median_cm'], 2),
        number(values['claimed_cm'], 2),
        percent(values['within_95']),
    ]
