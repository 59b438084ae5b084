"""What mapping gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from aceg_ros.maps.code import MapCode

# Called with a first map while the fit goes on, where that is of use.
OnFirstMap: TypeAlias = Callable[[MapCode], None]


@dataclass(frozen=True)
class FitHistory:
    """How the fit went."""

    losses: list[float]  # mean of each pass over the buffer
    inlier_ratio: float  # how much of what patches read is within 10 px at the end
    seconds: float
    completed: float = 1.0  # part of the steps that there was time for


@dataclass(frozen=True)
class MappingResult:
    """A finished map and how it came about."""

    code: MapCode
    history: FitHistory
    skipped: list[str]  # frames left out: 'name: reason'
    seconds: float
    notes: list[str] = field(default_factory=list)  # what else there is to know
