"""Reports on /diagnostics: through diagnostic_updater where it is installed, else directly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from aceg_ros.ros.middleware.distributions import name_reports
from aceg_ros.ros.status_values import key_values

try:
    import diagnostic_updater
except ImportError:
    diagnostic_updater = None

PERIOD = 1.0  # s, diagnostic_updater's own


class Level(Enum):
    """How well something is."""

    OK = DiagnosticStatus.OK
    WARN = DiagnosticStatus.WARN
    ERROR = DiagnosticStatus.ERROR
    STALE = DiagnosticStatus.STALE


@dataclass(frozen=True)
class Report:
    """State of one part of a node; values are written with `str`."""

    level: Level
    message: str
    values: Mapping[str, object] = field(default_factory=dict)


class Diagnostics:
    """Asks for reports once a second and publishes them."""

    def __init__(self, node: Node, hardware_id: Callable[[], str]) -> None:
        """`hardware_id` names the device that the node works with, as far as it is known."""
        self._backend: _Publisher | _Updater = (
            _Publisher(node) if diagnostic_updater is None else _Updater(node)
        )
        self._hardware_id = hardware_id
        # Goes on when simulated time stands still, which is when a report is wanted.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(self._backend.period, self.update, clock=steady)

    def add(self, name: str, report: Callable[[], Report]) -> None:
        """Have `report` called, by the executor's thread, for the status `<node>: <name>`."""
        self._backend.add(name, report)

    def update(self) -> None:
        """Publish at once."""
        self._backend.set_hardware(self._hardware_id())
        self._backend.update()


class _Publisher:
    """Publishes by itself."""

    period = PERIOD

    def __init__(self, node: Node) -> None:
        self._node = node
        self._hardware_id = ''
        self._reports: dict[str, Callable[[], Report]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 1)

    def set_hardware(self, hardware_id: str) -> None:
        self._hardware_id = hardware_id

    def add(self, name: str, report: Callable[[], Report]) -> None:
        self._reports[name] = report

    def update(self) -> None:
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [self._status(name, report()) for name, report in self._reports.items()]
        self._publisher.publish(message)

    def _status(self, name: str, report: Report) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=report.level.value,
            name=f'{_full_name(self._node)}: {name}',
            message=report.message,
            hardware_id=self._hardware_id,
            values=key_values(report.values),
        )


class _Updater:
    """Publishes through diagnostic_updater."""

    def __init__(self, node: Node) -> None:
        self._updater = diagnostic_updater.Updater(node, PERIOD)
        # Nodes of one name in several namespaces are told apart.
        name_reports(self._updater, _full_name(node))
        self.period: float = self._updater.period  # a parameter of the node
        node.destroy_timer(self._updater.timer)

    def set_hardware(self, hardware_id: str) -> None:
        self._updater.setHardwareID(hardware_id)

    def add(self, name: str, report: Callable[[], Report]) -> None:
        def fill(status: Any) -> Any:
            result = report()
            status.summary(result.level.value, result.message)
            for key, value in result.values.items():
                status.add(key, str(value))
            return status

        self._updater.add(name, fill)

    def update(self) -> None:
        self._updater.force_update()


def _full_name(node: Node) -> str:
    return node.get_fully_qualified_name().lstrip('/')
