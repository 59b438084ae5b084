"""Pre-train the regressor on many scenes."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import cast

from aceg_ros.cli.common import add_device, write_json
from aceg_ros.engine import Engine, resolve_device
from aceg_ros.errors import WeightsError
from aceg_ros.lab.pretraining.bound import PerfectChoice
from aceg_ros.lab.pretraining.buffers import make_buffers
from aceg_ros.lab.pretraining.config import SceneOptions, read_options
from aceg_ros.lab.pretraining.coverage import draw_coverage
from aceg_ros.lab.pretraining.evaluation import fitted_scenes, patch_errors
from aceg_ros.lab.pretraining.loop import Progress, Ranks, pretrain
from aceg_ros.lab.pretraining.poses import compare_poses, right_and_wrong
from aceg_ros.lab.pretraining.shards import feature_length, scene_files
from aceg_ros.mapping.options import FitOptions, MappingOptions, ValidationOptions
from aceg_ros.maps.code import ANCHORED
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor
from aceg_ros.regressor.files import load_regressor

REPORT_EVERY = 100  # iterations
POSE_FIT = MappingOptions(
    budget=3600.0,
    fit=FitOptions(epochs=20),
    validation=ValidationOptions(held_out=0.05),
)
_COLUMNS = (
    'median_cm',
    'within_10cm',
    'within_12px',
    'surer_half_within_12px',
    'loss',
    'coverage_50',
    'coverage_90',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        'config', type=Path, help='YAML file of options, such as config/pretrain.yaml'
    )
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='file for the weights, .safetensors'
    )
    parser.add_argument('--scenes', type=Path, required=True, help='folder of scene buffers')
    parser.add_argument(
        '--set', action='append', default=[], metavar='SECTION.KEY=VALUE', help='change one option'
    )
    parser.add_argument(
        '--make', action='store_true', help='make the buffers that are missing, and stop'
    )
    parser.add_argument(
        '--processes', type=int, default=2, help='processes that make buffers in parallel'
    )
    parser.add_argument(
        '--evaluate', action='store_true', help='measure the weights on the scenes, and stop'
    )
    parser.add_argument(
        '--poses',
        action='store_true',
        help='map the configured worlds, and localize in them with and without the weights, and '
        'with a perfect choice among the same tokens',
    )
    parser.add_argument(
        '--json', type=Path, help='JSON file for the figures of --evaluate or --poses'
    )
    parser.add_argument(
        '--beside',
        type=Path,
        nargs='+',
        default=[],
        metavar='WEIGHTS',
        help='other weights for --evaluate to compare; each is named by its file',
    )
    parser.add_argument(
        '--picture', type=Path, help='file for a drawing of the coverage, .png or .svg'
    )
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make buffers, evaluate, or train, going on where a run into the same output was stopped.

    Under `torchrun` the processes share the scenes.
    """
    options = read_options(arguments.config, arguments.set)
    if arguments.make:
        failed = make_buffers(
            options.scenes.sources(), arguments.scenes, options.buffers, arguments.processes, print
        )
        print(f'{len(scene_files(arguments.scenes))} scenes in {arguments.scenes}')
        return 1 if failed else 0
    if arguments.poses:
        return _evaluate_poses(arguments, options.scenes)
    files = scene_files(arguments.scenes)
    if arguments.evaluate:
        return _evaluate(arguments, files)
    device = resolve_device(arguments.device)
    ranks = Ranks.join(device)
    if device.type == 'cuda' and ranks.world > 1:
        device = ranks.device()
    quiet = ranks.rank > 0
    pretrain(
        files, arguments.output, options, device, (lambda _: None) if quiet else _report, ranks
    )
    if not quiet:
        print(f'weights in {arguments.output}')
    return 0


def _report(progress: Progress) -> None:
    if progress.iteration % REPORT_EVERY == 0:
        print(
            f'iteration {progress.iteration}: mapping {progress.mapping:.3f}, '
            f'query {progress.query:.3f}, {progress.patches_per_second:.0f} patches/s',
            flush=True,
        )


def _trained(path: Path, length: int) -> AnchoredRegressor:
    """Weights of `aceg pretrain` for features of so many numbers."""
    trained = load_regressor(path)
    if trained.kind != ANCHORED:
        raise WeightsError(f'{path} reads {trained.kind} codes; name one that was trained here')
    if trained.config.dim_in != length:
        raise WeightsError(
            f'{path} reads features of {trained.config.dim_in} numbers, not of {length}; name one '
            'that was trained for this encoder'
        )
    return cast(AnchoredRegressor, trained)


def _evaluate_poses(arguments: argparse.Namespace, scenes: SceneOptions) -> int:
    encoder = Engine.load(arguments.device).encoder
    trained = _trained(arguments.output, encoder.dim)
    plain = AnchoredConfig(dim_in=encoder.dim)
    readers = {
        'anchored': AnchoredRegressor(plain),
        'pre-trained': trained,
        'perfect choice': PerfectChoice(replace(plain, tokens_read=trained.config.tokens_read)),
    }
    found = compare_poses(scenes.procedural(), encoder, readers, POSE_FIT, print)
    figures = {
        reader: {
            group: {**right_and_wrong(views), 'query_ms': views.summary()['query_ms_median']}
            for group, views in groups.items()
        }
        for reader, groups in found.items()
    }
    for reader, groups in figures.items():
        for group, values in groups.items():
            print(f'{reader}, {group}: {values}')
    write_json(arguments.json, figures)
    return 0


def _evaluate(arguments: argparse.Namespace, files: list[Path]) -> int:
    length = feature_length(files)
    trained = _trained(arguments.output, length)
    anchored = AnchoredRegressor(AnchoredConfig(dim_in=length))
    scenes = fitted_scenes(files)
    readers = {
        'anchored': patch_errors(scenes, anchored),
        'pre-trained': patch_errors(scenes, trained),
        'pre-trained, patches alone': patch_errors(scenes, trained, context=False),
        **{other.stem: patch_errors(scenes, _trained(other, length)) for other in arguments.beside},
    }
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for name, errors in readers.items():
        figures[name] = {}
        for kind in ('', *sorted({k.split('+')[0] for k in errors.kinds})):
            summary = errors.of(kind).summary()
            figures[name][kind or 'all'] = summary
            values = ', '.join(f'{column} {summary[column]:.3f}' for column in _COLUMNS)
            print(f'{name}, {kind or "all"}: {values}')
    write_json(arguments.json, figures)
    if arguments.picture:
        draw_coverage(arguments.picture, readers)
    return 0
