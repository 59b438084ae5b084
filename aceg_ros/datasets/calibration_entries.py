"""Entries of one camera by name: what is taken is understood, and what is left must be harmless."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.calibration_names import (
    HARMLESS,
    HARMLESS_MATRICES,
    HARMLESS_PARTS,
    INNER,
    LENS_LIKE,
    OF_SLAM,
    SAY_LITTLE,
    UNCERTAINTY,
)
from aceg_ros.datasets.lens_models import fold, is_model
from aceg_ros.errors import CameraError

Array = NDArray[np.float64]

# More numbers than this in one entry are none of a lens, and are not read.
MAX_NUMBERS = 1000


def looks_like_lens(name: str) -> bool:
    """Whether an entry of a dataset's own file, by its name, speaks of a lens."""
    return bool(LENS_LIKE.search(fold(name)))


class Entries:
    """Entries of one camera by folded name, those inside others lifted out, and what was used."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self.values: dict[str, tuple[str, Any]] = {}
        for name, value in section.items():
            self._put(str(name), value)

    def _put(self, name: str, value: Any) -> None:
        folded = fold(name)
        if isinstance(value, Mapping) and folded in INNER and 'data' not in value:
            for inner, content in value.items():
                # `distortion: {type, parameters}`, as maplab writes it.
                belongs = fold(inner) in SAY_LITTLE
                self._put(_belonging(name, str(inner)) if belongs else str(inner), content)
            return
        if isinstance(value, Mapping) and folded in INNER:
            value = value['data']
        if folded in self.values and not _same(self.values[folded][1], value):
            raise CameraError(
                f'entries {self.values[folded][0]!r} and {name!r} are the same and differ; '
                'remove the wrong one'
            )
        self.values[folded] = (name, value)

    def take(self, names: tuple[str, ...]) -> tuple[str, Any] | None:
        """First entry by one of these names that holds something, and mark it as understood."""
        found = None
        for name in names:
            if name in self.values and self.values[name][1] is not None and found is None:
                found = self.values.pop(name)
        return found

    def refuse_rest(self) -> None:
        """Raise CameraError for an entry that was not taken and may concern the lens."""
        for folded, (name, value) in self.values.items():
            if value is None or is_harmless(folded, value) or _is_zero(value):
                continue
            raise CameraError(
                f'entry {name!r} is not understood; remove it if it does not describe the lens, '
                'else give it by a name as in docs/datasets.md'
            )


def _belonging(name: str, inner: str) -> str:
    """Name of an entry that says little by itself, with the name of what holds it."""
    folded = fold(name)
    if folded.startswith('dist'):
        return 'distortion_model' if fold(inner) in ('type', 'model', 'name') else 'distortion'
    return name if fold(inner) in ('parameters', 'params', 'data') else inner


def _same(a: Any, b: Any) -> bool:
    try:
        return np.array_equal(numbers_of('', a), numbers_of('', b))
    except CameraError:
        return a is b or (isinstance(a, str) and a == b)


def is_harmless(folded: str, value: Any) -> bool:
    if UNCERTAINTY.search(folded) or folded in HARMLESS_PARTS:
        return True
    if isinstance(value, Mapping) and any(looks_like_lens(str(inner)) for inner in value):
        return folded == 'depthcamera'
    if folded.startswith('t') and _count(value) in (12, 16):
        return True  # a transform
    if folded in HARMLESS_MATRICES and _count(value) in (9, 12, 16):
        return True
    if folded in HARMLESS:
        return True
    return not looks_like_lens(folded) and (bool(OF_SLAM.match(folded)) or _is_remark(value))


def _is_remark(value: Any) -> bool:
    """Whether this is text, or a list of it, without a number by itself or the name of a lens."""
    texts = value if isinstance(value, list) else [value]
    return all(
        isinstance(text, str)
        and not looks_like_lens(text)
        and not is_model(text)
        and not re.match(r'\s*[\[({]?\s*[-+.]?\d', text)
        for text in texts
    )


def _is_zero(value: Any) -> bool:
    """Whether an entry, whatever it is, adds nothing: zeros, or nothing at all."""
    if value is False or (isinstance(value, str | Mapping) and not value):
        return True
    try:
        return not numbers_of('', value).any()
    except CameraError:
        return False


def _count(value: Any) -> int:
    try:
        return numbers_of('', value).size
    except CameraError:
        return 0


def text_of(entries: Entries, names: tuple[str, ...]) -> str:
    entry = entries.take(names)
    if entry is None:
        return ''
    name, value = entry
    if not isinstance(value, str):
        raise CameraError(f'entry {name!r} is {value!r}; give the name of a lens model')
    return value.strip()


def whole_of(name: str, value: Any) -> int:
    number = number_of(name, value)
    if not np.isfinite(number) or number != round(number):
        raise CameraError(f'entry {name!r} is {value}; give whole pixels')
    return int(number)


def number_of(name: str, value: Any) -> float:
    numbers = numbers_of(name, value)
    if numbers.size != 1:
        raise CameraError(f'entry {name!r} holds {numbers.size} numbers; give one')
    return float(numbers[0])


def numbers_of(name: str, entry: Any) -> Array:
    """Flat float64 array of a number, a list of lists, {rows, cols, data}, or text with numbers."""
    if isinstance(entry, Mapping):
        if 'data' not in entry:
            raise CameraError(f'entry {name!r} has parts but no data; give its numbers as a list')
        entry = entry['data']
    if isinstance(entry, str):
        entry = entry.replace(',', ' ').replace('[', ' ').replace(']', ' ').split()
    if isinstance(entry, bool):
        raise CameraError(f'entry {name!r} is {entry}; a number is expected')
    numbers = list(islice(_flat(entry), MAX_NUMBERS + 1))
    if len(numbers) > MAX_NUMBERS:
        raise CameraError(f'entry {name!r} holds more than {MAX_NUMBERS} numbers')
    try:
        return np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        shown = reprlib.repr(entry)
        raise CameraError(f'entry {name!r} holds something that is no number: {shown}') from error


def _flat(entry: Any) -> Iterator[Any]:
    """What lists in lists hold; an empty list holds nothing."""
    if not isinstance(entry, list | tuple | np.ndarray):
        yield entry
        return
    for part in entry:
        yield from _flat(part)
