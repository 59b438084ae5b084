"""Where the numbers of a map are relative to: the one place where poses become local."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.geometry.poses import shifted
from aceg_ros.maps.code import Vector3, origin_near


def local_frames(frames: Sequence[Frame]) -> tuple[list[Frame], Vector3]:
    """The frames with poses relative to an origin, and that origin, in the middle of the cameras.

    Frames without a pose stay as they are. `Localizer` takes the way back.
    """
    poses = [f.world_from_cam for f in frames if f.world_from_cam is not None]
    centers = np.array([pose[:3, 3] for pose in poses if np.isfinite(pose).all()])
    origin = origin_near(np.median(centers, axis=0) if len(centers) else np.zeros(3))
    back = -np.array(origin)
    moved = [
        frame
        if frame.world_from_cam is None
        else replace(frame, world_from_cam=shifted(frame.world_from_cam, back))
        for frame in frames
    ]
    return moved, origin
