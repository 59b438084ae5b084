"""docs/ros.md, as tests read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

TEXT = (Path(__file__).resolve().parents[2] / 'docs' / 'ros.md').read_text(encoding='utf-8')


def section(title: str) -> str:
    """Text below a heading, up to the next one of its level or above."""
    found = re.search(rf'^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)', TEXT, re.M | re.S)
    assert found, title
    level = len(found[1])
    return re.split(rf'^#{{1,{level}}} ', found[2], flags=re.M)[0]


def rows(title: str) -> Iterator[list[str]]:
    """Cells of the table below a heading."""
    for line in section(title).splitlines():
        cells = [cell.strip() for cell in line.strip('|').split(' | ')]
        if line.startswith('| `'):
            yield cells


def names(title: str) -> set[str]:
    """Topics or services in a table."""
    return {row[0].strip('`') for row in rows(title)}
