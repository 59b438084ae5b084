"""What is known of where the body is: a state machine fed with images, fixes and failures."""

from __future__ import annotations

import threading
from collections.abc import Collection
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.motion import CLOCK_SET_BACK
from aceg_ros.tracking.frames import map_from_odom
from aceg_ros.tracking.gate import Fix, Gate, GateOptions, Verdict

Array = NDArray[np.float64]

# Images may overtake each other by less than this; a greater step back is time that starts anew.


class State(str, Enum):
    """What the localizer is doing."""

    WAITING_FOR_MAP = 'waiting_for_map'
    WAITING_FOR_IMAGES = 'waiting_for_images'
    SEARCHING = 'searching'  # no fix yet
    LOCALIZED = 'localized'
    LOST = 'lost'  # there was a fix, too long ago


class Arrival(Enum):
    """How an image's stamp follows the one before."""

    NEW = 'new'
    OLD = 'old'  # not newer than the last image; not to be used
    JUMPED_BACK = 'jumped back'  # time starts anew, and all that was known is forgotten


class Tracker:
    """Decides what to believe; may be used from several threads.

    Work on an image takes time, in which the map may change or the past be forgotten. So `epoch`,
    read before the work begins, comes back with its outcome; outcomes of another epoch are ignored.
    """

    def __init__(self, gate: GateOptions | None = None, lost_after: float = 2.0) -> None:
        """``lost_after``: seconds without an accepted fix until a localized body is lost."""
        self._lock = threading.RLock()
        self._gate = Gate(gate)
        self._lost_after = lost_after
        self._has_map = False
        self._has_images = False
        self._words = 'no map is loaded'
        self._last_stamp: float | None = None
        self._last_fix: Fix | None = None
        self._map_from_odom: tuple[str, Array] | None = None
        self._lost = False
        self._epoch = 0

    @property
    def state(self) -> State:
        """The present state."""
        with self._lock:
            if not self._has_map:
                return State.WAITING_FOR_MAP
            if not self._has_images:
                return State.WAITING_FOR_IMAGES
            if self._last_fix is None:
                return State.SEARCHING
            return State.LOST if self._lost else State.LOCALIZED

    @property
    def status(self) -> tuple[State, str]:
        """The present state, and what it comes from in words."""
        with self._lock:
            return self.state, self._words

    @property
    def epoch(self) -> int:
        """Changes when all that was known is forgotten."""
        with self._lock:
            return self._epoch

    @property
    def map_id(self) -> str:
        """The map of the last accepted fix, or of a pose given since; empty without either."""
        with self._lock:
            return self._gate.map_id

    @property
    def map_from_odom(self) -> tuple[str, Array] | None:
        """The map of the last accepted fix, and (4, 4) in it of the last one that had odometry.

        None unless localized, and where no fix in that map had odometry.
        """
        with self._lock:
            return self._map_from_odom if self.state is State.LOCALIZED else None

    def configure(self, gate: GateOptions, lost_after: float) -> None:
        """Change the limits; what is known stays."""
        with self._lock:
            self._gate.options = gate
            self._lost_after = lost_after

    def map_loaded(self, words: str, kept: Collection[str] = ()) -> None:
        """A map has come, or others in its place; what is known in one of those ``kept`` stays."""
        with self._lock:
            self._has_map = True
            if self._gate.map_id in kept:
                self._epoch += 1  # work at hand may be in a map that went
            else:
                self.forget(words)

    def map_missing(self, words: str) -> None:
        """There is no map, and why."""
        with self._lock:
            self._has_map = False
            self.forget(words)
            self._words = words

    def forget(self, words: str) -> None:
        """Start anew: the next fix is believed wherever it is."""
        with self._lock:
            self._gate.forget()
            self._restart(words)

    def expect(self, map_from_body: Array, covariance: Array, map_id: str = '') -> None:
        """Start anew near a pose given from outside; fixes far from it count as jumps.

        The pose is the body's when the next image is taken; see `hint.believable` about its
        ``covariance`` (6, 6).
        """
        with self._lock:
            self._gate.expect(map_from_body, covariance, map_id)
            self._restart('a starting pose was given')

    def predicted(self, odom_from_body: Array | None) -> Array | None:
        """Guess of map_from_body (4, 4) to start a search from, or None."""
        with self._lock:
            return self._gate.predicted(odom_from_body)

    def no_images(self, words: str) -> None:
        """No images come that could be used, and why."""
        with self._lock:
            self._has_images = False
            # After a pause nothing is published before the next fix.
            self._lost = True
            if self._has_map:
                self._words = words

    def image(self, stamp: float) -> Arrival:
        """An image that can be used has come; ``stamp`` in seconds."""
        with self._lock:
            arrival = Arrival.NEW
            if self._last_stamp is not None and stamp <= self._last_stamp:
                back = self._last_stamp - stamp
                if back < CLOCK_SET_BACK:
                    return Arrival.OLD
                self.forget(f'the time of the images jumped back by {back:.1f} s')
                arrival = Arrival.JUMPED_BACK
            self._last_stamp = stamp
            if not self._has_images:
                self._has_images = True
                if self._has_map:
                    self._words = 'images come'
            return arrival

    def fix(self, fix: Fix, epoch: int, words: str) -> Verdict | None:
        """An image was localized; ``words`` describe the fix where it is accepted.

        None where the work on it began in another epoch.
        """
        with self._lock:
            if epoch != self._epoch:
                return None
            self._gate.advance(fix.stamp, fix.odom_from_body)
            verdict = self._gate.check(fix)
            if not verdict.accepted:
                self._not_fixed(fix.stamp, verdict.words)
                return verdict
            self._last_fix = fix
            # Of the last image before the camera stopped it is no news.
            self._lost = not self._has_images
            if self._has_images:
                self._words = words
            if fix.odom_from_body is not None:
                found = map_from_odom(fix.map_from_body, fix.odom_from_body)
                self._map_from_odom = fix.map_id, found
            elif verdict.jumped:
                self._map_from_odom = None  # it is of where the body was
            return verdict

    def no_fix(
        self, stamp: float, epoch: int, words: str, odom_from_body: Array | None = None
    ) -> None:
        """An image was not localized, and why; odometry (4, 4) at its stamp where there is some."""
        with self._lock:
            if epoch == self._epoch:
                self._gate.advance(stamp, odom_from_body)
                self._not_fixed(stamp, words)

    def _not_fixed(self, stamp: float, words: str) -> None:
        if not self._has_images:
            return
        if self._last_fix is None:
            self._words = f'no fix yet: {words}'
            return
        seconds = stamp - self._last_fix.stamp
        self._lost = self._lost or seconds > self._lost_after
        self._words = f'no fix for {seconds:.1f} s: {words}'

    def _restart(self, words: str) -> None:
        if self._has_map:
            self._words = words
        self._last_stamp = self._last_fix = self._map_from_odom = None
        self._lost = False
        self._epoch += 1
