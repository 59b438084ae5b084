"""Names that other distributions have, by modules that stand in for theirs."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest
from std_msgs.msg import String

from aceg_ros.ros.middleware import distributions


class NoEvents(Exception):
    """The middleware counts no losses."""


class Recorder:
    """A node that keeps what subscriptions are created with."""

    def __init__(self):
        self.created = []

    def create_subscription(self, *arguments, event_callbacks=None):
        if event_callbacks == 'refused':
            raise NoEvents
        self.created.append((arguments, event_callbacks))
        return 'subscription'


@pytest.fixture
def humble(monkeypatch):
    """The module as it is with Humble's rclpy, which has no event_handler."""
    events = ModuleType('rclpy.qos_event')
    events.SubscriptionEventCallbacks = lambda message_lost: 'refused'
    events.UnsupportedEventTypeError = NoEvents
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'rclpy.event_handler', None)
        patch.setitem(sys.modules, 'rclpy.qos_event', events)
        yield importlib.reload(distributions)
    importlib.reload(distributions)


def test_messages_are_heard_where_losses_are_not_counted(humble):
    node = Recorder()
    heard = (String, '/topic', print, 1)
    assert humble.subscribe(node, *heard, on_lost=print) == 'subscription'
    assert node.created == [(heard, None)]


def test_losses_are_counted():
    node, lost = Recorder(), []
    distributions.subscribe(node, String, '/topic', print, 1, lost.append)
    ((_, callbacks),) = node.created

    class Event:
        total_count_change = 3

    callbacks.message_lost(Event)
    assert lost == [3]
