"""Well-placed points of a scene, with what a small square around each of them looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE = 8  # samples along a side of a square


@dataclass(frozen=True)
class Landmarks:
    """L points, each the center of a square that faces the keyframe it was cut out of.

    They make poses exact that the tokens have found: a token's patch is known to a few pixels, a
    landmark to a fraction of one.
    """

    points3d: np.ndarray  # (L, 3) float32, meters, map frame
    templates: np.ndarray  # (L, SIDE, SIDE) uint8, gray
    keyframe: np.ndarray  # (L,) uint16, which keyframe of the map
    angle: np.ndarray  # (L,) float32, rad between samples, as that keyframe sees them

    def __len__(self) -> int:
        return len(self.points3d)

    @classmethod
    def none(cls) -> Landmarks:
        """Of a map without any."""
        return cls(
            np.zeros((0, 3), np.float32),
            np.zeros((0, SIDE, SIDE), np.uint8),
            np.zeros(0, np.uint16),
            np.zeros(0, np.float32),
        )

    def subset(self, index: np.ndarray) -> Landmarks:
        """Those of an index or mask."""
        return Landmarks(
            self.points3d[index], self.templates[index], self.keyframe[index], self.angle[index]
        )
