"""Links in documents lead somewhere, and the commands in them exist."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from aceg_ros.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *sorted((ROOT / 'docs').rglob('*.md')),
    *sorted((ROOT / 'models').glob('*.md')),
]
# Whatever else stands before a command: a profiler, a variable, Python or ROS's own runner.
_CALL = re.compile(r'(?:^|[\s`;|&(])(?:aceg|-m aceg_ros|aceg_ros aceg) ([a-z][\w-]*)(?![\w.:])')


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def anchors(document: Path) -> set[str]:
    """Headings as links name them."""
    text = re.sub(r'```.*?```', '', document.read_text(encoding='utf-8'), flags=re.DOTALL)
    headings = re.findall(r'^#+ (.*)$', text, re.MULTILINE)
    return {re.sub(r'[^\w -]', '', line.lower()).replace(' ', '-') for line in headings}


@pytest.mark.parametrize('document', DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document):
    text = document.read_text(encoding='utf-8')
    wrong = []
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        if '://' in link:
            continue
        target, _, anchor = link.partition('#')
        file = document.parent / target if target else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(link)
    assert wrong == []


@cache
def parser(command: str) -> argparse.ArgumentParser:
    """The arguments of a command."""
    made = argparse.ArgumentParser(prog=command)
    import_module(f'aceg_ros.cli.{command.replace("-", "_")}').add_arguments(made)
    return made


def calls(text: str) -> Iterator[tuple[str, list[str]]]:
    """Commands of `aceg` in blocks of code and in line, each with its arguments."""
    text = text.replace('\\\n', ' ')
    found = re.findall(r'^ *```(\w*)\n(.*?)^ *```', text, re.MULTILINE | re.DOTALL)
    blocks = [block for language, block in found if language in ('', 'sh', 'bash', 'text')]
    prose = re.sub(r'```.*?```', '', text, flags=re.DOTALL)
    for line in [*'\n'.join(blocks).splitlines(), *re.findall(r'`([^`\n]+)`', prose)]:
        for call in _CALL.finditer(line):
            rest = re.split(r'[;|&#<>)]', line[call.end() :])[0]
            yield call[1], shlex.split(rest.replace('[', '').replace(']', ''), posix=False)


@pytest.mark.parametrize('document', DOCUMENTS, ids=name_of)
def test_commands_and_their_options_exist(document):
    wrong = []
    for command, arguments in calls(document.read_text(encoding='utf-8')):
        if command not in COMMANDS:
            wrong.append(command)
            continue
        known = parser(command)._option_string_actions
        given = [word.partition('=')[0] for word in arguments if re.match(r'--?[a-z]', word)]
        wrong += [f'{command} {option}' for option in given if option not in known]
    assert wrong == []


def test_the_documents_have_commands():
    text = ''.join(document.read_text(encoding='utf-8') for document in DOCUMENTS)
    assert len(list(calls(text))) > 100


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (
            '`aceg map DATASET -o M.aceg --every 2`',
            [('map', ['DATASET', '-o', 'M.aceg', '--every', '2'])],
        ),
        ('```sh\naceg fly \\\n  --high    # no\n```\n', [('fly', ['--high'])]),
        ('```sh\naceg info a; aceg info b\n```\n', [('info', ['a']), ('info', ['b'])]),
        ('`python -m aceg_ros info m`', [('info', ['m'])]),
        ('`import aceg_ros as aceg` and the aceg map', []),
    ],
)
def test_commands_are_found(text, expected):
    assert list(calls(text)) == expected


def test_an_option_that_does_not_exist_would_be_found():
    assert '--everi' not in parser('map')._option_string_actions
    assert '--every' in parser('map')._option_string_actions
