"""Parameters of a node: declared from a table, checked, and refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
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

# Bounds that the range of a descriptor can hold where a parameter has none.
_LARGEST_INTEGER = 2**63 - 1

_RELIABILITY = {
    'sensor_data': ReliabilityPolicy.BEST_EFFORT,
    'reliable': ReliabilityPolicy.RELIABLE,
}
QOS_NAMES = tuple(_RELIABILITY)
# For what changes rarely and latecomers need too, such as maps.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class ParameterError(AcegError):
    """A parameter has a value that cannot be used."""


@dataclass(frozen=True)
class Parameter:
    """One row of a node's table. The default's type is the parameter's: bool, int, float or str."""

    name: str
    default: bool | int | float | str
    description: str
    minimum: float = -inf
    maximum: float = inf
    choices: tuple[str, ...] = ()  # empty: any text
    read_only: bool = False  # only to be given when the node starts
    check: Callable[[Any], str | None] | None = None  # why a value cannot be used, or None

    def refusal(self, value: object) -> str | None:
        """Why `value` cannot be used, or None."""
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            return f'a value of type {kind.__name__} is needed, not {value!r}'
        if isinstance(value, int | float) and not self.minimum <= value <= self.maximum:
            return f'{value} is not within {self.minimum:g} to {self.maximum:g}'
        if isinstance(value, float) and not isfinite(value):
            return f'{value} is no finite number'
        if self.choices and value not in self.choices:
            return f'{value!r} is none of {", ".join(self.choices)}'
        return None if self.check is None else self.check(value)

    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows."""
        descriptor = ParameterDescriptor(
            description=self.description,
            additional_constraints=f'one of {", ".join(self.choices)}' if self.choices else '',
            read_only=self.read_only,
            # `refusal` checks types: ROS itself takes no whole numbers for floats, and its reasons
            # name types by number.
            dynamic_typing=True,
        )
        bounded = isfinite(self.minimum) or isfinite(self.maximum)
        if bounded and isinstance(self.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(self.minimum), to_value=float(self.maximum))
            ]
        elif bounded:
            low, high = max(self.minimum, -_LARGEST_INTEGER), min(self.maximum, _LARGEST_INTEGER)
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        return descriptor


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
                    parameter.name, parameter.default, parameter.descriptor()
                )
            except ParameterException as error:
                raise ParameterError(str(error)) from error
            self._values |= self._checked([declared])
        node.add_on_set_parameters_callback(self._set)

    def __getitem__(self, name: str) -> Any:
        """Value of a parameter of the table, of its default's type."""
        return self._values[name]

    def _set(self, parameters: list[RosParameter]) -> SetParametersResult:
        try:
            values = self._checked(parameters)
            if values and self._on_change is not None:
                self._on_change(values)
        except AcegError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._values |= values
        return SetParametersResult(successful=True)

    def _checked(self, parameters: Iterable[RosParameter]) -> dict[str, Any]:
        """Values of those parameters that are in the table; raises ParameterError."""
        values = {}
        for given in parameters:
            parameter = self._table.get(given.name)
            if parameter is None:
                continue
            reason = parameter.refusal(given.value)
            if reason is not None:
                raise ParameterError(f'parameter {given.name}: {reason}')
            values[given.name] = type(parameter.default)(given.value)
        return values


def image_qos(name: str) -> QoSProfile:
    """Quality of service of an image subscription, newest only; `name` is one of QOS_NAMES."""
    return QoSProfile(depth=1, reliability=_RELIABILITY[name])
