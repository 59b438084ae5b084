"""Publishers that are silent while their node is inactive, if it is a node that can be."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile


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
