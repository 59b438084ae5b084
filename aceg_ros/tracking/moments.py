"""Images of several cameras, joined by their stamps: those of one time are a moment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Generic, TypeVar

from aceg_ros.geometry.motion import CLOCK_SET_BACK

T = TypeVar('T')

# Seconds that a moment waits for the images which are still on their way.
PATIENCE = 0.1
# Images of each camera; more only wait in vain for those of another.
_KEPT = 10


@dataclass(frozen=True)
class _Entry(Generic[T]):
    stamp: float  # s
    item: T
    came: float  # s, by the clock of `now`


@dataclass(frozen=True)
class Joined(Generic[T]):
    """Items of one time, and how far off those of other cameras are that have sent some."""

    items: dict[int, T]  # by camera, in their order; at least one
    apart: dict[int, float]  # s from the first camera's to the nearest item of those without


class MomentJoiner(Generic[T]):
    """Gives the newest moment of which something is to be had.

    Items of a moment are at most ``tolerance`` seconds from that of its first camera. A moment with
    all cameras that send goes before a newer one without. A camera is waited for until it has sent
    something later, or for PATIENCE. Moments do not overlap, and their time only advances.
    """

    def __init__(self, cameras: int, tolerance: float, patience: float = PATIENCE) -> None:
        self._tolerance = tolerance
        self._patience = patience
        self._kept: list[list[_Entry[T]]] = [[] for _ in range(cameras)]
        self._newest: list[float | None] = [None] * cameras  # stamp
        self._given: float | None = None  # the newest stamp of the last moment
        self._given_of: set[int] = set()  # its cameras
        self.dropped = [0] * cameras  # items that newer moments replaced

    def add(self, camera: int, stamp: float, item: T, now: float) -> bool:
        """An item came; False for one that is not newer than the last of its camera.

        Where the stamp is far older, time starts anew.
        """
        newest = self._newest[camera]
        if newest is not None and stamp <= newest:
            if newest - stamp <= CLOCK_SET_BACK:
                return False
            self.clear()
        self._newest[camera] = stamp
        kept = self._kept[camera]
        if self._given is not None and stamp <= self._given:
            self.dropped[camera] += 1  # its moment was given without it
            return True
        kept.append(_Entry(stamp, item, now))
        if len(kept) > _KEPT:
            del kept[0]
            self.dropped[camera] += 1
        return True

    def take(self, now: float, sending: Collection[int]) -> Joined[T] | None:
        """The moment to work on; None while it is better to wait. ``sending``: cameras that do."""
        if sending and self._given_of.isdisjoint(sending):
            self._given = None  # the clock of a camera that stopped does not count
        moments = [moment for moment in map(self._around, self._anchors()) if moment is not None]
        for moment in moments:
            if all(camera in moment for camera in sending):
                return self._give(moment)
        for moment in moments:
            if self._is_over(moment, now, sending):
                return self._give(moment)
        return None

    def clear(self) -> None:
        """Forget all, but for the counts."""
        for camera in range(len(self._kept)):
            self._kept[camera] = []
            self._newest[camera] = None
        self._given = None

    @property
    def waiting(self) -> bool:
        """Whether there is something that was not given yet."""
        return any(self._kept)

    def _anchors(self) -> list[tuple[int, _Entry[T]]]:
        """All items with their cameras, the newest first."""
        entries = [(camera, entry) for camera, kept in enumerate(self._kept) for entry in kept]
        return sorted(entries, key=lambda each: each[1].stamp, reverse=True)

    def _around(self, anchor: tuple[int, _Entry[T]]) -> dict[int, _Entry[T]] | None:
        """The moment whose first camera has this item; None where an earlier camera has one."""
        first, at = anchor
        moment = {}
        for camera, kept in enumerate(self._kept):
            if not kept:
                continue
            nearest = min(kept, key=lambda entry: abs(entry.stamp - at.stamp))
            if abs(nearest.stamp - at.stamp) <= self._tolerance:
                moment[camera] = nearest
        moment[first] = at
        return moment if min(moment) == first else None

    def _is_over(self, moment: dict[int, _Entry[T]], now: float, sending: Collection[int]) -> bool:
        """Whether no more of it is to be expected."""
        at = moment[min(moment)]
        if now - at.came >= self._patience:
            return True
        newest = (self._newest[camera] for camera in sending if camera not in moment)
        return all(stamp is not None and stamp > at.stamp + self._tolerance for stamp in newest)

    def _give(self, moment: dict[int, _Entry[T]]) -> Joined[T]:
        at = moment[min(moment)]
        apart = {}
        for camera, newest in enumerate(self._newest):
            if camera not in moment and newest is not None:
                stamps = [newest, *(entry.stamp for entry in self._kept[camera])]
                apart[camera] = min(abs(stamp - at.stamp) for stamp in stamps)
        self._given = given = max(entry.stamp for entry in moment.values())
        self._given_of = set(moment)
        for camera, kept in enumerate(self._kept):
            rest = [entry for entry in kept if entry.stamp > given]
            self.dropped[camera] += len(kept) - len(rest) - (camera in moment)
            self._kept[camera] = rest
        return Joined({camera: moment[camera].item for camera in sorted(moment)}, apart)
