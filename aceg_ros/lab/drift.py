"""Recordings with poses as a SLAM gives them: they drift by centimeters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import so3_exp

FOCAL_ERROR = 0.005  # standard deviation, as a part of the focal length

_WAVES = (0.5, 1.5, 4.0)  # along the recording
_SHIFT, _TURN = 0.008, 0.3  # of the amplitude of each wave along each axis, m and degrees
_USUAL_STEP = 0.05  # m between mapping views


def drifting(frames: Sequence[Frame], seed: int, focal_error: float = 0.0) -> list[Frame]:
    """``frames`` at poses that a few slow waves move and turn.

    Shifts are of a recording in meters; those of another are scaled by the length of its steps.
    The focal length is off as well, by a standard deviation of ``focal_error`` as a part of it.
    Raises PoseError for a frame without a pose, or fewer than two frames.
    """
    if len(frames) < 2:
        raise PoseError('two frames at least are needed for poses that drift')
    rng = np.random.default_rng(seed)
    count = len(frames)
    poses = [frame.pose() for frame in frames]
    steps = np.linalg.norm(np.diff([pose[:3, 3] for pose in poses], axis=0), axis=1)
    unit = min(float(np.median(steps)) / _USUAL_STEP, 1.0)
    focal = 1 + rng.normal(0, focal_error)
    waves = np.zeros((count, 6))
    for number in _WAVES:
        phase = 2 * np.pi * (number * np.arange(count) / count + rng.random())
        waves += np.outer(np.sin(phase), rng.normal(0, 1, 6))
    moved = []
    for frame, pose, wave in zip(frames, poses, waves, strict=True):
        pose[:3, 3] += _SHIFT * unit * wave[:3]
        pose[:3, :3] = so3_exp(np.radians(_TURN) * wave[3:]) @ pose[:3, :3]
        moved.append(replace(frame, world_from_cam=pose, camera=_with_focal(frame.camera, focal)))
    return moved


def _with_focal(camera: Camera, factor: float) -> Camera:
    K = camera.K.copy()
    K[0, 0] *= factor
    K[1, 1] *= factor
    return Camera(camera.model, camera.width, camera.height, K, camera.distortion)
