"""Count wrong poses of deceptive images, alone and behind the filter of the node."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2

from aceg_ros.cli.common import (
    FIRST_TEST_WORLD,
    add_device,
    add_networks,
    add_options,
    add_places,
    configuration,
    networks,
    output_folder,
    write_json,
)
from aceg_ros.config import Config
from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.base import Frame
from aceg_ros.engine import Engine
from aceg_ros.errors import DatasetError, FitError
from aceg_ros.evaluation.benchmark import spread
from aceg_ros.evaluation.tables import markdown
from aceg_ros.files import write_atomically
from aceg_ros.lab.pretraining.poses import query_groups
from aceg_ros.lab.pretraining.sources.worlds import ProceduralWorlds
from aceg_ros.lab.traps.sheet import draw_sheet
from aceg_ros.lab.traps.trials import Outcome, Trap, answers, spring, traps, twin_rooms
from aceg_ros.localization.localizer import Localizer
from aceg_ros.mapping.mapper import map_scene

_STRANGER = FIRST_TEST_WORLD - 1
_WORLD_GROUPS = {'changed': 'refurnished, other light', 'far': 'from far off'}
_COUNTS = ('images', 'right', 'wrong', 'refused', 'right, filtered', 'wrong, filtered')


@dataclass(frozen=True)
class Place:
    """What is mapped and asked for, and traps that only a made world has."""

    name: str
    mapping: Sequence[Frame]
    queries: Sequence[Frame]
    own: Sequence[Trap] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_places(parser)
    parser.add_argument('--images', type=int, default=20, help='images for each trap and place')
    parser.add_argument(
        '--depth', action='store_true', help='give depth images too, where the places have some'
    )
    add_device(parser)
    add_networks(parser)
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Map every other frame of each place, set the traps, and print what was caught."""
    folder = output_folder(arguments)
    engine = Engine.load(arguments.device, networks(arguments))
    config = configuration(arguments)
    places = list(_places(arguments))
    outcomes: dict[str, list[Outcome]] = {}
    figures = {}
    for place in places:
        strangers = [f for other in places if other is not place for f in other.queries]
        strangers = strangers or list(ProceduralWorlds(1, _STRANGER).scene(0).mapping)
        try:
            sprung = _sprung(place, strangers, engine, config, arguments.budget, arguments.depth)
        except FitError as error:
            print(f'{place.name}: left out, {error}', flush=True)
            continue
        for outcome in sprung:
            outcomes.setdefault(outcome.trap.name, []).append(outcome)
        figures[place.name] = {outcome.trap.name: outcome.counts() for outcome in sprung}
        print(f'{place.name}: done', flush=True)
    if not outcomes:
        raise FitError('no place could be mapped; name another dataset, or give --worlds')
    rows = [[name, *_sums(found)] for name, found in outcomes.items()]
    print(markdown(['trap', *_COUNTS], rows))
    write_json(folder / 'traps.json', figures)
    merged = [
        Outcome(found[0].trap, [trial for outcome in found for trial in outcome.trials])
        for found in outcomes.values()
    ]
    _, png = cv2.imencode('.png', cv2.cvtColor(draw_sheet(merged), cv2.COLOR_RGB2BGR))
    write_atomically(folder / 'traps.png', png.tobytes())
    print(f'the worst of each: {folder / "traps.png"}')
    return 0


def _sprung(
    place: Place,
    strangers: Sequence[Frame],
    engine: Engine,
    config: Config,
    budget: float,
    use_depth: bool,
) -> list[Outcome]:
    """All traps of a place; raises FitError when it cannot be mapped."""
    options = replace(config.mapping, budget=budget)

    def sprung(mapping: Sequence[Frame], set_up: Iterable[Trap]) -> list[Outcome]:
        code = map_scene(mapping, engine, options).code
        localizer = Localizer(code, engine, config.localization)
        clean = answers(localizer, place.queries, use_depth)
        return [spring(localizer, trap, clean, use_depth) for trap in set_up]

    doubled, twins = twin_rooms(place.mapping, place.queries)
    single = sprung(place.mapping, (*traps(place.queries, strangers), *place.own))
    return [*single, *sprung(doubled, [twins])]


def _places(arguments: argparse.Namespace) -> Iterator[Place]:
    for path in arguments.datasets:
        frames = [f for f in open_dataset(path).frames if f.world_from_cam is not None]
        if len(frames) < 4:
            raise DatasetError(f'{path} has {len(frames)} frames with poses; 4 are needed')
        between = frames[1::2]
        queries = spread(between, min(arguments.images, len(between)))
        yield Place(path.name, frames[::2], queries)
    worlds = ProceduralWorlds(arguments.worlds, arguments.first)
    for index in range(arguments.worlds):
        groups = query_groups(worlds, index, arguments.images)
        own = [Trap(name, groups[group]) for group, name in _WORLD_GROUPS.items()]
        yield Place(worlds.name(index), worlds.scene(index).mapping, groups['same'], own)


def _sums(outcomes: Sequence[Outcome]) -> list[str]:
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.counts())
    solvable = total['solvable'] > 0
    return [
        '-' if name.startswith('right') and not solvable else str(total[name]) for name in _COUNTS
    ]
