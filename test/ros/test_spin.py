"""Nodes as processes: how they start, and that they always end."""

from __future__ import annotations

import signal
from itertools import count

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from processes import HELPERS
from std_srvs.srv import Trigger

SAMPLE = str(HELPERS / 'sample_node.py')


NUMBERS = count()


def start(ros, **parameters):
    """A node, and its name: one of its own, as DDS remembers those that were killed for a while."""
    name = f'sample{next(NUMBERS)}'
    return ros.start(SAMPLE, parameters=parameters, remap={'__node': name}), f'/{name}'


class TestStart:
    def test_activates_itself(self, ros):
        node, name = start(ros)
        assert ros.state(name) == 'active'
        assert node.stop() == 0

    def test_waits_for_a_manager(self, ros):
        node, name = start(ros, autostart=False)
        assert ros.state(name) == 'unconfigured'
        assert ros.change_state(name, 'configure')
        assert ros.change_state(name, 'activate')
        assert ros.state(name) == 'active'
        assert node.stop() == 0

    @pytest.mark.parametrize(
        ('parameters', 'why'),
        [
            ({'behavior': 'refuse'}, 'there is no map; give one'),
            ({'behavior': 'unconfigurable'}, 'could not be started'),
            ({'rate': 1000.0}, 'rate'),
            ({'count': 'many'}, 'count'),
            ({'mode': 'c'}, "parameter mode = 'c' is unknown: give one of a, b"),
        ],
    )
    def test_cannot(self, ros, parameters, why):
        node, _ = start(ros, **parameters)
        assert node.wait() == 1
        assert why in node.output
        assert 'Traceback' not in node.output


class TestEnd:
    @pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
    def test_signal(self, ros, number):
        node, name = start(ros)
        assert ros.state(name) == 'active'
        assert node.stop(number) == 0
        assert node.output.strip() == 'said bye'

    @pytest.mark.parametrize('behavior', ['stuck worker', 'stuck shutdown'])
    def test_something_hangs(self, ros, behavior):
        node, name = start(ros, behavior=behavior)
        assert ros.state(name) == 'active'
        assert node.stop() == 0

    def test_callback_hangs(self, ros):
        node, name = start(ros, behavior='stuck callback')
        ros.call_async(Trigger, f'{name}/fail')
        node.wait_for_output('stuck')
        assert node.stop() == 0

    def test_while_starting(self, ros):
        node, _ = start(ros, behavior='slow start')
        node.wait_for_output('starting')
        assert node.stop() == 0
        assert 'Traceback' not in node.output

    def test_bug_in_a_callback(self, ros):
        node, name = start(ros)
        ros.call_async(Trigger, f'{name}/fail')
        assert node.wait() == 1
        assert 'ZeroDivisionError: a bug' in node.output

    def test_after_its_shutdown_service(self, ros):
        node, name = start(ros)
        request = ChangeState.Request(
            transition=Transition(id=Transition.TRANSITION_ACTIVE_SHUTDOWN)
        )
        assert ros.call(ChangeState, f'{name}/change_state', request).success
        assert node.stop() == 0
        assert 'Traceback' not in node.output
