"""Which transform to publish."""

from __future__ import annotations

from enum import Enum

# Seconds of images after which transforms that have not come are taken not to exist.
PATIENCE = 3.0


class TfMode(str, Enum):
    """The transform a localizer publishes, and with it the body whose pose it gives."""

    MAP_TO_ODOM = 'map_to_odom'
    MAP_TO_BASE = 'map_to_base'
    MAP_TO_CAMERA = 'map_to_camera'  # the body is the camera
    NONE = 'none'


class ModeChoice:
    """The first mode that a robot's transforms allow, in the order of `TfMode`.

    It is chosen once. A transform that was sent has given its frame a parent; if the robot gave it
    another parent later, the frame would have two.
    """

    def __init__(self) -> None:
        self.mode: TfMode | None = None
        self._first: float | None = None

    def observe(
        self, stamp: float, base_known: bool, odom_known: bool, more_to_come: bool = True
    ) -> None:
        """See what TF has with an image at ``stamp`` (seconds).

        ``base_known``: it has the base seen from the camera; ``odom_known``: from odometry too.
        ``more_to_come``: somebody is there who may still send what is missing.
        """
        if self.mode is not None:
            return
        if self._first is None or stamp < self._first:
            self._first = stamp
        if base_known and odom_known:
            self.mode = TfMode.MAP_TO_ODOM
        elif not more_to_come or stamp - self._first >= PATIENCE:
            self.mode = TfMode.MAP_TO_BASE if base_known else TfMode.MAP_TO_CAMERA
