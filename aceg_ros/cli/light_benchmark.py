"""Compare methods on textured worlds mapped by day and asked by day and by night."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from aceg_ros.cli.common import add_device, add_networks, networks, write_json
from aceg_ros.evaluation.methods import AcegMethod, Method, SiftMethod
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.lab.encoder_training.spots import read_environments
from aceg_ros.lab.light_scenes import GROUPS, light_scenes
from aceg_ros.lab.pretraining.poses import right_and_wrong

_SEED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('worlds', type=Path, nargs='+', help='folders of textured worlds')
    parser.add_argument(
        '--environments', type=Path, required=True, help='folder of environment maps, .hdr'
    )
    parser.add_argument(
        '--methods', default='aceg,sift', help='methods, with commas between: aceg, sift'
    )
    parser.add_argument('--spots', type=int, default=1, help='spots in each world')
    parser.add_argument('--seed', type=int, default=_SEED, help='seed of spots, light and views')
    parser.add_argument('--budget', type=float, default=60.0, help='seconds that aceg may map')
    parser.add_argument('--json', type=Path, help='JSON file for the figures')
    add_device(parser)
    add_networks(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print, for each world and method, right and wrong poses of each group."""
    known: dict[str, Method] = {
        'aceg': AcegMethod(arguments.device, arguments.budget, networks(arguments)),
        'sift': SiftMethod(),
    }
    methods = [known[name] for name in arguments.methods.split(',') if name in known]
    light = read_environments(arguments.environments)
    figures: dict[str, Any] = {}
    print(f'| world, right / wrong | {" | ".join(GROUPS)} |\n| --- |{" --- |" * len(GROUPS)}')
    for folder in arguments.worlds:
        for scene in light_scenes(folder, light, arguments.spots, arguments.seed):
            for method in methods:
                localizer, _ = method.build(scene.mapping)
                counted = {
                    group: right_and_wrong(evaluate(localizer, frames))
                    for group, frames in scene.groups.items()
                }
                figures[f'{scene.name}, {method.name}'] = counted
                cells = [f'{count["right"]} / {count["wrong"]}' for count in counted.values()]
                print(f'| {scene.name}, {method.name} | {" | ".join(cells)} |', flush=True)
    write_json(arguments.json, figures)
    return 0
