"""A node's parameters in ROS: declared from a table, validated when set; qualities of service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from aceg_ros.errors import AcegError
from aceg_ros.ros.common_options import BEST_EFFORT, MATCHED, RELIABLE
from aceg_ros.ros.parameter_table import Parameter, ParameterError

# Bounds that the range of a descriptor can hold where a parameter has none.
_LARGEST_INTEGER = 2**63 - 1

_RELIABILITY = {
    MATCHED: None,
    BEST_EFFORT: ReliabilityPolicy.BEST_EFFORT,
    RELIABLE: ReliabilityPolicy.RELIABLE,
}
# For what changes rarely and latecomers need too, such as maps.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# s after a jump back in time, by which rviz has reset itself and forgotten what was latched.
RVIZ_RESET = 1.5


class Parameters:
    """The present values of a node's parameters, by name."""

    def __init__(
        self,
        node: Node,
        table: Sequence[Parameter],
        on_change: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Declare the table; raises ParameterError for a start value that cannot be used.

        `on_change` is called with those new values, each of them checked, that somebody sets later,
        before they hold. It may refuse them all by raising an AcegError, whose text is the reason.
        """
        self._table = {parameter.name: parameter for parameter in table}
        self._on_change = on_change
        self._values: dict[str, Any] = {}
        for parameter in table:
            try:
                declared = node.declare_parameter(
                    parameter.name, parameter.default, descriptor(parameter)
                )
            except ParameterException as error:
                # ROS itself holds the descriptor's range, before anybody can.
                raise ParameterError(
                    f'parameter {parameter.name}: give {parameter.wanted} ({error})'
                ) from error
            self._values |= self._validated([declared])
        node.add_on_set_parameters_callback(self._set)

    def __getitem__(self, name: str) -> Any:
        """Value of a parameter of the table, of its default's type."""
        return self._values[name]

    def _set(self, parameters: list[RosParameter]) -> SetParametersResult:
        try:
            values = self._validated(parameters)
            if values and self._on_change is not None:
                self._on_change(values)
        except AcegError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._values |= values
        return SetParametersResult(successful=True)

    def _validated(self, parameters: Iterable[RosParameter]) -> dict[str, Any]:
        """Values of those parameters that are in the table; raises ParameterError."""
        return {
            given.name: self._table[given.name].validated(given.value)
            for given in parameters
            if given.name in self._table
        }


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    """What `ros2 param describe` shows."""
    made = ParameterDescriptor(
        description=parameter.description,
        additional_constraints=parameter.limits,
        read_only=parameter.read_only,
        # `Parameter.validated` checks types: ROS itself takes no whole numbers for floats, and its
        # reasons name types by number.
        dynamic_typing=True,
    )
    low, high = parameter.minimum, parameter.maximum
    bounded = isfinite(low) or isfinite(high)
    if bounded and isinstance(parameter.default, float):
        made.floating_point_range = [
            FloatingPointRange(from_value=float(low), to_value=float(high))
        ]
    elif bounded:
        low, high = max(low, -_LARGEST_INTEGER), min(high, _LARGEST_INTEGER)
        made.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return made


def image_reliability(name: str) -> ReliabilityPolicy | None:
    """Reliability of image subscriptions, None for that of the publishers; as `image_qos` names."""
    return _RELIABILITY[name]
