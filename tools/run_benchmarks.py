"""Measures all that docs/benchmarks.md shows, and writes its tables: `make benchmarks DATA=folder`.

Each benchmark is a command that prints a table and writes its figures as JSON. What it printed is
kept in benchmarks/results.json, with the code and machine it ran on. A benchmark that was measured
on the present code and models is not run again, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from aceg_ros import __version__
from aceg_ros.evaluation.figures.style import figure
from aceg_ros.evaluation.tables import percent
from aceg_ros.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / 'docs' / 'benchmarks.md'
RESULTS = ROOT / 'benchmarks' / 'results.json'
HISTORY = ROOT / 'benchmarks' / 'history.jsonl'
PICTURE = ROOT / 'docs' / 'history.png'
REMEDY = 'run "python tools/run_benchmarks.py --document"'

_MEASURED = ('aceg_ros', 'models')  # what figures depend on
_END = '<!-- end -->'


@dataclass(frozen=True)
class Benchmark:
    """A command that prints a table in Markdown.

    Commands begin with `aceg`, or with `python` and a script of this repository. In them {data} is
    the folder of datasets, {out} another folder.
    """

    name: str
    command: str
    output: str  # its arguments for JSON
    figures: str  # the JSON file in {out}
    prepare: tuple[str, ...] = ()  # commands to run first
    table: Callable[[Any], str] | None = None  # of its figures, where the command prints none


@dataclass(frozen=True)
class Result:
    """What a benchmark printed, and where."""

    command: str  # without folders
    table: str
    figures: Any
    code: str  # commit
    measured: str  # hash of the code and models
    date: str
    machine: str
    seconds: int


def _compared(name: str, datasets: str, options: str) -> Benchmark:
    paths = ' '.join(f'{{data}}/{dataset}' for dataset in datasets.split())
    command = f'aceg benchmark {paths} {options}'
    return Benchmark(name, command, '-o {out}', figures='benchmark.json')


def ros_table(figures: Mapping[str, Any]) -> str:
    """What `aceg demo` found over ROS, beside the engine alone with the same map."""
    engine, images = figures['engine'], figures['images']
    recall, alone = (percent(each['recall_10cm_5deg']) for each in (figures, engine))
    latency, query = figures['latency_ms_median'], figures['engine_ms_median']
    return '\n'.join(
        [
            '| | over ROS 2 | engine alone |',
            '| --- | --- | --- |',
            f'| within 10 cm and 5 degrees | {recall} | {alone} |',
            f'| median | {figures["median_cm"]:.3g} cm | {engine["median_cm"]:.3g} cm |',
            f'| from the stamp of an image to its pose | {latency:.0f} ms | {query:.0f} ms |',
            f'| images: published, dropped | {images["published"]}, {images["dropped"]} | |',
            f'| oldest image when work on it began | {figures["oldest_image_ms"]:.0f} ms | |',
        ]
    )


def several_table(figures: Mapping[str, Any]) -> str:
    """What `aceg evaluate --beside` found in one map alone, and among others."""
    among = figures['among']
    return '\n'.join(
        [
            '| | found in the right map | in another | processor time |',
            '| --- | --- | --- | --- |',
            f'| its map alone | {among["alone"]} of {among["images"]} | - | 1 |',
            f'| {among["maps"]} maps, its map first | | | {among["time_first"]:.2f} |',
            f'| {among["maps"]} maps, none preferred | {among["right"]} of {among["images"]} | '
            f'{among["wrong"]} | {among["time_all"]:.2f} |',
        ]
    )


BENCHMARKS = (
    _compared(
        'sweep',
        'redkitchen',
        '--map-split seq-01 --every 3 --query-split seq-02 --encoders wide,compact '
        '--methods aceg,sift --budget 60',
    ),
    _compared(
        'first-map',
        'redkitchen',
        '--map-split seq-01 --every 3 --query-split seq-02 --methods first,sift --budget 60',
    ),
    _compared('between', 'redkitchen', '--map-split seq-01 --hold-out 2 --budget 90'),
    _compared(
        'relit',
        'redkitchen',
        '--map-split seq-01 --every 3 --query-split seq-02 --relit 4 --budget 60',
    ),
    _compared('turned-away', 'tum_fr1_rpy euroc_mh05', '--halves --budget 40'),
    _compared(
        'others',
        'tum_fr1_rpy euroc_mh05 fox strecha/Herz-Jesus-P25 strecha/fountain-P11 strecha/entry-P10',
        '--budget 60',
    ),
    Benchmark(
        'day-and-night',
        'aceg light-benchmark {data}/textured_worlds/bookstore --environments {data}/hdri '
        '--budget 40',
        output='--json {out}/light.json',
        figures='light.json',
    ),
    Benchmark(
        'drift',
        'aceg light-benchmark {data}/textured_worlds/small_house '
        '{data}/textured_worlds/small_warehouse --environments {data}/hdri '
        '--methods aceg,unadjusted,sift --drift --seed 777 --budget 60',
        output='--json {out}/drift.json',
        figures='drift.json',
    ),
    Benchmark(
        'miscalibrated',
        'aceg light-benchmark {data}/textured_worlds/bookstore {data}/textured_worlds/hospital '
        '--environments {data}/hdri --methods aceg,unadjusted,sift --miscalibrated --budget 60',
        output='--json {out}/miscalibrated.json',
        figures='miscalibrated.json',
    ),
    _compared(
        'growth',
        'redkitchen',
        '--map-split seq-01 --query-split seq-02 --methods aceg,sift --scaling --budget 60',
    ),
    Benchmark(
        'sessions',
        'aceg light-benchmark {data}/textured_worlds/bookstore --environments {data}/hdri '
        '--sessions --budget 60',
        output='--json {out}/sessions.json',
        figures='sessions.json',
    ),
    Benchmark(
        'several-maps',
        'aceg evaluate {out}/kitchen.aceg {data}/redkitchen --split seq-02 --beside {out}/others',
        output='--json {out}/several.json',
        figures='several.json',
        prepare=(
            'aceg map {data}/redkitchen -o {out}/kitchen.aceg --split seq-01 --every 5 --budget 12',
            'aceg map {data}/tum_fr1_rpy -o {out}/others/desk.aceg --stop 115 --every 2 '
            '--budget 12',
            'aceg map {data}/fox -o {out}/others/fox.aceg --budget 12',
        ),
        table=several_table,
    ),
    Benchmark(
        'alignment',
        'python tools/compare_alignment.py {data}/redkitchen {data}/tum_fr1_rpy --budget 40',
        output='--json {out}/alignment.json',
        figures='alignment.json',
    ),
    Benchmark(
        'coverage',
        'python tools/compare_coverage.py {data}/tum_fr1_rpy --worlds 2 --first 900000 '
        '--textured {data}/textured_worlds/bookstore --environments {data}/hdri --budget 40',
        output='--json {out}/coverage.json',
        figures='coverage.json',
    ),
    Benchmark(
        'rigs',
        'aceg rig-benchmark --worlds 2 --queries 15 --budget 60',
        output='--json {out}/rigs.json',
        figures='rigs.json',
    ),
    Benchmark(
        'rig-pairs',
        'aceg rig-benchmark {data}/euroc_mh05 {data}/tum_fr1_rpy --queries 20 --budget 60',
        output='--json {out}/rigs.json',
        figures='rigs.json',
    ),
    Benchmark(
        'building',
        'aceg building-benchmark --processes 2 --epochs 4 --budget 3600',
        output='-o {out}',
        figures='building.json',
    ),
    Benchmark(
        'depth-one-spot',
        'aceg benchmark {out}/spot/turning --queries {out}/spot/beside --methods aceg,depth '
        '--budget 60',
        output='-o {out}',
        figures='benchmark.json',
        prepare=('python tools/turning_world.py 900010 {out}/spot',),
    ),
    _compared(
        'depth',
        'redkitchen',
        '--map-split seq-01 --every 3 --query-split seq-02 --methods aceg,depth --budget 60',
    ),
    _compared(
        'depth-few',
        'redkitchen',
        '--map-split seq-01 --every 30 --query-split seq-02 --methods aceg,depth --budget 60',
    ),
    _compared('depth-rpy', 'tum_fr1_rpy', '--every 3 --methods aceg,depth --budget 60'),
    Benchmark(
        'over-ros',
        'aceg demo --dataset {data}/redkitchen --map-split seq-01 --query-split seq-02 --rate 5',
        output='-o {out}',
        figures='demo.json',
        table=ros_table,
    ),
    Benchmark(
        'traps',
        'aceg traps {data}/redkitchen {data}/tum_fr1_rpy --worlds 2 --images 16 --budget 60',
        output='-o {out}',
        figures='traps.json',
    ),
    Benchmark(
        'traps-depth',
        'aceg traps {data}/redkitchen {data}/tum_fr1_rpy --worlds 2 --images 16 --budget 60 '
        '--depth',
        output='-o {out}',
        figures='traps.json',
    ),
)


def read_results() -> dict[str, Result]:
    """What was measured so far, by name."""
    if not RESULTS.exists():
        return {}
    return {name: Result(**each) for name, each in json.loads(RESULTS.read_text()).items()}


def document(text: str, results: dict[str, Result]) -> str:
    """docs/benchmarks.md with the command and table of each benchmark between its markers."""
    for benchmark in BENCHMARKS:
        begin = f'<!-- benchmark: {benchmark.name} -->'
        before, begun, rest = text.partition(begin)
        _, ended, after = rest.partition(_END)
        if not (begun and ended):
            raise ValueError(f'{DOCUMENT} needs a line "{begin}", and a line "{_END}" below it')
        block = _block(benchmark, results.get(benchmark.name))
        text = f'{before}{begin}\n\n{block}\n{_END}{after}'
    return text


def stale() -> bool:
    """Whether docs/benchmarks.md shows anything else than `RESULTS`."""
    text = DOCUMENT.read_text(encoding='utf-8')
    return document(text, read_results()) != text


def run(benchmark: Benchmark, data: Path, identity: str) -> Result:
    """Run it; raises CalledProcessError when it fails."""
    with tempfile.TemporaryDirectory() as out:
        start = time.monotonic()
        for line in benchmark.prepare:
            # What these print is not for the table.
            subprocess.run(_words(line, data, out), cwd=ROOT, stdout=sys.stderr, check=True)
        done = subprocess.run(
            _words(f'{benchmark.command} {benchmark.output}', data, out),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds = round(time.monotonic() - start)
        figures = json.loads((Path(out) / benchmark.figures).read_text())
    parts = groupby(done.stdout.splitlines(), lambda line: line.startswith('|'))
    tables = ['\n'.join(lines) for is_table, lines in parts if is_table]
    if benchmark.table is not None:
        tables = [benchmark.table(figures)]
    return Result(
        _shown(benchmark),
        '\n\n'.join(tables),
        figures,
        _git('rev-parse', '--short', 'HEAD'),
        identity,
        time.strftime('%Y-%m-%d'),
        machine(),
        seconds,
    )


def _words(line: str, data: Path, out: str) -> list[str]:
    """The words of a command, with this Python in the place of `aceg` and `python`."""
    program, *rest = shlex.split(line)
    python = [sys.executable, '-m', 'aceg_ros'] if program == 'aceg' else [sys.executable]
    return python + [word.format(data=data, out=out) for word in rest]


def machine() -> str:
    """Processor, number of cores in use, and GPU."""
    import torch

    name = platform.processor() or platform.machine()
    cpu = Path('/proc/cpuinfo')
    if cpu.exists():
        models = [line for line in cpu.read_text().splitlines() if line.startswith('model name')]
        name = models[0].partition(': ')[2] if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    return f'{name}, {cores} cores, {gpu}'


def remember(results: dict[str, Result]) -> None:
    """Write a line of `HISTORY` for this release and machine, in place of one there is."""
    key = (__version__, machine())
    lines = HISTORY.read_text(encoding='utf-8').splitlines() if HISTORY.exists() else []
    kept = [
        line for line in lines if (json.loads(line)['version'], json.loads(line)['machine']) != key
    ]
    figures = {name: each.figures for name, each in results.items() if each.machine == key[1]}
    entry = {
        'version': key[0],
        'machine': key[1],
        'date': time.strftime('%Y-%m-%d'),
        'figures': figures,
    }
    lines = [*kept, json.dumps(entry)]
    write_atomically(HISTORY, ''.join(f'{line}\n' for line in lines).encode())
    draw_history(PICTURE, [json.loads(line) for line in lines])


def draw_history(path: Path, lines: list[dict[str, Any]]) -> None:
    """Draw the share of queries within 10 cm and 5 degrees in each release, lines of `HISTORY`.

    One row for each benchmark and dataset, of the method `aceg` with the usual encoder.
    """
    shares: list[dict[str, float]] = [
        {
            f'{name}, {row["dataset"]}': row['queries']['recall_10cm_5deg']
            for name, figures in line['figures'].items()
            for row in figures.get('rows', ())
            if row['method'] in ('aceg', 'aceg wide') and row['queries']
        }
        for line in lines
    ]
    names = list(dict.fromkeys(name for of_release in shares for name in of_release))
    with figure(path, 8.0, 1.4 + 0.3 * len(names)) as drawing:
        axes = drawing.subplots()
        for line, of_release in zip(lines, shares, strict=True):
            rows = [names.index(name) for name in of_release]
            label = f'{line["version"]}, {line["machine"]}'
            axes.plot(list(of_release.values()), rows, 'o', label=label, markersize=8)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(0.0, 1.02)
        axes.set_title('share of queries within 10 cm and 5 degrees')
        if names:
            axes.legend(loc='upper center', bbox_to_anchor=(0.4, -0.06))


def main() -> None:
    """Run what is not measured yet, and write the document after each."""
    arguments = _parser().parse_args()
    results = read_results()
    if not arguments.document:
        for name in arguments.only:
            if name not in [each.name for each in BENCHMARKS]:
                raise SystemExit(f'{name!r} is no benchmark; choose from {_names()}')
        if not arguments.data.is_dir():
            raise SystemExit(f'{arguments.data} is no folder; give that of the datasets as DATA=')
        identity = _identity()
        failed: list[str] = []
        chosen = [b for b in BENCHMARKS if not arguments.only or b.name in arguments.only]
        for benchmark in chosen:
            known = results.get(benchmark.name)
            if known and (known.measured, known.command) == (identity, _shown(benchmark)):
                print(f'{benchmark.name}: measured already')
                continue
            print(f'{benchmark.name}: {_shown(benchmark)}', flush=True)
            try:
                results[benchmark.name] = run(benchmark, arguments.data.resolve(), identity)
            except subprocess.CalledProcessError as error:
                # Others can still be measured, such as on a machine without ROS 2.
                failed.append(benchmark.name)
                print(f'{benchmark.name}: failed with exit status {error.returncode}', flush=True)
                continue
            _write(results)
            print(results[benchmark.name].table)
        remember(results)
        if failed:
            raise SystemExit(f'not measured: {", ".join(failed)}; the next run tries them again')
    _write(results)


def _write(results: dict[str, Result]) -> None:
    values = {b.name: asdict(results[b.name]) for b in BENCHMARKS if b.name in results}
    write_atomically(RESULTS, (json.dumps(values, indent=2) + '\n').encode())
    text = document(DOCUMENT.read_text(encoding='utf-8'), results)
    write_atomically(DOCUMENT, text.encode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('data', type=Path, nargs='?', default=Path('data'), help='datasets')
    parser.add_argument('--only', nargs='+', default=[], metavar='NAME', help=_names())
    parser.add_argument('--document', action='store_true', help='write the document and stop')
    return parser


def _names() -> str:
    return ', '.join(benchmark.name for benchmark in BENCHMARKS)


def _block(benchmark: Benchmark, result: Result | None) -> str:
    lines = [_without_folders(line) for line in (*benchmark.prepare, benchmark.command)]
    command = '```sh\n' + ''.join(f'{_wrapped(line)}\n' for line in lines) + '```\n'
    if result is None:
        return f'{command}\nNot measured yet.\n'
    note = f'{result.date}, commit {result.code}, {result.machine}; {result.seconds} s in all.'
    old = (
        '' if result.command == _shown(benchmark) else f' Then the command was `{result.command}`.'
    )
    return f'{command}\n{result.table}\n\n{note}{old}\n'


def _shown(benchmark: Benchmark) -> str:
    return _without_folders(benchmark.command)


def _without_folders(command: str) -> str:
    return command.replace('{data}/', '').replace('{out}/', '')


def _wrapped(command: str, width: int = 100) -> str:
    lines, line = [], ''
    for word in command.split():
        if line and len(line) + len(word) + 3 > width:
            lines.append(f'{line} \\')
            line = '   '
        line = f'{line} {word}' if line else word
    return '\n'.join([*lines, line])


def _identity() -> str:
    """Hash of the code and models; raises SystemExit while they differ from what is committed."""
    if _git('status', '--porcelain', *_MEASURED):
        raise SystemExit(f'{" and ".join(_MEASURED)} have changes; commit them first')
    return ' '.join(_git('rev-parse', '--short', f'HEAD:{part}') for part in _MEASURED)


def _git(*words: str) -> str:
    done = subprocess.run(['git', *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == '__main__':
    main()
