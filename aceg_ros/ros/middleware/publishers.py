"""Publishers that suit their node, and such as can take a message back."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

_PATIENCE = Duration(seconds=1)


class RetractablePublisher:
    """Leaves its last message for those who come later, until it is retracted.

    A message cannot be taken back in ROS, except with its publisher. Those who subscribe hear
    nothing of that: what the next publisher sends reaches them all.
    """

    def __init__(self, node: Node, kind: type, topic: str, qos: QoSProfile) -> None:
        self._node = node
        self._kind = kind
        self._topic = topic
        self._qos = qos
        self._lock = Lock()
        self._left = False  # whether there is a message for those who come later
        self._publisher = create_publisher(node, kind, topic, qos)

    def publish(self, message: Any) -> None:
        """Publish; from any thread."""
        with self._lock:
            self._publisher.publish(message)
            self._left = True

    def retract_unless(self, holds: Callable[[], bool]) -> None:
        """Take the last message back, unless it still holds; for the executor's thread."""
        with self._lock:
            if not self._left or holds():
                return
            # Those who subscribe already get it in any case.
            self._publisher.wait_for_all_acked(_PATIENCE)
            active = getattr(self._publisher, 'is_activated', False)
            destroy_publisher(self._node, self._publisher)
            self._publisher = create_publisher(self._node, self._kind, self._topic, self._qos)
            if active:
                self._publisher.on_activate(None)
            self._left = False

    def close(self) -> None:
        """Remove the publisher."""
        destroy_publisher(self._node, self._publisher)


def create_publisher(node: Node, kind: type, topic: str, qos: QoSProfile | int) -> Publisher[Any]:
    """A lifecycle publisher of a lifecycle node, or an ordinary one of an ordinary node."""
    if isinstance(node, LifecycleNode):
        return node.create_lifecycle_publisher(kind, topic, qos)
    return node.create_publisher(kind, topic, qos)


def destroy_publisher(node: Node, publisher: Publisher[Any]) -> None:
    """Remove what `create_publisher` made."""
    if isinstance(node, LifecycleNode):
        node.destroy_lifecycle_publisher(publisher)
    else:
        node.destroy_publisher(publisher)
