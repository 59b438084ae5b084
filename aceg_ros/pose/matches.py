"""2D-3D matches: where things are in the image, and where they are in the map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Matches:
    """N matches."""

    rays: Array  # (N, 3) unit, camera frame
    points2d: Array  # (N, 2) px in the working image
    points3d: Array  # (N, 3) meters, map frame
    sigma: Array  # (N,) meters, of points3d

    def __len__(self) -> int:
        return len(self.rays)

    def joined(self, others: Matches) -> Matches:
        """These, then the others."""
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Matches(*(np.concatenate(pair) for pair in pairs))

    def sigma_px(self, world_from_cam: Array, focal: float) -> Array:
        """Sigma as the camera at a pose sees it, (N,) px."""
        distance = np.linalg.norm(self.points3d - world_from_cam[:3, 3], axis=1)
        return self.sigma * focal / np.maximum(distance, 1e-6)
