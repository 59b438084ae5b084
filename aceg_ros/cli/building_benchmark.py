"""Map a generated building in parts, and find views of it among all of them."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from aceg_ros.cli.common import ProgressBar, add_device, add_options, configuration, write_json
from aceg_ros.cli.main import main
from aceg_ros.datasets import Frame, open_dataset
from aceg_ros.errors import AcegError
from aceg_ros.evaluation.places import FIRST, evaluate_place, simulate_ranking
from aceg_ros.lab.worlds.building import (
    BuildingOptions,
    BuildingRoom,
    building_rooms,
    record_building,
)
from aceg_ros.localization.several import MapSet
from aceg_ros.maps.folder import maps_at
from aceg_ros.monitor import Monitor

_SEED = 900  # worlds from 900000 on are for testing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    usual = BuildingOptions()
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        required=True,
        help='folder for recordings, maps and figures; what is there is not made again',
    )
    parser.add_argument('--seed', type=int, default=_SEED, help='number of the building')
    parser.add_argument('--rooms', type=int, default=usual.rooms, help='number of rooms')
    parser.add_argument('--floors', type=int, default=usual.floors, help='floors they are on')
    parser.add_argument(
        '--twins', type=float, default=usual.twins, help='part of rooms that look like another'
    )
    parser.add_argument('--views', type=int, default=50, help='mapping views of a room')
    parser.add_argument('--queries', type=int, default=6, help='queries of a room')
    parser.add_argument('--parts', type=int, default=0, help='number of parts, if not as usual')
    parser.add_argument('--budget', type=float, default=60.0, help='seconds to map a part')
    parser.add_argument(
        '--epochs', type=int, help='passes of the fit, so that effort does not depend on the clock'
    )
    parser.add_argument('--processes', type=int, default=1, help='rooms and parts made at a time')
    parser.add_argument(
        '--simulate', type=int, default=10, help='rank parts of a place so many times as large, too'
    )
    add_device(parser)
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found, of rooms that have no twin and of those that have, and if simulated."""
    folder: Path = arguments.output
    options = BuildingOptions(arguments.rooms, arguments.floors, twins=arguments.twins)
    rooms = building_rooms(arguments.seed, options)
    bar = ProgressBar()
    try:
        mapping, queries = record_building(
            folder,
            rooms,
            arguments.views,
            arguments.queries,
            arguments.processes,
            Monitor(bar),
        )
        maps, mapped = folder / 'maps', folder / 'maps.json'
        if not mapped.is_file() and main(_mapping(arguments, mapping, maps, mapped)):
            raise AcegError(f'{mapping} could not be mapped')
        asking = configuration(arguments).localization
        parts = MapSet.open([maps], arguments.device, asking, remember=False)
        frames = open_dataset(queries).frames
        found = {
            name: evaluate_place(parts, group, Monitor(bar))
            for name, group in _groups(rooms, frames).items()
        }
        simulated = None  # one part is always the likeliest
        if len(parts.localizers) > 1:
            simulated = simulate_ranking(parts, frames, arguments.simulate, arguments.seed)
    finally:
        bar.close()
    fitted = json.loads(mapped.read_text())
    size = sum(path.stat().st_size for path in maps_at([maps]).values())
    keyframes = sum(len(each.code.keyframes) for each in parts.localizers.values())
    heads = (
        'queries of | parts | right part first / of 2 / of 3 | within 10 cm | wrong | ambiguous '
        '| if the part is known: within 10 cm | wrong | query time'
    )
    print(f'| {heads} |\n|{" --- |" * 9}')
    for name, each in found.items():
        cells = [f'{each.right:.1%}', str(each.wrong), str(each.ambiguous)]
        cells += [f'{each.alone:.1%}', str(each.wrong_alone), f'{each.ms / each.ms_alone:.2f} x']
        ranks = _ranks(each.right_part)
        print(f'| {each.queries}, {name} | {each.parts} | {ranks} | {" | ".join(cells)} |')
    summary = (
        f'{len(rooms)} rooms, {keyframes} keyframes, mapped in {fitted["seconds"]:.0f} s, '
        f'{size / 1e6:.1f} MB'
    )
    if simulated is not None:
        print(
            f'| all, parts simulated | {simulated.parts} | {_ranks(simulated.right_part)} |'
            f'{" |" * 5} {simulated.ms:.1f} ms to rank |'
        )
        summary += (
            '; cosine of a query with the likeliest keyframe of a wrong part: '
            f'{simulated.alike:.2f}, of a simulated part: {simulated.alike_simulated:.2f}'
        )
    print(summary)
    figures = {
        'mapping': fitted,
        'map_bytes': size,
        'found': {name: each.to_dict() for name, each in found.items()},
        'simulated': None if simulated is None else simulated.to_dict(),
    }
    write_json(folder / 'building.json', figures)
    return 0


def _groups(rooms: Sequence[BuildingRoom], frames: Sequence[Frame]) -> dict[str, list[Frame]]:
    """Queries of rooms that are like no other, and of those that have a twin."""
    count = Counter(room.seed for room in rooms)
    per_room = len(frames) // len(rooms)
    groups: dict[str, list[Frame]] = {}
    for index, frame in enumerate(frames):
        twin = count[rooms[index // per_room].seed] > 1
        groups.setdefault('rooms with a twin' if twin else 'other rooms', []).append(frame)
    return groups


def _mapping(arguments: argparse.Namespace, mapping: Path, maps: Path, figures: Path) -> list[str]:
    """Arguments of the command that maps the building."""
    words = ['map', str(mapping), '-o', str(maps), '--json', str(figures)]
    words += ['--device', arguments.device, '--processes', str(arguments.processes)]
    words += ['--budget', str(arguments.budget), '--parts', str(arguments.parts)]
    if arguments.epochs:
        words += ['--set', f'mapping.fit.epochs={arguments.epochs}']
    return words


def _ranks(shares: dict[int, float]) -> str:
    return ' / '.join(f'{shares[count]:.1%}' for count in FIRST)
