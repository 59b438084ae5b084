"""Subscriptions that suit their publishers, and know what gets lost on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from aceg_ros.ros.middleware.distributions import subscribe

LOOK = 0.5  # s between looks at who publishes
LATCHED_QOS = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class MatchedSubscription:
    """A subscription that is reliable where all of its publishers are, and else hears them all.

    Best effort loses large messages, and what they crowd out. But a reliable subscription hears
    reliable publishers only. All is for the executor's thread.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        depth: int,
        reliability: ReliabilityPolicy | None = None,
        on_lost: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Subscribe, with a queue of ``depth``; ``reliability`` None follows the publishers.

        ``on_lost`` is told how many messages were lost, where the middleware counts them.
        """
        self._node = node
        self._kind = kind
        self._topic = topic
        self._callback = callback
        self._depth = depth
        self._on_lost = on_lost
        self._timer = None
        self.reliability = reliability or self._offered or ReliabilityPolicy.BEST_EFFORT
        self._subscription = self._subscribe()
        if reliability is None:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = node.create_timer(LOOK, self._follow, clock=steady)

    def close(self) -> None:
        """Unsubscribe."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)

    @property
    def _offered(self) -> ReliabilityPolicy | None:
        """What suits all publishers; None while there is none."""
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        if not publishers:
            return None
        offers = {publisher.qos_profile.reliability for publisher in publishers}
        reliable = offers == {ReliabilityPolicy.RELIABLE}
        return ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT

    def _follow(self) -> None:
        offered = self._offered
        if offered is None or offered == self.reliability:
            return
        self.reliability = offered
        self._node.destroy_subscription(self._subscription)
        self._subscription = self._subscribe()

    def _subscribe(self) -> Subscription[Any]:
        qos = QoSProfile(depth=self._depth, reliability=self.reliability)
        return subscribe(self._node, self._kind, self._topic, self._callback, qos, self._on_lost)


class LatchedSubscription:
    """A subscription to what was published before, where a publisher keeps that.

    A publisher that keeps nothing and such a subscription would warn of each other. So there is
    none before it is of use.
    """

    def __init__(self, node: Node, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        """Prepare; nothing is subscribed to yet."""
        self._node = node
        self._kind = kind
        self._topic = topic
        self._callback = callback
        self._subscription: Subscription[Any] | None = None
        self._next_look = 0.0

    def look(self) -> None:
        """Subscribe if a publisher keeps what it sent; for whoever lacks it, as often as he likes.

        It may be called from any callback.
        """
        now = time.monotonic()
        if self._subscription is not None or now < self._next_look:
            return
        self._next_look = now + LOOK
        offers = [p.qos_profile for p in self._node.get_publishers_info_by_topic(self._topic)]
        kept = DurabilityPolicy.TRANSIENT_LOCAL, ReliabilityPolicy.RELIABLE
        if any((offer.durability, offer.reliability) == kept for offer in offers):
            self._subscription = self._node.create_subscription(
                self._kind, self._topic, self._callback, LATCHED_QOS
            )

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
