"""docs/ros.md and the files for viewers, held against the code and the parameter files."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ros_document import TEXT, names, rows, section

from aceg_ros.ros.localizer.options import PARAMETERS as OF_LOCALIZER
from aceg_ros.ros.mapper.options import PARAMETERS as OF_MAPPER

ROOT = Path(__file__).resolve().parents[1]
NODES = ('aceg_localizer', 'aceg_mapper')
TABLES = [{entry.name: entry for entry in table} for table in (OF_LOCALIZER, OF_MAPPER)]
# Foxglove's panels, as files of layouts name them.
PANELS = {'3D', 'CallService', 'DiagnosticSummary', 'Image', 'Plot', 'RawMessages'}


def snippets(language: str) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```', TEXT, re.M | re.S)


@pytest.mark.parametrize('text', snippets('yaml'), ids=lambda text: text.split()[0])
def test_snippets_can_be_loaded(text):
    loaded = yaml.safe_load(text)
    (node,) = loaded
    assert loaded[node]['ros__parameters']


def test_snippets_for_the_nodes_have_their_parameters():
    ours = [t for t in map(yaml.safe_load, snippets('yaml')) if '/**' in t]
    assert len(ours) > 2
    for given in (snippet['/**']['ros__parameters'] for snippet in ours):
        fitting = [table for table in TABLES if given.keys() <= table.keys()]
        assert fitting, given
        for name, value in given.items():
            fitting[0][name].validated(value)


@pytest.mark.parametrize('document', ['README.md', 'docs/ros.md'])
def test_launch_arguments_exist(document):
    text = (ROOT / document).read_text(encoding='utf-8').replace('\\\n', ' ')
    calls = re.findall(r'ros2 launch aceg_ros (\w+)\.launch\.py([^\n`#]*)', text)
    assert calls
    for file, arguments in calls:
        code = (ROOT / 'launch' / f'{file}.launch.py').read_text(encoding='utf-8')
        # One by one, or in a table at the top.
        declared = re.findall(r"(?:DeclareLaunchArgument\(\s*|^    |^\w+ = \{)'(\w+)'", code, re.M)
        assert set(re.findall(r'(\w+):=', arguments)) <= set(declared), (file, arguments)


def said_by_the_code() -> list[str]:
    """All texts in the code, with `...` for what is filled in."""
    texts = []
    for file in (ROOT / 'aceg_ros').rglob('*.py'):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else '...' for v in node.values]
                texts.append(''.join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def test_messages_are_those_of_the_code():
    said = said_by_the_code()
    titles = re.findall(r'^### (.*)$', section('Troubleshooting'), re.M)
    cells = [row[0] for title in titles for row in rows(title)]
    messages = [message for cell in cells for message in re.findall(r'`([^`]+)`', cell)]
    assert len(messages) > 40
    patterns = {m: '.*'.join(re.escape(piece) for piece in m.split('...')) for m in messages}
    unheard = [m for m, wanted in patterns.items() if not any(re.search(wanted, t) for t in said)]
    assert unheard == []


class TestFoxglove:
    @pytest.fixture(scope='class')
    def layout(self) -> dict[str, Any]:
        text = (ROOT / 'config' / 'aceg_foxglove.json').read_text(encoding='utf-8')
        return json.loads(text)

    def test_places_each_panel_once(self, layout):
        def placed(node: Any) -> list[str]:
            if isinstance(node, str):
                return [node]
            assert node['direction'] in ('row', 'column')
            return placed(node['first']) + placed(node['second'])

        panels = placed(layout['layout'])
        assert sorted(panels) == sorted(layout['configById'])
        assert {panel.partition('!')[0] for panel in panels} == PANELS

    def test_shows_topics_and_calls_services_that_exist(self, layout):
        topics = {'/initialpose', '/goal_pose', '/clicked_point', '/diagnostics'}
        services = set()
        for node in NODES:
            topics |= {t.replace('~', f'/{node}') for t in names(f'Topics of {node}')}
            services |= {s.replace('~', f'/{node}') for s in names(f'Services of {node}')}
        panels = layout['configById']
        assert set(panels['3D!map']['topics']) <= topics
        text = json.dumps(panels)
        for path in re.findall(r'"(?:\w*[tT]opic\w*|value)": "(/[^"]+)"', text):
            assert path.partition('.')[0] in topics, path
        called = [p for name, p in panels.items() if name.startswith('CallService')]
        assert {panel['serviceName'] for panel in called} <= services
        assert all(isinstance(json.loads(panel['requestPayload']), dict) for panel in called)

    def test_looks_at_the_map(self, layout):
        assert layout['configById']['3D!map']['followTf'] == 'map'
