"""Writes what documents say of options and parameters; needs no ROS: `make documents`.

The parameter files of config/ and the tables of docs/ros.md are made from the tables in
aceg_ros/ros/*/options.py, docs/options.md from `aceg_ros.config`, docs/api.md from docstrings.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import api_page
import yaml

from aceg_ros.config import as_page
from aceg_ros.ros.localizer.options import GROUPS as LOCALIZER
from aceg_ros.ros.mapper.options import GROUPS as MAPPER
from aceg_ros.ros.panel.options import GROUPS as PANEL
from aceg_ros.ros.parameter_table import Group, Parameter

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / 'docs' / 'ros.md'
REMEDY = 'run "make documents"'

_WIDTH = 100
_INDENT = '    '
_END = '<!-- end -->'


@dataclass(frozen=True)
class Node:
    """A node whose parameters are documented."""

    name: str  # of its module and files
    groups: tuple[Group, ...]

    @property
    def parameter_file(self) -> Path:
        """Its defaults, for users to copy."""
        return ROOT / 'config' / f'{self.name}.yaml'


NODES = (Node('localizer', LOCALIZER), Node('mapper', MAPPER), Node('panel', PANEL))


def documents() -> dict[Path, str]:
    """What every generated file should contain."""
    texts = {node.parameter_file: parameter_file(node) for node in NODES}
    text = DOCUMENT.read_text(encoding='utf-8')
    for node in NODES:
        text = with_table(text, node.name, table(node.groups))
    pages = {'options.md': as_page(), 'api.md': api_page.as_page()}
    return texts | {DOCUMENT: text} | {ROOT / 'docs' / name: page for name, page in pages.items()}


def stale() -> dict[Path, str]:
    """Those of `documents` that differ from the files there are."""
    return {
        path: text
        for path, text in documents().items()
        if not path.exists() or path.read_text(encoding='utf-8') != text
    }


def parameter_file(node: Node) -> str:
    """All parameters of a node as ROS reads them from YAML, each with its explanation."""
    head = (
        f'Parameters of aceg_{node.name} with their defaults. Those with "read at start" keep '
        'their value while the node runs; the others can be changed at any time with '
        '`ros2 param set`.',
        'To set values, copy this file and give the copy as params_file. It is generated from '
        f'aceg_ros/ros/{node.name}/options.py by `make documents`.',
    )
    lines = [line for paragraph in head for line in _comment(paragraph, '')]
    lines += ['/**:', '  ros__parameters:']
    for number, group in enumerate(node.groups):
        lines += [''] * (number > 0)
        lines += [f'{_INDENT}# ---- {group.title}', '']
        lines += [line for parameter in group.parameters for line in _entry(parameter)]
    return '\n'.join(lines) + '\n'


def table(groups: Iterable[Group]) -> str:
    """All parameters of a node as a table in Markdown."""
    lines = ['| Parameter | Default | Values | Meaning |', '| --- | --- | --- | --- |']
    for group in groups:
        lines += [f'| **{group.title}** | | | |', *map(_row, group.parameters)]
    return '\n'.join(lines) + '\n'


def with_table(text: str, name: str, table: str) -> str:
    """A document with another table between the markers of this name."""
    begin = f'<!-- parameters: {name} -->'
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(_END)
    if not (begun and ended):
        raise ValueError(f'{DOCUMENT} needs a line "{begin}", and a line "{_END}" below it')
    return f'{before}{begin}\n\n{table}\n{_END}{after}'


def _entry(parameter: Parameter) -> Iterator[str]:
    yield from _comment(parameter.description, _INDENT)
    notes = (parameter.limits, 'read at start' if parameter.read_only else '')
    note = '; '.join(filter(None, notes))
    line = f'{_INDENT}{parameter.name}: {_default(parameter)}'
    yield f'{line}  # {note}' if note else line


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f'{indent}# ',
        subsequent_indent=f'{indent}# ',
        break_on_hyphens=False,
    )


def _row(parameter: Parameter) -> str:
    mark = ' *' if parameter.read_only else ''
    values = ', '.join(f'`{choice}`' for choice in parameter.choices) or parameter.limits
    cells = (f'`{parameter.name}`{mark}', f'`{_default(parameter)}`', values, parameter.description)
    return f'| {" | ".join(cells)} |'.replace('|  |', '| |')


def _default(parameter: Parameter) -> str:
    """In YAML."""
    line: str = yaml.safe_dump({parameter.name: parameter.default}, width=_WIDTH)
    return line.removeprefix(f'{parameter.name}:').strip()


def main() -> None:
    """Write the files that are stale."""
    for path, text in stale().items():
        path.write_text(text, encoding='utf-8')
        print(f'{path.relative_to(ROOT)} is written')


if __name__ == '__main__':
    main()
