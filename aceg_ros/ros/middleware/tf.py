"""Transforms between frames, over /tf and /tf_static."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from threading import Condition

import numpy as np
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from aceg_ros.errors import PoseError, TransformError
from aceg_ros.geometry.poses import Array
from aceg_ros.geometry.transform_tree import TransformTree, unknown_frame
from aceg_ros.ros.messages import to_seconds, transform_from_message, transform_message
from aceg_ros.ros.middleware.publishers import create_publisher, destroy_publisher

try:
    import tf2_ros
except ImportError:
    tf2_ros = None

# Both as tf2 has them.
HISTORY = 10.0  # s
QUEUE_DEPTH = 100


class TransformSender:
    """Sends transforms."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = create_publisher(node, TFMessage, '/tf', QUEUE_DEPTH)

    def close(self) -> None:
        """Remove the publisher."""
        destroy_publisher(self._node, self._publisher)

    def send(self, parent: str, child: str, parent_from_child: Array, stamp: TimeMessage) -> None:
        """Publish where `child` is in `parent`, (4, 4), at `stamp`."""
        transform = TransformStamped(
            header=Header(stamp=stamp, frame_id=parent),
            child_frame_id=child,
            transform=transform_message(parent_from_child),
        )
        self._publisher.publish(TFMessage(transforms=[transform]))


class Transforms:
    """Looks transforms up, through tf2_ros where it is installed."""

    def __init__(self, node: Node) -> None:
        """Begin to listen; the node's executor delivers what is heard."""
        self._node = node
        self._source: _TopicSource | _Tf2Source = (
            _TopicSource(node) if tf2_ros is None else _Tf2Source(node)
        )

    def close(self) -> None:
        """Remove the subscriptions."""
        self._source.close()

    def lookup(self, target: str, source: str, stamp: TimeMessage, timeout: float = 0.0) -> Array:
        """target_from_source (4, 4) at `stamp`; waits up to `timeout` s (of a real clock) for it.

        With a timeout call it from another thread than the executor's, which it would keep from
        listening. Raises TransformError when a frame is not known, the two are not connected, or
        the transform is not known for this time; transforms are never extrapolated.
        """
        if target == source:
            return np.eye(4)
        if stamp == TimeMessage():
            raise TransformError(
                f'a transform from {source} to {target} was asked for at time 0; stamp messages '
                'with the time of measurement'
            )
        return self._source.lookup(target, source, stamp, timeout)

    def top(self, frame: str, below: Collection[str]) -> str:
        """The topmost of the frames that `frame` hangs on, short of those named; or `frame`."""
        parents, chain = self._source.parents(), [frame]
        while (parent := parents.get(chain[-1])) is not None:
            if parent in below or parent in chain:
                break
            chain.append(parent)
        return chain[-1]

    def clear(self) -> None:
        """Forget what was heard, after a jump in time; static transforms stay."""
        self._source.clear()

    def senders(self, topic: str = '/tf') -> set[str]:
        """Full names of other nodes that may send transforms, on `/tf` or `/tf_static`."""
        return senders(self._node, topic)


def senders(node: Node, topic: str) -> set[str]:
    """Full names of other nodes that publish on a topic."""
    publishers = node.get_publishers_info_by_topic(topic)
    names = {f'{each.node_namespace.rstrip("/")}/{each.node_name}' for each in publishers}
    return names - {node.get_fully_qualified_name()}


class _TopicSource:
    """Listens to the topics itself."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tree = TransformTree(HISTORY)
        self._changed = Condition()
        group = MutuallyExclusiveCallbackGroup()
        latched = QoSProfile(depth=QUEUE_DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, topic, callback, qos, callback_group=group)
            for topic, callback, qos in (
                ('/tf', self._on_moving, QUEUE_DEPTH),
                ('/tf_static', self._on_static, latched),
            )
        ]

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def lookup(self, target: str, source: str, stamp: TimeMessage, timeout: float) -> Array:
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                try:
                    return self._tree.lookup(target, source, to_seconds(stamp))
                except TransformError:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0.0:
                        raise
                    self._changed.wait(remaining)

    def parents(self) -> dict[str, str]:
        with self._changed:
            return self._tree.parents

    def clear(self) -> None:
        with self._changed:
            self._tree.clear()

    def _on_moving(self, message: TFMessage) -> None:
        self._add(message, static=False)

    def _on_static(self, message: TFMessage) -> None:
        self._add(message, static=True)

    def _add(self, message: TFMessage, static: bool) -> None:
        with self._changed:
            for transform in message.transforms:
                try:
                    parent_from_child = transform_from_message(transform.transform)
                except PoseError:
                    # Others can only leave it out, as tf2 does; its sender has to fix it.
                    continue
                self._tree.add(
                    transform.header.frame_id.lstrip('/'),
                    transform.child_frame_id.lstrip('/'),
                    parent_from_child,
                    None if static else to_seconds(transform.header.stamp),
                )
            self._changed.notify_all()


class _Tf2Source:
    """Has tf2_ros listen."""

    def __init__(self, node: Node) -> None:
        self._buffer = tf2_ros.Buffer(Duration(seconds=HISTORY))
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def close(self) -> None:
        self._listener.unregister()

    def lookup(self, target: str, source: str, stamp: TimeMessage, timeout: float) -> Array:
        try:
            found = self._buffer.lookup_transform(
                target, source, Time.from_msg(stamp), Duration(seconds=timeout)
            )
        except tf2_ros.TransformException as error:
            frames = self._frames()
            for frame in (target, source):
                if frame not in frames:
                    raise unknown_frame(frame, frames) from error
            raise TransformError(str(error)) from error
        return transform_from_message(found.transform)

    def clear(self) -> None:
        self._buffer.clear()

    def parents(self) -> dict[str, str]:
        described = self._buffer.all_frames_as_yaml()
        return dict(re.findall(r"^(\S.*): *\n +parent: '(.*)' *$", described, re.MULTILINE))

    def _frames(self) -> list[str]:
        """Names of all frames, sorted."""
        parents = self.parents()
        return sorted({*parents, *parents.values()})
