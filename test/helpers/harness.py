"""Nodes as processes over a real DDS, and a node of the test's own to talk to them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from processes import ROOT, TIMEOUT, NodeProcess, wait_until
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameterTypes, SetParameters
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from aceg_ros.demo.nodes import free_domain
from aceg_ros.ros.messages import transform_message

ENVIRONMENT = {
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    # Large messages get lost over the default transports.
    'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA',
    # Processes that share few cores get several times slower by threads that wait actively.
    'OMP_WAIT_POLICY': 'PASSIVE',
}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
    'shutdown': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    'shutdown_active': Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


class Collector:
    """Messages of one topic."""

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._changed = Condition()

    def add(self, message: Any) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    @property
    def messages(self) -> list[Any]:
        """All that came since `clear`, oldest first."""
        with self._changed:
            return list(self._messages)

    def clear(self) -> None:
        with self._changed:
            self._messages.clear()

    def wait(
        self,
        count: int = 1,
        timeout: float = TIMEOUT,
        where: Callable[[Any], bool] = lambda message: True,
    ) -> list[Any]:
        """The messages for which `where` holds, once there are `count`."""

        def found() -> list[Any]:
            return [message for message in self._messages if where(message)]

        with self._changed:
            enough = self._changed.wait_for(lambda: len(found()) >= count, timeout)
            assert enough, f'{len(found())} of {count} messages within {timeout} s'
            return found()

    def wait_for(self, where: Callable[[Any], bool], timeout: float = TIMEOUT) -> Any:
        """The first message for which `where` holds."""
        return self.wait(1, timeout, where)[0]


class Ros:
    """One ROS domain: processes in it, and the test's own node."""

    def __init__(self, folder: Path) -> None:
        domain = free_domain()
        assert domain is not None, 'no free ROS domain'
        self.domain = domain
        self._folder = folder
        self.environment = ENVIRONMENT | {
            'ROS_DOMAIN_ID': str(self.domain),
            'ROS_LOG_DIR': str(folder),
            'PYTHONUNBUFFERED': '1',
            # Scripts of the tests find the package even where it is not installed.
            'PYTHONPATH': os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')])),
        }
        os.environ.update(ENVIRONMENT)
        self.processes: list[NodeProcess] = []
        self._context = Context()
        rclpy.init(context=self._context, domain_id=self.domain)
        self.node = Node('probe', context=self._context)
        self._clients: dict[str, Any] = {}
        self._publishers: dict[str, Publisher] = {}
        self._static: dict[str, TransformStamped] = {}
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = Thread(target=self._spin, daemon=True)
        self._thread.start()

    def start(
        self,
        program: str,
        *arguments: str,
        parameters: Mapping[str, object] | None = None,
        remap: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> NodeProcess:
        """Run a module (`aceg_ros.ros...`) or a script (`....py`) with this domain's Python."""
        run = [program] if program.endswith('.py') else ['-m', program]
        options = []
        for name, value in (remap or {}).items():
            options += ['-r', f'{name}:={value}']
        for name, value in (parameters or {}).items():
            options += ['-p', f'{name}:={_yaml(value)}']
        command = [sys.executable, *run, *arguments]
        if options:
            command += ['--ros-args', *options]
        log = self._folder / f'process{len(self.processes)}.log'
        process = NodeProcess(command, self.environment | dict(environment or {}), log)
        self.processes.append(process)
        return process

    def call(self, kind: Any, name: str, request: Any = None, timeout: float = TIMEOUT) -> Any:
        """Response of a service, once it is there."""
        answered = Event()
        future = self.call_async(kind, name, request, timeout)
        future.add_done_callback(lambda _: answered.set())
        assert answered.wait(timeout), f'{name} did not answer'
        return future.result()

    def call_async(
        self, kind: Any, name: str, request: Any = None, timeout: float = TIMEOUT
    ) -> Future[Any]:
        """Call a service, once it is there, and do not wait for its response."""
        known = name in self._clients
        if not known:
            self._clients[name] = self.node.create_client(kind, name)
        client = self._clients[name]

        def there() -> bool:
            return client.service_is_ready() or not any(node.alive for node in self.processes)

        wait_until(there, timeout, f'service {name}')
        assert client.service_is_ready(), f'no node is left to serve {name}'
        if not known:
            self._wait_until_heard_by(name.rpartition('/')[0])
        return client.call_async(kind.Request() if request is None else request)

    def collect(self, kind: Any, topic: str, qos: QoSProfile | int = 100) -> Collector:
        """Begin to collect the messages of a topic; needs no publisher yet."""
        collector = Collector()
        self.node.create_subscription(kind, topic, collector.add, qos)
        return collector

    def publisher(
        self, kind: Any, topic: str, qos: QoSProfile | int = 10, subscribers: int = 1
    ) -> Publisher:
        """A publisher that at least so many subscribers hear."""
        publisher = self._publishers.get(topic)
        if publisher is None:
            publisher = self._publishers[topic] = self.node.create_publisher(kind, topic, qos)
        wait_until(
            lambda: publisher.get_subscription_count() >= subscribers, what=f'subscriber of {topic}'
        )
        return publisher

    def send_transform(
        self,
        parent: str,
        child: str,
        parent_from_child: Any,
        stamp: Time | None = None,
        subscribers: int = 1,
    ) -> None:
        """Publish a transform (4, 4) at `stamp`; without one it is static.

        All static ones sent so far are latched together.
        """
        transform = TransformStamped(
            header=Header(frame_id=parent, stamp=stamp or self.now()),
            child_frame_id=child,
            transform=transform_message(parent_from_child),
        )
        topic = '/tf_static' if stamp is None else '/tf'
        publisher = self.publisher(TFMessage, topic, LATCHED if stamp is None else 100, subscribers)
        sent = [transform]
        if stamp is None:
            self._static[child] = transform
            sent = list(self._static.values())
        publisher.publish(TFMessage(transforms=sent))

    def now(self) -> Time:
        """The present stamp."""
        return self.node.get_clock().now().to_msg()

    def set_parameters(self, node: str, **values: object) -> list[SetParametersResult]:
        """Set parameters of a node (its full name), one by one."""
        parameters = [Parameter(name, value=value) for name, value in values.items()]
        request = SetParameters.Request(parameters=[p.to_parameter_msg() for p in parameters])
        return self.call(SetParameters, f'{node}/set_parameters', request).results

    def state(self, node: str) -> str:
        """State of a lifecycle node."""
        return self.call(GetState, f'{node}/get_state').current_state.label

    def change_state(self, node: str, transition: str) -> bool:
        """Have a lifecycle node make one of TRANSITIONS; whether it did."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))
        return self.call(ChangeState, f'{node}/change_state', request).success

    def end(self, processes: list[NodeProcess]) -> None:
        """Kill processes, and forget the clients that talked to them."""
        for process in processes:
            if process.alive:
                process.kill()
        self._clients.clear()

    def close(self) -> None:
        """End everything; what the processes wrote is printed."""
        self.end(self.processes)
        for process in self.processes:
            print(f'--- {process.log.name}\n{process.output}')
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _wait_until_heard_by(self, node: str) -> None:
        """Wait until a node knows all clients made so far; until then its responses get lost.

        It hears of them in order, so it does when one that is made now gets a response.
        """
        client = self.node.create_client(GetParameterTypes, f'{node}/get_parameter_types')
        wait_until(client.service_is_ready, what=f'parameters of {node}')
        answered = Event()

        def asked_again() -> bool:
            future = client.call_async(GetParameterTypes.Request())
            future.add_done_callback(lambda _: answered.set())
            return answered.wait(1.0)

        wait_until(asked_again, what=f'response of {node}')

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
