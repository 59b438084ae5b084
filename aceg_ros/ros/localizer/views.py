"""One image of a moment, as the pipeline passes it on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import Array
from aceg_ros.ros.camera_input import CameraImage


@dataclass(frozen=True)
class CameraView:
    """An image that can be used."""

    number: int  # of its camera
    image: CameraImage
    rgb: NDArray[np.uint8]  # (H, W, 3)
    camera: Camera
    depth: NDArray[np.float32] | None = None  # (H, W) m, as the camera sees it
    # (4, 4), of the camera in the frame whose pose is asked for, at the time of that pose
    rig_from_cam: Array = field(default_factory=lambda: np.eye(4))
