"""The cameras of a rig, and which of them each measurement is of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mounting:
    """C cameras that are fixed to each other, and the one of each of N measurements.

    Poses are then those of the rig's frame.
    """

    rig_from_cam: Array  # (C, 4, 4)
    focal: Array  # (C,) px of their working images
    camera: NDArray[np.int64]  # (N,) which of them

    @classmethod
    def of(cls, cameras: float | Mounting, count: int) -> Mounting:
        """That of ``count`` measurements; a number is the focal length of one camera by itself."""
        if isinstance(cameras, Mounting):
            return cameras
        return cls(np.eye(4)[None], np.array([cameras], np.float64), np.zeros(count, np.int64))

    def rows(self, chosen: NDArray[np.bool_]) -> Mounting:
        """The same for the measurements (N,) chosen."""
        return replace(self, camera=self.camera[chosen])

    @property
    def focals(self) -> Array:
        """Focal length of each measurement's camera, (N,) px."""
        return self.focal[self.camera]

    @property
    def centers(self) -> Array:
        """Where the rays start, (N, 3) meters in the rig's frame."""
        return self.rig_from_cam[self.camera, :3, 3]

    def turned(self, rays: Array) -> Array:
        """Rays (N, 3) of the cameras' frames along the axes of the rig's."""
        return np.einsum('nij,nj->ni', self.rig_from_cam[self.camera, :3, :3], rays)
