"""2D-3D matches: where things are in the image, and where they are in the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import transform_points
from aceg_ros.pose.mounting import Mounting
from aceg_ros.pose.reprojection import Reprojection

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

    def rows(self, chosen: NDArray[np.bool_]) -> Matches:
        """Those of a mask (N,)."""
        columns = (self.rays, self.points2d, self.points3d, self.sigma)
        return Matches(*(column[chosen] for column in columns))


@dataclass(frozen=True)
class RigMatches(Matches):
    """N matches of the cameras of a rig; of one camera, whose frame is the rig's, too."""

    mounting: Mounting

    @classmethod
    def of(cls, matches: Sequence[Matches], rig_from_cam: Array, focal: Array) -> RigMatches:
        """Those of each of C cameras at ``rig_from_cam`` (C, 4, 4), ``focal`` (C,) in px."""
        camera = np.repeat(np.arange(len(matches)), [len(each) for each in matches])
        return cls(
            np.concatenate([each.rays for each in matches]),
            np.concatenate([each.points2d for each in matches]),
            np.concatenate([each.points3d for each in matches]),
            np.concatenate([each.sigma for each in matches]),
            Mounting(rig_from_cam, focal, camera),
        )

    def rows(self, chosen: NDArray[np.bool_]) -> RigMatches:
        """Those of a mask (N,)."""
        return RigMatches(
            self.rays[chosen],
            self.points2d[chosen],
            self.points3d[chosen],
            self.sigma[chosen],
            self.mounting.rows(chosen),
        )

    def joined(self, others: RigMatches) -> RigMatches:
        """These, then the others, of the same rig."""
        camera = np.concatenate([self.mounting.camera, others.mounting.camera])
        return RigMatches(
            np.concatenate([self.rays, others.rays]),
            np.concatenate([self.points2d, others.points2d]),
            np.concatenate([self.points3d, others.points3d]),
            np.concatenate([self.sigma, others.sigma]),
            replace(self.mounting, camera=camera),
        )

    def errors(self, world_from_rig: Array) -> Array:
        """Residuals (N,) in pixels with the rig at a pose, see `Reprojection`."""
        return Reprojection(self.rays, self.points3d, self.mounting).errors(world_from_rig)

    def sigma_px(self, world_from_rig: Array) -> Array:
        """Sigma as the cameras see it with the rig at a pose, (N,) px."""
        centers = transform_points(world_from_rig, self.mounting.rig_from_cam[:, :3, 3])
        distance = np.linalg.norm(self.points3d - centers[self.mounting.camera], axis=1)
        return self.sigma * self.mounting.focals / np.maximum(distance, 1e-6)
