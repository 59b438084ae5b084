"""A node's parameters as a table, from which the node and its documents are made; knows no ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, TypeAlias

from aceg_ros.errors import AcegError

Value: TypeAlias = bool | int | float | str | tuple[str, ...]

_KINDS = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'text'}


class ParameterError(AcegError):
    """A parameter has a value that cannot be used."""


@dataclass(frozen=True)
class Parameter:
    """One parameter; the type of its default is its own, or where it is a `list_too` a list of it.

    `description` is one or two sentences of Markdown. `check` is asked last about a value; it says
    what is wrong and what to do, or gives None.
    """

    name: str
    default: Value
    description: str
    unit: str = ''
    minimum: float = -inf
    maximum: float = inf
    choices: tuple[str, ...] = ()  # empty: any text
    read_only: bool = False  # can be given when the node starts, not changed while it runs
    check: Callable[[Any], str | None] | None = None
    list_too: bool = False  # a text, or a list of texts

    @property
    def limits(self) -> str:
        """Range and unit, or the choices; empty where the type allows every value."""
        if self.choices:
            return f'one of {", ".join(self.choices)}'
        low = f'from {_number(self.minimum)}' if isfinite(self.minimum) else ''
        high = f'to {_number(self.maximum)}' if isfinite(self.maximum) else ''
        return ' '.join(part for part in (low, high, self.unit) if part)

    @property
    def wanted(self) -> str:
        """What to give, in words."""
        kind = '' if self.choices else _KINDS[type(self.default)]
        kind += ', or a list of texts' if self.list_too else ''
        return ' '.join(part for part in (kind, self.limits) if part)

    def validated(self, value: object) -> Value:
        """`value` in the parameter's type; raises ParameterError, which says what to give."""
        if type(self.default) is float and type(value) is int:
            value = float(value)
        if self.list_too and isinstance(value, list | tuple):
            if all(isinstance(each, str) for each in value):
                return tuple(value)
            raise self._error(repr(value), 'is not of texts')
        if not isinstance(value, bool | int | float | str) or type(value) is not type(self.default):
            raise self._error(repr(value), f'is of type {type(value).__name__}')
        if isinstance(value, float) and not isfinite(value):
            raise self._error(repr(value), 'is not finite')
        if isinstance(value, int | float) and not self.minimum <= value <= self.maximum:
            raise self._error(f'{_number(value)} {self.unit}'.rstrip(), 'is out of range')
        if self.choices and value not in self.choices:
            raise self._error(repr(value), 'is unknown')
        problem = None if self.check is None else self.check(value)
        if problem is not None:
            raise ParameterError(f'parameter {self.name} = {value!r} {problem}')
        return value

    def _error(self, value: str, problem: str) -> ParameterError:
        return ParameterError(f'parameter {self.name} = {value} {problem}: give {self.wanted}')


@dataclass(frozen=True)
class Group:
    """Parameters that belong together: a section of the parameter file."""

    title: str
    parameters: tuple[Parameter, ...]


def parameters_of(groups: Iterable[Group]) -> tuple[Parameter, ...]:
    """The parameters of all groups, in order."""
    return tuple(parameter for group in groups for parameter in group.parameters)


def _number(value: float) -> str:
    return f'{value:.10g}'
