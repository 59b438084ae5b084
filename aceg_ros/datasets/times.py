"""Times as names of images and trajectories write them; one rule for both, looking at all of a set.

A set of numbers is of the unit in which it is a date of our time: seconds have 10 digits before the
point, nanoseconds 19. If dates are impossible, or neighbors would be hours apart, the unit is the
one in which neighbors are about a camera's period apart. But numbers with digits after the point
are seconds if possible. Whole numbers that neither decides are no times: they count frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.timeline import SAME_INSTANT

Array = NDArray[np.float64]

# Digits after the point of a second.
UNITS = {'seconds': 0, 'milliseconds': 3, 'microseconds': 6, 'nanoseconds': 9}
NUMBERS = 'frame numbers'

# Seconds since 1970 from 1979 to 2286.
_FIRST_DATE, _LAST_DATE = 3e8, 1e10
# Neighbors further apart (s) are of a smaller unit if that puts them this far apart.
_LONG = 3000.0
_SHORT = (4e-3, 2.0)
_USUAL = 0.03
# Differences of whole numbers from here on are not those of frames that are counted.
_NO_COUNT = 1000.0

_PLAIN_NAME = re.compile(r'\d+(\.\d*)?')
_WITH_POINT = re.compile(r'[+-]?\d+\.\d+')
_DATED_NAME = re.compile(r'(.*?)(?<!\d)(\d{9,}(?:[._-]\d+)?)(\D*)')


@dataclass(frozen=True, eq=False)
class Times:
    """Times (N,) in seconds, in the order of the words, and what these were taken for."""

    seconds: Array
    taken_as: str  # a unit, 'seconds.nanoseconds' without zeros, or 'frame numbers'

    @property
    def are_numbers(self) -> bool:
        """Whether the words count frames and are no times."""
        return self.taken_as == NUMBERS


def read_times(
    words: Sequence[str], near: Array | None = None, otherwise: str = NUMBERS
) -> Times | None:
    """Read words that are numbers, at least one, all by the same rule; None if one is no number.

    `near` (M,) are times in seconds that these probably fall on: they decide between readings that
    are alike. `otherwise` is the unit of whole numbers that the rule does not decide.
    """
    try:
        exact = [Decimal(word) for word in words]
    except InvalidOperation:
        return None
    if not exact or not all(np.isfinite(float(value)) for value in exact):
        return None
    values = np.array(exact, dtype=np.float64)
    digits = _digits_without_zeros(words, values, near)
    if digits:
        unit = next(name for name, count in UNITS.items() if count == digits)
        return Times(_joined(words, digits), f'seconds.{unit} without leading zeros')
    whole = all(value == value.to_integral_value() for value in exact)
    unit = _unit(words, values, whole) or (otherwise if whole else 'seconds')
    scale = Decimal(10) ** -UNITS.get(unit, 0)
    return Times(np.array([value * scale for value in exact], dtype=np.float64), unit)


def times_of_names(stems: Sequence[str], near: Array | None = None) -> Times | None:
    """Times in names of files without their suffix; None where names are no numbers.

    Names may share words before and after the number if that is a date.
    """
    if stems and all(_PLAIN_NAME.fullmatch(stem) for stem in stems):
        times = read_times(stems, near)
        if times is not None and times.are_numbers and any('.' in stem for stem in stems):
            return Times(times.seconds, 'seconds')
        return times
    matches = [_DATED_NAME.fullmatch(stem) for stem in stems]
    found = [match.groups() for match in matches if match is not None]
    if not found or len(found) < len(stems) or len({(a, b) for a, _, b in found}) > 1:
        return None
    times = read_times([re.sub('[_-]', '.', number) for _, number, _ in found], near)
    if times is None or times.are_numbers:
        return None
    return times if _FIRST_DATE <= float(np.median(times.seconds)) <= _LAST_DATE else None


def _written_as_seconds(words: Sequence[str], values: Array) -> bool:
    """Whether all have digits after a point and none is too large.

    A recording with long pauses has such times. Its gaps say nothing of the unit.
    """
    small = bool(np.all(np.abs(values) <= _LAST_DATE))
    return small and all(_WITH_POINT.fullmatch(word) for word in words)


def _unit(words: Sequence[str], values: Array, whole: bool) -> str | None:
    """Unit of numbers (N,), or None where whole numbers may count frames."""
    middle = float(np.median(np.abs(values)))
    gaps = np.diff(np.unique(values))
    gap = float(np.median(gaps)) if gaps.size else None
    dated = next(
        (
            unit
            for unit, digits in UNITS.items()
            if _FIRST_DATE <= middle / 10**digits <= _LAST_DATE
        ),
        None,
    )
    if dated is not None and (gap is None or gap / 10 ** UNITS[dated] <= _LONG):
        return dated
    if gap is not None and gap >= _NO_COUNT:
        if _written_as_seconds(words, values):
            return 'seconds'
        small = list(UNITS) if dated is None else list(UNITS)[list(UNITS).index(dated) :]
        best = min(small, key=lambda unit: abs(np.log(gap / 10 ** UNITS[unit] / _USUAL)))
        if dated is None or _SHORT[0] <= gap / 10 ** UNITS[best] <= _SHORT[1]:
            return best
    return dated if dated is not None or whole else 'seconds'


def _digits_without_zeros(words: Sequence[str], values: Array, near: Array | None) -> int:
    """Digits of the part after the point where its leading zeros were left out; else 0.

    `1403636579.63555584` is 63 ms after the second if its neighbors say so.
    """
    parts = [re.fullmatch(r'\d+\.(\d+)', word) for word in words]
    if len(words) < 2 or not all(parts):
        return 0
    fractions = [part[1] for part in parts if part is not None]
    longest = max(len(fraction) for fraction in fractions)
    digits = next((count for count in (3, 6, 9) if longest <= count), 0)
    padded = any(fraction[0] == '0' and len(fraction) > 1 for fraction in fractions)
    if not digits or padded or len({len(fraction) for fraction in fractions}) == 1:
        return 0
    if any(len(f) < longest and len(f) > 1 and f.endswith('0') for f in fractions):
        # A number whose trailing zeros are written has its leading zeros, too.
        return digits
    joined = _joined(words, digits)
    if near is not None and near.size:
        as_written, without = _distance(values, near), _distance(joined, near)
    else:
        as_written, without = _unevenness(values), _unevenness(joined)
    return digits if without < 0.5 * as_written else 0


def _joined(words: Sequence[str], digits: int) -> Array:
    pairs = [word.split('.') for word in words]
    return np.array([float(Decimal(s) + Decimal(f).scaleb(-digits)) for s, f in pairs])


def _unevenness(values: Array) -> float:
    """How far gaps between neighbors are from the usual one, over that."""
    gaps = np.diff(np.sort(values))
    usual = float(np.median(gaps))
    return float(np.abs(gaps - usual).mean() / usual) if usual > 0 else np.inf


def _distance(values: Array, near: Array) -> float:
    """Mean distance of times from the nearest of others (s)."""
    return float(np.abs(values[:, None] - near[_nearest(values, near)][:, None]).mean())


def _nearest(values: Array, near: Array) -> NDArray[np.intp]:
    """Index of the nearest of increasing `near` to each value."""
    after = np.clip(np.searchsorted(near, values), 1, max(len(near) - 1, 1))
    after = np.minimum(after, len(near) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(values - near[before]) <= np.abs(values - near[after]), before, after)


def hits(values: Array, near: Array, within: float = SAME_INSTANT) -> float:
    """Part of the times that fall on one of the increasing times `near`."""
    return float((np.abs(values - near[_nearest(values, near)]) <= within).mean())
