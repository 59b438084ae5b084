"""Compare errors with what covariances say, in parts of recordings and over time."""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import chain

import numpy as np

from aceg_ros.cli.common import (
    add_device,
    add_networks,
    add_options,
    add_places,
    configuration,
    networks,
    output_folder,
    write_json,
)
from aceg_ros.engine import Engine
from aceg_ros.errors import FitError
from aceg_ros.evaluation.figures.filter import draw_filter
from aceg_ros.evaluation.filter import Run
from aceg_ros.evaluation.metrics import Evaluation
from aceg_ros.evaluation.tables import markdown
from aceg_ros.lab.consistency import Outcome, follow, recorded_tracks, world_tracks

_PARTS = ('pose', 'position', 'rotation')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_places(parser)
    add_device(parser)
    add_networks(parser)
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Map a part of each place, ask for the rest, and print how errors and covariances compare."""
    folder = output_folder(arguments)
    engine = Engine.load(arguments.device, networks(arguments))
    config = configuration(arguments)
    options = replace(config.mapping, budget=arguments.budget)
    outcomes: list[Outcome] = []
    for track in chain(
        recorded_tracks(arguments.datasets), world_tracks(arguments.worlds, arguments.first)
    ):
        try:
            outcome = follow(track, engine, options)
        except FitError as error:
            print(f'{track.name}: left out, {error}', flush=True)
            continue
        outcomes.append(outcome)
        if outcome.runs:
            draw_filter(folder / f'{track.name}.png', outcome.track.results, outcome.runs)
    if not outcomes:
        raise FitError('no place could be mapped; name another dataset, or give --worlds')
    parts = [f'{part}: mean, in 95 %' for part in _PARTS]
    header = ['place', 'images', 'poses', *parts, 'pose, simple covariances']
    rows = [
        [outcome.name, group, *_row(found), _row(outcome.simple[group])[1]]
        for outcome in outcomes
        for group, found in outcome.groups.items()
    ]
    print(markdown(header, rows))
    header = ['place', 'covariances', 'position', 'rotation', 'normalized error']
    print()
    print(markdown(header, [[o.name, *_filter_row(run)] for o in outcomes for run in o.runs]))
    figures = {
        outcome.name: {group: found.calibration() for group, found in outcome.groups.items()}
        for outcome in outcomes
    }
    write_json(folder / 'consistency.json', figures)
    return 0


def _row(found: Evaluation) -> list[str]:
    """How many poses, and how their normalized errors squared compare with what is expected."""
    calibration = found.calibration()
    if not calibration['frames']:
        return ['0', *('-' for _ in _PARTS)]
    return [
        str(calibration['frames']),
        *(
            f'{calibration[part]["mean"]:.2f}, {100 * calibration[part]["within_95"]:.0f} %'
            for part in _PARTS
        ),
    ]


def _filter_row(run: Run) -> list[str]:
    position, rotation = run.rms
    return [
        run.name,
        f'{100 * position:.2f} cm',
        f'{np.degrees(rotation):.2f}°',
        f'{run.normalized.mean() / 6:.2f}',
    ]
