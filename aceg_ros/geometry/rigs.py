"""Cameras that are fixed to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import CameraError, PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import validate_pose

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rig:
    """C cameras, and where each is in the rig's frame, such as that of the robot.

    Raises CameraError without cameras, PoseError when there is not one pose for each camera.
    """

    cameras: tuple[Camera, ...]
    rig_from_cam: Array  # (C, 4, 4)

    @classmethod
    def single(cls, camera: Camera) -> Rig:
        """One camera, whose frame is the rig's."""
        return cls((camera,), np.eye(4)[None])

    def __post_init__(self) -> None:
        if not self.cameras:
            raise CameraError('a rig needs at least one camera')
        if len(self.rig_from_cam) != len(self.cameras):
            raise PoseError(
                f'{len(self.rig_from_cam)} poses were given for {len(self.cameras)} cameras; give '
                'rig_from_cam of each'
            )
        poses = np.stack([validate_pose(pose) for pose in self.rig_from_cam])
        object.__setattr__(self, 'rig_from_cam', poses)
