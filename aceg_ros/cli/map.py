"""Fit a map to posed images."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr
from dataclasses import replace
from functools import partial
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import torch

from aceg_ros.cli.common import (
    STANDARD_OUTPUT,
    ProgressBar,
    add_device,
    add_json,
    add_networks,
    add_options,
    add_selection,
    configuration,
    networks,
    print_figures,
    selected,
    warn_skipped,
)
from aceg_ros.datasets import Dataset
from aceg_ros.engine import PUBLISHED, Engine
from aceg_ros.errors import AcegError, FitError
from aceg_ros.evaluation.benchmark import peak_rss_mb
from aceg_ros.mapping.ace_g.schedule import SCHEDULES, schedule_named
from aceg_ros.mapping.extension import extend_map
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.mapping.parts import Part, parts_needed, split
from aceg_ros.maps.code import FREE, SUFFIX, MapCode
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.monitor import Monitor
from aceg_ros.options import configured

_Mapped: TypeAlias = tuple[dict[str, Any], str]  # figures, and the same for people


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    defaults = MappingOptions()
    parser.add_argument(
        'dataset',
        type=Path,
        help='folder with images and poses, a rosbag, or RIG.yaml of several cameras',
    )
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        required=True,
        help='file for the map, MAP.aceg; of a place mapped in parts, the folder for them',
    )
    add_selection(parser)
    add_device(parser)
    add_networks(parser)
    parser.add_argument(
        '--budget',
        type=float,
        help=f'seconds for the whole of mapping ({defaults.budget:g}, '
        f'with --extend {defaults.extension_budget:g})',
    )
    parser.add_argument(
        '--first',
        action='store_true',
        help='write a first, coarser map in half of the time; the refined map replaces it',
    )
    parser.add_argument(
        '--extend',
        type=Path,
        metavar='MAP.aceg',
        help='add the images to this map, without its own images; poses are in its frame',
    )
    parser.add_argument(
        '--session', default='', help='name of the recording in the map (that of the dataset)'
    )
    parts = parser.add_argument_group('large places', 'see docs/growing-maps.md')
    parts.add_argument(
        '--parts',
        type=int,
        default=0,
        metavar='N',
        help='number of maps the place is split into by position, each with its own budget; '
        'by default 1, or more where one map cannot hold all views',
    )
    parts.add_argument(
        '--part', metavar='K/N', help='map only the K-th of N parts, as on one of several machines'
    )
    parts.add_argument(
        '--processes', type=int, default=1, help='number of parts mapped at the same time (1)'
    )
    parser.add_argument('--tokens', type=int, help='number of vectors in the map code')
    parser.add_argument('--depth', action='store_true', help='use depth images if there are any')
    parser.add_argument('--seed', type=int, help='seed of all random numbers (0)')
    add_options(parser)
    published = parser.add_argument_group('the published ACE-G', 'see docs/published-aceg.md')
    published.add_argument(
        '--schedule',
        choices=SCHEDULES,
        help='map as the published ACE-G does, with its imported regressor (--regressor, '
        'ace_g_pretrained by default); --budget and --depth then have no effect',
    )
    published.add_argument(
        '--memory', type=float, help='device memory that may be used, GB; by default all'
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Map, write the map or its parts, say how good they are."""
    dataset = selected(arguments, arguments.dataset)
    number, count = _parts(arguments, dataset)
    if count > 1:
        return _run_parts(arguments, dataset, number, count)
    if _rank_and_world()[0] > 0:
        return 0  # one map is the work of one process
    base = None if arguments.extend is None else read_map(arguments.extend)
    figures, text = _map(arguments, dataset, arguments.output, base)
    print_figures(arguments.json, figures, [text])
    return 0


def _run_parts(arguments: argparse.Namespace, dataset: Dataset, number: int, count: int) -> int:
    """Map all parts of a place, or only the one of a number."""
    folder = _folder(arguments.output)
    parts = split(dataset.frames, count, folder.name)
    _check_folder(folder, parts)
    numbers = [number] if number else _own_parts(count)
    print(f'aceg: {len(numbers)} of {count} parts, to {folder}/', file=sys.stderr)
    start = time.monotonic()
    if arguments.processes > 1 and len(numbers) > 1:
        threads = max((os.cpu_count() or 1) // arguments.processes, 1)
        with ProcessPoolExecutor(
            arguments.processes, get_context('spawn'), partial(torch.set_num_threads, threads)
        ) as pool:
            mapped = list(pool.map(partial(_map_alone, arguments, count), numbers))
    else:
        mapped = [_map_part(arguments, dataset, folder, parts[n - 1]) for n in numbers]
    figures = {
        'place': parts[0].place,
        'seconds': round(time.monotonic() - start, 2),
        'parts': {parts[n - 1].name: each for n, (each, _) in zip(numbers, mapped, strict=True)},
    }
    print_figures(_own_file(arguments.json), figures, [text for _, text in mapped])
    return 1 if any('error' in part for part, _ in mapped) else 0


def _folder(output: Path) -> Path:
    """Of parts; a name like that of a map is taken for that of their folder."""
    return output.with_name(output.name.removesuffix(SUFFIX))


def _rank_and_world() -> tuple[int, int]:
    """Which of how many processes this is; of one without `torchrun`."""
    return int(os.environ.get('RANK', '0')), int(os.environ.get('WORLD_SIZE', '1'))


def _own_file(path: Path | None) -> Path | None:
    """A file of this process alone, `parts.rank2.json` for `parts.json` under `torchrun`."""
    rank, world = _rank_and_world()
    if path is None or path == STANDARD_OUTPUT or world == 1:
        return path
    return path.with_name(f'{path.stem}.rank{rank}{path.suffix}')


def _own_parts(count: int) -> list[int]:
    """The parts that this process maps: all, or its share of them under `torchrun`."""
    rank, world = _rank_and_world()
    if torch.cuda.is_available() and 'LOCAL_RANK' in os.environ:
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    return list(range(1 + rank, count + 1, world))


def _map_alone(arguments: argparse.Namespace, count: int, number: int) -> _Mapped:
    """Map one part in a process of its own."""
    with redirect_stderr(StringIO()):  # what there is to say of the dataset was said
        dataset = selected(arguments, arguments.dataset)
    folder = _folder(arguments.output)
    part = split(dataset.frames, count, folder.name)[number - 1]
    return _map_part(arguments, dataset, folder, part)


def _map_part(arguments: argparse.Namespace, dataset: Dataset, folder: Path, part: Part) -> _Mapped:
    """Map one part; one that cannot be mapped leaves the others as they are."""
    own = replace(dataset, frames=part.frames)
    try:
        return _map(arguments, own, folder / f'{part.name}{SUFFIX}', None, part.place)
    except AcegError as error:
        return {'error': str(error)}, f'{part.name}: {error}'


def _map(
    arguments: argparse.Namespace,
    dataset: Dataset,
    output: Path,
    base: MapCode | None,
    place: str = '',
) -> _Mapped:
    """Map a dataset and write the map, a part of a place if one is named."""
    engine = _engine(arguments, base)
    session = arguments.session or dataset.name
    mapper = map_scene if base is None else partial(extend_map, base)
    bar = ProgressBar()

    def write(code: MapCode) -> int:
        # A part that is extended stays one of its place.
        info = replace(code.info, place=place or code.info.place)
        return write_map(output, replace(code, info=info))

    def write_first(code: MapCode) -> None:
        write(code)
        print(f'{output}: a first map; it is being refined', file=sys.stderr)

    try:
        result = mapper(
            dataset.frames,
            engine,
            _options(arguments),
            dataset.metric,
            Monitor(bar),
            write_first if arguments.first else None,
            session,
        )
    finally:
        bar.close()
    warn_skipped(result.skipped)
    for note in result.notes:
        print(f'aceg: {note}', file=sys.stderr)
    size = write(result.code)
    quality = result.code.info.quality
    figures = {
        'seconds': round(result.seconds, 2),
        'keyframes': len(result.code.keyframes),
        'map_bytes': size,
        'peak_rss_mb': peak_rss_mb(),
        'quality': quality.to_dict(),
    }
    text = (
        f'{output}: {len(result.code.keyframes)} keyframes in {result.seconds:.1f} s, '
        f'{size / 1e6:.2f} MB; quality {quality.rating.value}; more views: {quality.advice}'
    )
    return figures, text


def _parts(arguments: argparse.Namespace, dataset: Dataset) -> tuple[int, int]:
    """The number of the one part to map, 0 for all, and how many there are."""
    number, count = 0, arguments.parts
    if arguments.part:
        given = re.fullmatch(r'(\d+)/(\d+)', arguments.part)
        number, count = map(int, given.groups()) if given else (0, 0)
        if not 1 <= number <= count:
            raise FitError(f'--part {arguments.part}: give it as K/N, such as 2/8')
    alone = arguments.extend is not None or arguments.schedule
    if alone and count > 1:
        raise FitError('a map that is extended, or a free code, has no parts; leave them out')
    if not count and not alone and dataset.metric:
        count = parts_needed(dataset.frames, _options(arguments))
    return number, count


def _check_folder(folder: Path, parts: list[Part]) -> None:
    """Raise FitError where a folder holds other maps, which would be taken for parts."""
    own = {f'{part.name}{SUFFIX}' for part in parts}
    others = [file.name for file in sorted(folder.glob(f'*{SUFFIX}')) if file.name not in own]
    if others:
        raise FitError(f'{folder} holds other maps, such as {others[0]}: give a new folder')


def _engine(arguments: argparse.Namespace, base: MapCode | None) -> Engine:
    """The networks asked for, or those of the map to extend, or the usual ones."""
    chosen = networks(arguments)
    if base is not None:
        return Engine.for_map(base.info, arguments.device, chosen)
    if arguments.schedule and not chosen.regressor:
        chosen = replace(chosen, regressor=PUBLISHED)
    engine = Engine.load(arguments.device, chosen)
    if arguments.schedule and engine.regressor.kind != FREE:
        raise FitError(
            f'{arguments.schedule} is for a regressor that reads free codes: name one '
            '(--regressor, docs/published-aceg.md), or map without a schedule'
        )
    return engine


def _options(arguments: argparse.Namespace) -> MappingOptions:
    """Options by their dotted names, then those that have a flag of their own."""
    options, budget = configuration(arguments).mapping, arguments.budget
    if arguments.extend and budget is None and options.budget == MappingOptions().budget:
        budget = options.extension_budget
    flags = {
        'budget': budget,
        'tokens': arguments.tokens,
        'use_depth': arguments.depth or None,
        'seed': arguments.seed,
        'free.memory': arguments.memory,
        'free.schedule.tokens': arguments.tokens,
    }
    if arguments.schedule:
        schedule = schedule_named(arguments.schedule)
        options = replace(options, free=replace(options.free, schedule=schedule))
    return configured(options, {n: value for n, value in flags.items() if value is not None})
