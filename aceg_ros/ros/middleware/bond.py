"""The bond by which Nav2's lifecycle manager notices that a node has died, by bondpy."""

from __future__ import annotations

from typing import Any

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode

try:
    from bondpy.bondpy import Bond
except ImportError:
    Bond = None

# As nav2_util::LifecycleNode::createBond has it, and so the manager expects it.
_TOPIC = 'bond'
_HEARTBEAT_PERIOD = 0.1  # s
_HEARTBEAT_TIMEOUT = 4.0  # s
_PATIENCE = Duration(seconds=0.5)


class ManagerBond:
    """A bond of the node's own name, while the node is active; nothing where there is no bondpy.

    All is for the executor's thread. Heartbeats are sent by a thread of bondpy's.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._bond: Any = None

    def form(self) -> None:
        """Send heartbeats, and listen to the manager's."""
        if Bond is None:
            return
        self._bond = Bond(self._node, _TOPIC, self._node.get_name())
        self._bond.set_heartbeat_period(_HEARTBEAT_PERIOD)
        self._bond.set_heartbeat_timeout(_HEARTBEAT_TIMEOUT)
        self._bond.start()

    def end(self) -> None:
        """Tell the manager that the bond ends, if there is one."""
        if self._bond is None:
            return
        bond, self._bond = self._bond, None
        bond.break_bond()
        # Its publisher takes along what was not delivered yet.
        bond.pub.wait_for_all_acked(_PATIENCE)
        bond.shutdown()
        # It destroys these, but an executor that finds them in the node's lists then fails.
        self._node.destroy_subscription(bond.sub)
        self._node.destroy_publisher(bond.pub)
