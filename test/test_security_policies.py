"""The policies of config/sros2, held against docs/ros.md, which is held against the nodes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from ros_document import names, rows

FOLDER = Path(__file__).resolve().parents[1] / 'config' / 'sros2'
NODES = ('aceg_localizer', 'aceg_mapper')
# What every node has.
GENERAL = {'/rosout', '/parameter_events', '/clock', '~/transition_event'}
# With a manager of lifecycles, where bondpy is installed.
BOND = {'aceg_localizer': {'bond'}, 'aceg_mapper': set()}
# Whoever may call these decides where the nodes write, and whether they work.
OF_PARAMETERS = {'set_parameters', 'set_parameters_atomically'}


def allowed(file: str, kind: str, right: str) -> set[str]:
    """Names of topics or services for which a policy gives a right, as they are written."""
    root = ElementTree.parse(FOLDER / f'{file}.policy.xml').getroot()
    return {
        str(entry.text)
        for group in root.iter(kind)
        if group.get(right) == 'ALLOW'
        for entry in group
    }


@pytest.mark.parametrize('node', NODES)
def test_topics(node):
    told = {row[0].strip('`'): row[2] for row in rows(f'Topics of {node}')}
    subscribed = {name for name, words in told.items() if words.startswith('subscribed')}
    published = {name for name, words in told.items() if 'subscribed' not in words.split(',')[0]}
    published |= {name for name, words in told.items() if 'and published' in words}
    assert allowed(node, 'topics', 'subscribe') - GENERAL == (
        subscribed | {'image/compressed'} | BOND[node]
    )
    assert allowed(node, 'topics', 'publish') - GENERAL == published | BOND[node]


@pytest.mark.parametrize('node', NODES)
def test_services(node):
    replied = allowed(node, 'services', 'reply')
    assert names(f'Services of {node}') <= replied
    operator = allowed('operator', 'services', 'request')
    assert {name.replace('~', f'/{node}') for name in replied} <= operator


def test_only_the_operator_sets_parameters_and_begins_recordings():
    assert allowed('aceg_localizer', 'services', 'request') == set()
    assert allowed('aceg_mapper', 'services', 'request') == {'/aceg_localizer/load_map'}
    operator = allowed('operator', 'services', 'request')
    for node in NODES:
        assert {f'/{node}/{name}' for name in OF_PARAMETERS} <= operator


def test_the_panel_calls_what_its_buttons_need():
    told = {f'/{name}' for name in names('Services that aceg_panel calls')}
    assert allowed('aceg_panel', 'services', 'request') == told
    assert told <= allowed('operator', 'services', 'request')
    assert allowed('aceg_panel', 'topics', 'publish') - GENERAL == set()
    topics = names('Topics of aceg_panel')
    assert allowed('aceg_panel', 'topics', 'subscribe') - GENERAL == topics | {'image/compressed'}


@pytest.mark.parametrize('file', [*NODES, 'aceg_panel', 'operator'])
def test_nothing_is_allowed_by_a_pattern(file):
    """A name that ends in an asterisk would allow what nobody thought of."""
    for kind in ('topics', 'services'):
        for right in ('publish', 'subscribe', 'request', 'reply'):
            assert not any('*' in name for name in allowed(file, kind, right))
