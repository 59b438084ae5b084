"""Options: dataclasses whose fields say what they mean, in which unit and range, and why.

Options of a stage may hold those of its parts. `configured` changes them by dotted names, such as
'gate.min_inliers', from text or from values read from YAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any, TypeVar

import yaml

from aceg_ros.errors import ConfigError

T = TypeVar('T')


_KINDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    tuple: 'a list',
}


def option(
    default: Any,
    meaning: str,
    unit: str = '',
    low: float = -inf,
    high: float = inf,
    choices: Sequence[str] = (),
) -> Any:
    """A field of options: its default, what it means and why, its unit, and what it may be.

    ``low`` and ``high`` bound numbers, each number of a tuple too.
    """
    metadata = {'meaning': meaning, 'unit': unit, 'low': low, 'high': high, 'choices': choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Options:
    """Base of all options; checks the range of every field."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a value of the wrong type or out of its range."""
        for entry in fields(self):
            if entry.metadata:
                _check(entry, getattr(self, entry.name))


@dataclass(frozen=True)
class Knob:
    """One option as documents and commands show it."""

    name: str  # dotted
    default: Any
    meaning: str
    unit: str
    low: float
    high: float
    choices: Sequence[str]


def knobs(options: Any, prefix: str = '') -> Iterator[Knob]:
    """All options in ``options``, an instance, those of its parts included."""
    for entry in fields(options):
        value, name = getattr(options, entry.name), f'{prefix}{entry.name}'
        if is_dataclass(value):
            yield from knobs(value, f'{name}.')
        elif entry.metadata:
            yield Knob(name, value, **entry.metadata)


def configured(options: T, changes: Mapping[str, Any]) -> T:
    """``options`` with values by dotted name or nested mapping; raises ConfigError."""
    for name, value in changes.items():
        options = _with(options, str(name).split('.'), value, str(name))
    return options


def configured_by_text(options: T, changes: Sequence[str]) -> T:
    """``options`` with changes such as 'gate.min_inliers=40'; raises ConfigError."""
    parsed = {}
    for change in changes:
        name, equals, value = change.partition('=')
        if not equals or not name.strip():
            raise ConfigError(
                f'{change!r} changes nothing: write NAME=VALUE, as in gate.min_inliers=40'
            )
        try:
            parsed[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f'{name}: {value!r} cannot be read as a value') from error
    return configured(options, parsed)


def configured_by_file(options: T, path: Path) -> T:
    """``options`` with the entries of a YAML file; raises ConfigError, naming the file."""
    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8-sig'))
    except OSError as error:
        raise ConfigError(f'{path} cannot be read ({error.strerror})') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'{path} is not YAML: {error}') from error
    if not isinstance(values, dict):
        raise ConfigError(f'{path} must hold options by name')
    try:
        return configured(options, values)
    except ConfigError as error:
        raise ConfigError(f'{path}: {error}') from error


def _with(options: Any, parts: list[str], value: Any, whole: str) -> Any:
    names = [entry.name for entry in fields(options)]
    first, rest = parts[0], parts[1:]
    if first not in names:
        raise ConfigError(f'there is no option {whole}; there are {", ".join(names)}')
    present = getattr(options, first)
    if is_dataclass(present):
        if rest:
            return replace(options, **{first: _with(present, rest, value, whole)})
        if not isinstance(value, Mapping):
            raise ConfigError(f'{whole} holds options of its own; name one of them')
        for name, part in value.items():
            present = _with(present, str(name).split('.'), part, f'{whole}.{name}')
        return replace(options, **{first: present})
    if rest:
        raise ConfigError(f'there is no option {whole}: {first} has no parts')
    try:
        return replace(options, **{first: _converted(present, value)})
    except ConfigError as error:
        raise ConfigError(f'{whole}: {error}' if rest or '.' in whole else str(error)) from error


def _converted(present: Any, value: Any) -> Any:
    if isinstance(present, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(present, float) and type(value) is int:
        return float(value)
    if isinstance(present, float) and isinstance(value, str):
        with suppress(ValueError):  # such as 1e-3, which YAML takes for a word
            return float(value)
    return value


def _check(entry: Field[Any], value: Any) -> None:
    if entry.default is MISSING or entry.default is None:
        return
    kind = type(entry.default)
    numbers = value if isinstance(value, tuple) else (value,)
    if kind is float and type(value) is int:
        kind = int
    if type(value) is not kind:
        raise ConfigError(f'{entry.name} takes {_KINDS[kind]}, not {value!r}')
    if kind is tuple:
        one = type(entry.default[0])
        if not value or not all(type(n) is one or (one, type(n)) == (float, int) for n in value):
            raise ConfigError(f'{entry.name} takes a list, each entry {_KINDS[one]}, not {value!r}')
    low, high, choices = (entry.metadata[name] for name in ('low', 'high', 'choices'))
    for number in numbers:
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if is_number and not (low <= number <= high and isfinite(number)):
            unit = f' {entry.metadata["unit"]}' if entry.metadata['unit'] else ''
            raise ConfigError(f'{entry.name} must be {_range(low, high)}{unit}, not {number}')
    if choices and value not in choices:
        raise ConfigError(f'{entry.name} is one of {", ".join(choices)}, not {value!r}')


def _range(low: float, high: float) -> str:
    if low == -inf and high == inf:
        return 'finite'
    if low == -inf:
        return f'at most {high:g}'
    return f'at least {low:g}' if high == inf else f'from {low:g} to {high:g}'
