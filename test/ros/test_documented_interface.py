"""The tables of docs/ros.md, held against the nodes as others see them."""

from __future__ import annotations

import re
import time

import pytest
from geometry_msgs.msg import PoseStamped
from processes import wait_until
from rcl_interfaces.srv import ListParameters
from rclpy.qos import DurabilityPolicy
from ros_document import rows

from aceg_ros.ros.localizer.options import PARAMETERS as OF_LOCALIZER
from aceg_ros.ros.mapper.options import PARAMETERS as OF_MAPPER

TABLES = {'aceg_localizer': OF_LOCALIZER, 'aceg_mapper': OF_MAPPER}
KINDS = ('subscriber', 'publisher', 'service')
# What all nodes have, and all lifecycle nodes; not worth telling.
GENERAL = re.compile(
    r'/(rosout|parameter_events|clock)$'
    r'|~/(transition_event|change_state|get_state|get_\w*states|get_\w*transition\w*)$'
    r'|~/(\w+_parameters\w*|get_type_description|\w+_parameter_types|get_logger_levels)$'
)


@pytest.fixture(scope='module', params=TABLES)
def node(request, ros, tmp_path_factory) -> str:
    """A node with everything that its parameters can turn on, except compressed images."""
    parameters = {'use_depth': True}
    if request.param == 'aceg_mapper':
        folder = tmp_path_factory.mktemp('documented')
        parameters |= {
            'recording': folder / 'recording',
            'map': folder / 'map.aceg',
            'pose_source': 'topic',
        }
    module = request.param.removeprefix('aceg_')
    ros.start(f'aceg_ros.ros.{module}', parameters=parameters)
    if 'pose_source' in parameters:
        ros.publisher(PoseStamped, '/pose')  # once it is heard
    wait_until(lambda: settled(ros, request.param), what=f'{request.param} to be known')
    return request.param


def settled(ros, node) -> bool:
    """Whether the node listens to its camera, and nothing more is heard of it."""
    if node not in ros.node.get_node_names():
        return False
    before = graph(ros, node, *KINDS)
    time.sleep(0.5)
    return '/image' in before and before == graph(ros, node, *KINDS)


def graph(ros, node, *kinds) -> dict[str, set[str]]:
    """Names as in the document, with their types, of some of KINDS."""
    found: dict[str, set[str]] = {}
    for kind in kinds:
        ask = getattr(ros.node, f'get_{kind}_names_and_types_by_node')
        for name, types in ask(node, '/'):
            short = name.replace(f'/{node}/', '~/')
            if not GENERAL.search(short):
                found[short] = {re.sub('/(msg|srv)/', '/', each) for each in types}
    return found


def documented(title: str) -> dict[str, set[str]]:
    """Names in a table with their types; names of inputs are resolved as for a node in /."""
    return {
        name if name[0] in '~/' else f'/{name}': set(re.findall(r'`(\w+/\w+)`', row[1]))
        for row in rows(title)
        for name in [row[0].strip('`')]
    }


def test_topics(ros, node):
    there = graph(ros, node, 'subscriber', 'publisher')
    told = documented(f'Topics of {node}')
    assert there.keys() == told.keys()
    for name, types in there.items():
        assert types <= told[name], name
        assert types == told[name] or name == '/pose', name


def test_services(ros, node):
    assert graph(ros, node, 'service') == documented(f'Services of {node}')


def test_what_is_latched(ros, node):
    told = {row[0].strip('`') for row in rows(f'Topics of {node}') if row[2].startswith('latched')}
    for name in graph(ros, node, 'publisher').keys() - {'/tf', '/diagnostics'}:
        (info,) = ros.node.get_publishers_info_by_topic(name.replace('~', f'/{node}'))
        latched = info.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
        assert latched is (name in told), name


def test_parameters(ros, node):
    """The table, from which the documents are made, has all that the node declares."""
    listed = ros.call(ListParameters, f'/{node}/list_parameters', ListParameters.Request())
    of_ros = re.compile(r'use_sim_time$|start_type_description_service$|diagnostic_updater|qos_')
    names = [name for name in listed.result.names if not of_ros.match(name)]
    assert set(names) == {parameter.name for parameter in TABLES[node]}
