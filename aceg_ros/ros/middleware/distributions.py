"""What differs between ROS distributions, from Humble to Lyrical; all else is the same everywhere.

Whether a package is installed at all is asked by the module here that stands before that package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError


def subscribe(
    node: Node,
    kind: type,
    topic: str,
    callback: Callable[[Any], None],
    qos: QoSProfile,
    on_lost: Callable[[int], None],
) -> Subscription[Any]:
    """A subscription that tells how many messages were lost, where the middleware counts them."""
    counting = SubscriptionEventCallbacks(
        message_lost=lambda event: on_lost(event.total_count_change)
    )
    try:
        return node.create_subscription(kind, topic, callback, qos, event_callbacks=counting)
    except UnsupportedEventTypeError:
        return node.create_subscription(kind, topic, callback, qos)


def name_reports(updater: Any, name: str) -> None:
    """Have a diagnostic_updater name its reports; Humble's names them by the node alone."""
    updater.node_name = name
