"""Localize images whose poses are known, and compare."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.cli.common import (
    ProgressBar,
    add_depth,
    add_device,
    add_json,
    add_networks,
    add_options,
    add_selection,
    configuration,
    networks,
    print_figures,
    refuse_depth,
    rig_at,
    selected,
    warn_notes,
    warn_skipped,
    warn_without_depth,
    writing,
)
from aceg_ros.datasets.base import Frame
from aceg_ros.datasets.rig import Moment, recognize
from aceg_ros.engine import Engines
from aceg_ros.errors import AcegError, DatasetError
from aceg_ros.evaluation.among import evaluate_among
from aceg_ros.evaluation.metrics import (
    FrameResult,
    evaluate,
    evaluate_rig,
    evaluate_with_depth,
)
from aceg_ros.evaluation.report import write_report
from aceg_ros.evaluation.tables import evaluation_lines
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.several import MapSet
from aceg_ros.maps.code import KnownCamera, world_keyframes, world_points
from aceg_ros.maps.file import read_map
from aceg_ros.maps.folder import maps_at
from aceg_ros.monitor import Monitor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', type=Path, help='MAP.aceg, or a folder with the parts of a place')
    parser.add_argument(
        'dataset',
        type=Path,
        help='folder with images and poses, or RIG.yaml of several cameras, whose images are '
        'localized together',
    )
    add_selection(parser)
    add_depth(parser)
    add_device(parser)
    add_networks(parser)
    add_options(parser)
    add_json(parser)
    parser.add_argument('--report', type=Path, help='folder for a page with pictures')
    parser.add_argument(
        '--beside',
        type=Path,
        nargs='+',
        default=[],
        metavar='MAP',
        help='other maps, or folders of maps: say also what the map answers among these, and what '
        'a query then costs',
    )


def run(arguments: argparse.Namespace) -> int:
    """Print how well images were localized, `Evaluation.summary`."""
    if arguments.beside and arguments.depth:
        raise AcegError('--beside compares what images alone tell: leave out --depth')
    asked = maps_at([arguments.map])
    if arguments.beside and len(asked) > 1:
        raise AcegError('--beside is for one map: give a file in place of the folder')
    frames: Sequence[Frame] = []
    moments: Sequence[Moment] = []
    if recognize(arguments.dataset):
        if arguments.beside or arguments.report is not None:
            raise AcegError('--beside and --report are of one camera: give the dataset of one')
        refuse_depth(arguments)
        moments = _selected_moments(arguments)
    else:
        frames = selected(arguments, arguments.dataset).frames
        if arguments.depth:
            warn_without_depth(frames)
    options = configuration(arguments).localization
    engines = Engines(arguments.device)
    localizers = {}
    for name, path in maps_at([arguments.map, *arguments.beside]).items():
        each = read_map(path)
        engine = engines.load(networks(arguments).for_map(each.info))
        localizers[name] = Localizer(each, engine, options)
    codes = [localizers[name].code for name in asked]
    own = next(iter(asked))
    # Each image counts by itself, wherever the last one was.
    alone = localizers[own] if len(asked) == 1 else MapSet(localizers, options.several, False)
    bar = ProgressBar()
    try:
        if moments:
            evaluation = evaluate_rig(alone, moments, Monitor(bar))
        elif arguments.depth:
            evaluation = evaluate_with_depth(alone, frames, Monitor(bar))
        else:
            evaluation = evaluate(alone, frames, Monitor(bar))
        among = None
        if arguments.beside:
            among = evaluate_among(MapSet(localizers, options.several), own, frames, Monitor(bar))
    finally:
        bar.close()
    warn_skipped(evaluation.skipped)
    figures: dict[str, Any] = dict(evaluation.summary())
    lines = evaluation_lines(evaluation, codes[0].info.metric)
    if among is not None:
        figures['among'] = among.to_dict()
        lines += among.lines()
    print_figures(arguments.json, figures, lines)
    if arguments.report is not None:

        def known(result: FrameResult) -> KnownCamera:
            name = getattr(result.answer, 'map_name', '') or own
            return localizers[name].code.info.known_camera(result.frame.camera)

        with writing(arguments.report):
            page = write_report(
                arguments.report,
                evaluation,
                np.concatenate([world_keyframes(code) for code in codes]),
                np.concatenate([world_points(code) for code in codes]),
                np.concatenate([code.colors for code in codes]),
                known=known,
            )
        print(f'report: {page}', file=sys.stderr)
    return 0


def _selected_moments(arguments: argparse.Namespace) -> Sequence[Moment]:
    """Of a rig, those that `add_selection` says; raises DatasetError where none remains."""
    if arguments.split is not None:
        raise DatasetError('a rig has no splits: name the sequence as "images" of each camera')
    if arguments.pose_convention:
        raise DatasetError('poses of a rig are read as TUM files are: leave out --pose-convention')
    if arguments.every < 1:
        raise DatasetError(f'cannot take every {arguments.every}th moment; 1 takes all of them')
    rig = rig_at(arguments.dataset, arguments)
    warn_notes(rig.notes)
    warn_skipped(rig.skipped)
    moments = rig.moments()
    chosen = moments[arguments.start : arguments.stop : arguments.every]
    if not chosen:
        raise DatasetError(f'none of {len(moments)} moments is in the range asked for')
    return chosen
