"""The tables of docs/benchmarks.md: those that were measured, each with its command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import run_benchmarks
from run_benchmarks import BENCHMARKS, ROOT, Benchmark, Result

from aceg_ros.cli.main import COMMANDS

RESULT = Result(
    'aceg old', '| a |\n| --- |\n| 1 |', {'a': 1}, 'c0de', 'x y', '2026-11-26', 'CPU', 5
)
TEXT = ''.join(f'<!-- benchmark: {each.name} -->\n<!-- end -->\n' for each in BENCHMARKS)


@pytest.fixture
def places(tmp_path, monkeypatch) -> Path:
    """Document, results and history of its own."""
    monkeypatch.setattr(run_benchmarks, 'DOCUMENT', tmp_path / 'benchmarks.md')
    monkeypatch.setattr(run_benchmarks, 'RESULTS', tmp_path / 'results.json')
    monkeypatch.setattr(run_benchmarks, 'HISTORY', tmp_path / 'history.jsonl')
    monkeypatch.setattr(run_benchmarks, 'PICTURE', tmp_path / 'history.png')
    (tmp_path / 'benchmarks.md').write_text(TEXT)
    return tmp_path


def test_shows_what_was_measured():
    assert not run_benchmarks.stale(), run_benchmarks.REMEDY


def test_commands_exist():
    commands = [line.split() for each in BENCHMARKS for line in (*each.prepare, each.command)]
    for program, name, *_ in commands:
        assert name in COMMANDS if program == 'aceg' else (ROOT / name).is_file()
        assert program in ('aceg', 'python')
    assert len({each.name for each in BENCHMARKS}) == len(BENCHMARKS)


def test_table_command_and_place():
    name = BENCHMARKS[0].name
    text = run_benchmarks.document(TEXT, {name: RESULT})
    assert RESULT.table in text
    assert '2026-11-26, commit c0de, CPU; 5 s in all. Then the command was `aceg old`.' in text
    assert text.count('Not measured yet.') == len(BENCHMARKS) - 1
    assert run_benchmarks.document(text, {name: RESULT}) == text


def test_a_run_that_was_stopped_goes_on(places, monkeypatch, capsys):
    """The second benchmark fails at first; the first is not run again."""
    runs = []

    def run(benchmark: Benchmark, data: Path, identity: str) -> Result:
        runs.append(benchmark.name)
        if len(runs) == 2:
            raise KeyboardInterrupt
        return Result(
            run_benchmarks._shown(benchmark),
            '| a |',
            {},
            'c0de',
            identity,
            '',
            run_benchmarks.machine(),
            1,
        )

    chosen = [each.name for each in BENCHMARKS[:2]]
    monkeypatch.setattr(run_benchmarks, 'run', run)
    monkeypatch.setattr(run_benchmarks, '_identity', lambda: 'x y')
    monkeypatch.setattr(sys, 'argv', ['run_benchmarks.py', str(places), '--only', *chosen])
    with pytest.raises(KeyboardInterrupt):
        run_benchmarks.main()
    assert list(json.loads((places / 'results.json').read_text())) == chosen[:1]
    run_benchmarks.main()
    run_benchmarks.main()
    assert runs == [chosen[0], chosen[1], chosen[1]]
    assert f'{chosen[0]}: measured already' in capsys.readouterr().out
    assert not run_benchmarks.stale()
    history = [json.loads(line) for line in (places / 'history.jsonl').read_text().splitlines()]
    assert [list(line['figures']) for line in history] == [chosen]


def test_one_that_fails_does_not_stop_the_others(places, monkeypatch, capsys):
    chosen = [each.name for each in BENCHMARKS[:3]]

    def run(benchmark: Benchmark, data: Path, identity: str) -> Result:
        if benchmark.name == chosen[1]:
            raise subprocess.CalledProcessError(3, benchmark.name)
        return replace(RESULT, measured=identity, machine=run_benchmarks.machine())

    monkeypatch.setattr(run_benchmarks, 'run', run)
    monkeypatch.setattr(run_benchmarks, '_identity', lambda: 'x y')
    monkeypatch.setattr(sys, 'argv', ['run_benchmarks.py', str(places), '--only', *chosen])
    with pytest.raises(SystemExit, match=f'not measured: {chosen[1]};'):
        run_benchmarks.main()
    assert list(json.loads((places / 'results.json').read_text())) == [chosen[0], chosen[2]]
    assert f'{chosen[1]}: failed with exit status 3' in capsys.readouterr().out
    assert not run_benchmarks.stale()


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A folder in the place of this repository, for programs that stand in for its own."""
    monkeypatch.setattr(run_benchmarks, 'ROOT', tmp_path)
    monkeypatch.setattr(run_benchmarks, '_git', lambda *words: 'c0de')
    return tmp_path


def test_runs_the_command(checkout):
    """What it prints beside its tables is left out."""
    (checkout / 'aceg_ros.py').write_text(
        'import sys, pathlib\n'
        'print("working"); print("| a |\\n|---|\\n\\n| b |\\n|---|")\n'
        'pathlib.Path(sys.argv[2], "f.json").write_text(\'{"data": "\' + sys.argv[1] + \'"}\')\n'
    )
    found = run_benchmarks.run(Benchmark('n', 'aceg {data}', '{out}', 'f.json'), Path('/data'), 'x')
    assert (found.table, found.figures) == ('| a |\n|---|\n\n| b |\n|---|', {'data': '/data'})


def test_a_script_goes_first(checkout):
    (checkout / 'make.py').write_text(
        'import sys, pathlib; pathlib.Path(sys.argv[1], "a.txt").touch()'
    )
    (checkout / 'aceg_ros.py').write_text(
        'import sys, pathlib\n'
        'found = pathlib.Path(sys.argv[1]).exists()\n'
        'print(f"| {found} |"); pathlib.Path(sys.argv[2], "f.json").write_text("{}")\n'
    )
    made = Benchmark('n', 'aceg {out}/a.txt', '{out}', 'f.json', prepare=('python make.py {out}',))
    assert run_benchmarks.run(made, Path('/data'), 'x').table == '| True |'
    assert 'python make.py {out}\naceg a.txt' in run_benchmarks._block(made, None)


def test_one_map_among_others():
    among = {
        'maps': 3,
        'images': 50,
        'alone': 49,
        'right': 48,
        'wrong': 1,
        'time_first': 1.004,
        'time_all': 1.91,
    }
    table = run_benchmarks.several_table({'among': among})
    assert '| its map alone | 49 of 50 | - | 1 |' in table
    assert '| 3 maps, its map first | | | 1.00 |' in table
    assert '| 3 maps, none preferred | 48 of 50 | 1 | 1.91 |' in table


def test_figures_over_ros_beside_the_engine_alone():
    figures = {
        'recall_10cm_5deg': 0.94,
        'median_cm': 4.123,
        'latency_ms_median': 110.4,
        'engine_ms_median': 83.0,
        'oldest_image_ms': 102.0,
        'images': {'published': 50, 'dropped': 2},
        'engine': {'recall_10cm_5deg': 0.98, 'median_cm': 3.9},
    }
    table = run_benchmarks.ros_table(figures)
    assert '| within 10 cm and 5 degrees | 94 % | 98 % |' in table
    assert '| median | 4.12 cm | 3.9 cm |' in table
    assert '| 110 ms | 83 ms |' in table
    assert '| images: published, dropped | 50, 2 | |' in table
