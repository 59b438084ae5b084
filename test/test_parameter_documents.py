"""Parameter files and tables that are generated: up to date, complete, and plainly worded."""

from __future__ import annotations

import re
import subprocess
import sys

import parameter_documents
import pytest
import yaml
from parameter_documents import NODES, REMEDY, ROOT

from aceg_ros.ros.parameter_table import Group, Parameter, parameters_of

PARAMETERS = [(node, entry) for node in NODES for entry in parameters_of(node.groups)]


def test_files_are_up_to_date():
    files = [str(path.relative_to(ROOT)) for path in parameter_documents.stale()]
    assert not files, f'{", ".join(files)} differ from the tables in aceg_ros/ros/: {REMEDY}'


@pytest.mark.parametrize('node', NODES, ids=lambda node: node.name)
def test_parameter_files_give_the_defaults(node):
    text = node.parameter_file.read_text(encoding='utf-8')
    given = yaml.safe_load(text)['/**']['ros__parameters']
    defaults = {entry.name: entry.default for entry in parameters_of(node.groups)}
    assert given == defaults
    assert [type(value) for value in given.values()] == [type(d) for d in defaults.values()]
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize('node', NODES, ids=lambda node: node.name)
def test_names_are_unique(node):
    names = [entry.name for entry in parameters_of(node.groups)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ('node', 'entry'), PARAMETERS, ids=[f'{node.name}-{entry.name}' for node, entry in PARAMETERS]
)
class TestDeclarations:
    def test_description_is_short_and_plain(self, node, entry):
        sentences = re.split(r'(?<=[.!?]) ', entry.description)
        assert len(entry.description.split()) <= 25
        assert len(sentences) <= 2
        assert all(sentence.endswith('.') for sentence in sentences)
        assert '|' not in entry.description, 'it would end the cell of the table'

    def test_default_can_be_given(self, node, entry):
        assert entry.validated(entry.default) == entry.default

    def test_numbers_have_a_range(self, node, entry):
        if type(entry.default) in (int, float):
            assert entry.minimum > float('-inf')
            assert entry.maximum < float('inf')


SMALL = (
    Group('Motion', (Parameter('speed', 2.0, 'Highest speed.', unit='m/s', minimum=0.0),)),
    Group('Modes', (Parameter('mode', 'a', 'Which one.', choices=('a', 'b'), read_only=True),)),
)


def test_table():
    assert parameter_documents.table(SMALL).splitlines()[2:] == [
        '| **Motion** | | | |',
        '| `speed` | `2.0` | from 0 m/s | Highest speed. |',
        '| **Modes** | | | |',
        '| `mode` * | `a` | `a`, `b` | Which one. |',
    ]


def test_parameter_file():
    text = parameter_documents.parameter_file(parameter_documents.Node('small', SMALL))
    assert text.partition('/**:\n')[2] == (
        '  ros__parameters:\n'
        '    # ---- Motion\n'
        '\n'
        '    # Highest speed.\n'
        '    speed: 2.0  # from 0 m/s\n'
        '\n'
        '    # ---- Modes\n'
        '\n'
        '    # Which one.\n'
        '    mode: a  # one of a, b; read at start\n'
    )


class TestMarkers:
    TEXT = 'before\n<!-- parameters: a -->\nold\n<!-- end -->\nafter\n'

    def test_what_is_between_them_is_replaced(self):
        text = parameter_documents.with_table(self.TEXT, 'a', 'new\n')
        assert text == 'before\n<!-- parameters: a -->\n\nnew\n\n<!-- end -->\nafter\n'
        assert parameter_documents.with_table(text, 'a', 'new\n') == text

    @pytest.mark.parametrize('text', ['', TEXT.replace(': a', ': b'), TEXT.replace('end', '')])
    def test_both_are_needed(self, text):
        with pytest.raises(ValueError, match='parameters: a'):
            parameter_documents.with_table(text, 'a', 'new\n')


def test_needs_no_ros():
    code = (
        "import sys; sys.modules['rclpy'] = None; sys.path.append('tools'); "
        'import parameter_documents'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
