"""Parameters set from outside: taken, or refused with the reason."""

from __future__ import annotations

import pytest
from processes import HELPERS
from rcl_interfaces.srv import DescribeParameters, GetParameters
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from aceg_ros.ros.common_options import BEST_EFFORT, CAMERA_PARAMETERS, MATCHED, RELIABLE
from aceg_ros.ros.parameter_table import Parameter
from aceg_ros.ros.parameters import LATCHED, descriptor, image_reliability

SAMPLE = str(HELPERS / 'sample_node.py')


@pytest.fixture(scope='module')
def node(ros):
    process = ros.start(SAMPLE, parameters={'rate': 20})
    assert ros.state('/sample') == 'active'
    return process


def value(ros, name):
    request = GetParameters.Request(names=[name])
    (found,) = ros.call(GetParameters, '/sample/get_parameters', request).values
    return found


class TestSet:
    @pytest.mark.parametrize(
        ('name', 'given', 'logged'),
        [
            ('rate', 25.5, "{'rate': 25.5}"),
            ('rate', 30, "{'rate': 30.0}"),
            ('count', 7, "{'count': 7}"),
            ('mode', 'b', "{'mode': 'b'}"),
            ('label', 'fine', "{'label': 'fine'}"),
        ],
    )
    def test_taken(self, ros, node, name, given, logged):
        (result,) = ros.set_parameters('/sample', **{name: given})
        assert result.successful, result.reason
        node.wait_for_output(f'changed {logged}')

    @pytest.mark.parametrize(
        ('name', 'given', 'why'),
        [
            ('rate', 200.0, 'rate'),
            ('rate', 200, 'rate = 200 Hz is out of range: give a number from 0.5 to 100 Hz'),
            ('rate', float('nan'), 'rate'),
            ('rate', True, 'rate = True is of type bool: give a number'),
            ('count', 0, 'count'),
            ('count', 2.5, 'parameter count = 2.5 is of type float: give a whole number from 1'),
            ('mode', 'c', "mode = 'c' is unknown: give one of a, b"),
            ('label', 'xyz', "parameter label = 'xyz' has an x: leave it out"),
            ('label', 'late', 'too late'),
            ('fixed', False, 'read-only'),
        ],
    )
    def test_refused(self, ros, node, name, given, why):
        before = value(ros, name)
        (result,) = ros.set_parameters('/sample', **{name: given})
        assert not result.successful
        assert why in result.reason
        assert value(ros, name) == before

    def test_whole_number_at_the_start(self, ros, node):
        assert node.alive
        (result,) = ros.set_parameters('/sample', use_sim_time=False)
        assert result.successful, 'parameters of others are none of our business'


class TestDescriptors:
    def test_shown(self, ros, node):
        names = ['rate', 'count', 'mode', 'fixed']
        request = DescribeParameters.Request(names=names)
        response = ros.call(DescribeParameters, '/sample/describe_parameters', request)
        rate, count, mode, fixed = response.descriptors
        assert rate.description == 'How often.'
        assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (
            0.5,
            100.0,
        )
        assert rate.additional_constraints == 'from 0.5 to 100 Hz'
        assert count.integer_range[0].from_value == 1
        assert mode.additional_constraints == 'one of a, b'
        assert fixed.read_only
        assert not rate.read_only

    def test_unbounded_needs_no_range(self):
        assert not descriptor(Parameter('x', 1.0, '')).floating_point_range


class TestQos:
    def test_images(self):
        (parameter,) = (entry for entry in CAMERA_PARAMETERS if entry.name == 'image_qos')
        assert {name: image_reliability(name) for name in parameter.choices} == {
            MATCHED: None,
            BEST_EFFORT: ReliabilityPolicy.BEST_EFFORT,
            RELIABLE: ReliabilityPolicy.RELIABLE,
        }

    def test_latched(self):
        assert LATCHED.durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert LATCHED.reliability == ReliabilityPolicy.RELIABLE
