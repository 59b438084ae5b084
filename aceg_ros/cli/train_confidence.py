"""Train the model that weighs the evidence for a pose."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np

from aceg_ros.cli.common import add_device, add_networks, networks, writing
from aceg_ros.engine import Engine
from aceg_ros.errors import AcegError, FitError
from aceg_ros.files import write_atomically
from aceg_ros.lab.confidence.samples import (
    SceneQueries,
    read_samples,
    scene_samples,
    write_samples,
)
from aceg_ros.lab.confidence.scenes import (
    building_scenes,
    procedural_scenes,
    recorded_scenes,
    textured_scenes,
    with_drift,
)
from aceg_ros.lab.confidence.training import calibration_error, curve, fit, held_out
from aceg_ros.mapping.options import MappingOptions, ValidationOptions

_FIRST = 300_000  # procedural world; those from 900000 on are for testing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('datasets', type=Path, nargs='*', help='recordings with poses')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='file for the model, .json'
    )
    parser.add_argument(
        '--samples',
        type=Path,
        required=True,
        help='folder of samples; scenes already there are not repeated',
    )
    parser.add_argument(
        '--textured', type=Path, nargs='*', default=[], help='folders of textured worlds'
    )
    parser.add_argument(
        '--environments',
        type=Path,
        help='folder of environment maps, .hdr, that light textured worlds',
    )
    parser.add_argument('--spots', type=int, default=4, help='spots in each textured world')
    parser.add_argument('--worlds', type=int, default=12, help='number of procedural worlds')
    parser.add_argument(
        '--first', type=int, default=_FIRST, help='seed of the first procedural world'
    )
    parser.add_argument(
        '--buildings', type=int, default=0, help='number of generated floors of look-alike rooms'
    )
    parser.add_argument(
        '--drift',
        action='store_true',
        help='map with poses that drift, as those of a SLAM system do',
    )
    parser.add_argument('--budget', type=float, default=30.0, help='seconds to map a scene')
    add_device(parser)
    add_networks(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the samples that are missing, fit, and say how well scenes are judged when held out."""
    engine = Engine.load(arguments.device, networks(arguments))
    options = MappingOptions(budget=arguments.budget, validation=ValidationOptions(held_out=0.0))
    folder: Path = arguments.samples
    folder.mkdir(parents=True, exist_ok=True)
    textured: Iterable[SceneQueries] = ()
    if arguments.textured:
        if arguments.environments is None:
            raise AcegError('textured worlds need light: give --environments')
        textured = textured_scenes(arguments.textured, arguments.environments, arguments.spots)
    for scene in chain(
        recorded_scenes(arguments.datasets),
        textured,
        procedural_scenes(arguments.worlds, arguments.first),
        building_scenes(folder / 'buildings', arguments.buildings),
    ):
        if arguments.drift:
            scene = with_drift(scene, arguments.first)
        path = folder / f'{scene.name}.json'
        if path.exists():
            continue
        try:
            made = scene_samples(scene, engine, options)
        except FitError as error:
            print(f'{scene.name}: left out, {error}', flush=True)
            continue
        write_samples(path, made)
        print(f'{scene.name}: {sum(s.right for s in made)} right, {len(made)} answers', flush=True)
    samples = [
        sample
        for path in sorted(folder.glob('*.json'))
        for sample in read_samples(path)
        if sample.found
    ]
    if not samples:
        raise AcegError(f'there are no samples in {folder}; name datasets or worlds')
    probability = held_out(samples)
    falling = curve(samples, probability)
    figures = {
        'poses': len(samples),
        'right': sum(sample.right for sample in samples),
        'gross errors': sum(sample.gross for sample in samples),
        'calibration error, held out': round(calibration_error(samples, probability), 4),
        'right kept at most wrong given out, held out': {
            str(most): round(float(falling.kept[falling.wrong <= most].max(initial=0.0)), 4)
            for most in (0, 1, 2, 4, 8, 16)
        },
        'threshold for at most wrong': {
            str(most): round(float(falling.threshold[falling.wrong <= most].min(initial=1.0)), 4)
            for most in (0, 1, 2, 4, 8, 16)
        },
    }
    model = fit(samples)
    text = json.dumps(model.to_dict({'trained on': figures}), indent=1) + '\n'
    with writing(arguments.output):
        write_atomically(arguments.output, text.encode())
    print(json.dumps(figures, indent=1))
    weights = sorted(zip(model.to_dict({})['evidence'], model.weights, strict=True), key=_size)
    for name, weight in weights:
        print(f'{name:>18} {weight:6.2f}')
    return 0


def _size(item: tuple[str, np.floating]) -> float:
    return -abs(float(item[1]))
