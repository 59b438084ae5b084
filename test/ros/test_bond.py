"""The bond with Nav2's lifecycle manager, by a stand-in for bondpy and by the real one."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Thread

import pytest
import rclpy
from processes import wait_until
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node

from aceg_ros.demo.nodes import free_domain
from aceg_ros.ros.middleware import bond
from aceg_ros.ros.middleware.bond import ManagerBond


@pytest.fixture
def context():
    """A domain of its own."""
    context = Context()
    rclpy.init(context=context, domain_id=free_domain())
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def node(context):
    """A lifecycle node in a namespace."""
    return LifecycleNode('robot_localizer', namespace='robot', context=context)


class Acked:
    """A stand-in for a publisher whose messages arrive."""

    def wait_for_all_acked(self, timeout):
        return True


class Told:
    """A stand-in for bondpy's Bond that keeps what it is told."""

    def __init__(self, node, topic, bond_id):
        self.sub, self.pub = None, Acked()
        self.told = [(topic, bond_id)]
        BONDS.append(self.told)

    def __getattr__(self, name):
        return lambda *arguments: self.told.append((name, *arguments))


BONDS: list[list[tuple[object, ...]]] = []


def test_is_what_nav2_expects(node, monkeypatch):
    monkeypatch.setattr(bond, 'Bond', Told)
    BONDS.clear()
    of_manager = ManagerBond(node)
    of_manager.end()
    of_manager.form()
    (told,) = BONDS
    # nav2_util/src/lifecycle_node.cpp, createBond
    assert told == [
        ('bond', 'robot_localizer'),
        ('set_heartbeat_period', 0.1),
        ('set_heartbeat_timeout', 4.0),
        ('start',),
    ]
    of_manager.end()
    of_manager.end()
    assert told[4:] == [('break_bond',), ('shutdown',)]
    of_manager.form()
    assert BONDS[1] == told[:4]


def test_does_without_bondpy(node, monkeypatch):
    monkeypatch.setattr(bond, 'Bond', None)
    of_manager = ManagerBond(node)
    of_manager.form()
    of_manager.end()
    assert 'bond' not in str(node.get_publisher_names_and_types_by_node(node.get_name(), '/robot'))


def test_manager_learns_of_the_end_of_the_real_one(context, node):
    pytest.importorskip('bondpy.bondpy', reason='bondpy is a package of ROS, and not installed')
    manager = Node('lifecycle_manager', namespace='robot', context=context)
    executor = SingleThreadedExecutor(context=context)
    for each in (node, manager):
        executor.add_node(each)
    thread = Thread(target=executor.spin, daemon=True)
    thread.start()
    of_manager = ManagerBond(node)

    def do(action: Callable[[], object]) -> None:
        """Do it as services do, in the executor's thread."""
        done = executor.create_task(action)
        wait_until(done.done)

    try:
        for _ in range(3):
            do(of_manager.form)
            theirs = bond.Bond(manager, 'bond', 'robot_localizer')
            do(theirs.start)
            assert theirs.wait_until_formed(Duration(seconds=10))
            do(of_manager.end)
            wait_until(theirs.is_broken, what='the end of the bond')
            assert executor_is_well(thread)
            do(partial(forget, manager, theirs))
    finally:
        do(of_manager.end)
        executor.shutdown()
        thread.join()


def executor_is_well(thread):
    """It ends where something that it waits for was destroyed."""
    time.sleep(0.2)
    return thread.is_alive()


def forget(node, theirs):
    """End a bond of the manager's."""
    theirs.shutdown()
    node.destroy_subscription(theirs.sub)
    node.destroy_publisher(theirs.pub)
