"""Recordings by a camera that is not quite what its calibration and its mounting say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.mapping.intrinsics import changed

# Focal length, principal point and distortion that are claimed, less those that are true.
_CHANGE = np.array([0.01, 0.0, 0.0, 0.05, 0.0])
_TURN_DEG, _SHIFT = (0.8, -0.4, 0.5), (0.015, -0.02, 0.01)  # m


def miscalibrated(frames: Sequence[Frame]) -> list[Frame]:
    """``frames`` as a robot would have them that is wrong about its camera, always by the same.

    The focal length is claimed 1 % longer, and k1 larger by 0.05. Poses are of a place 2.7 cm
    beside the camera and turned by 1 degree. Raises PoseError for a frame without a pose.
    """
    cam_from_given = make_pose(so3_exp(np.radians(_TURN_DEG)), np.array(_SHIFT))
    return [
        replace(
            frame,
            world_from_cam=frame.pose() @ cam_from_given,
            camera=changed(frame.camera, _CHANGE),
        )
        for frame in frames
    ]
