"""Poses in the frame of the recording, where a map was made with adjusted poses.

Poses of a SLAM drift, and all else that a robot knows of the place drifts with them. Where it was
mapped, a pose is to be the one that the SLAM would have given there, whatever the map's own shape.
"""

from __future__ import annotations

import numpy as np

from aceg_ros.geometry.poses import inverse, make_pose, so3_exp, so3_log
from aceg_ros.maps.code import MapCode

# How near a keyframe has to be to count, as a part of the scene's distance, and how much its
# optical axis may be turned, degrees; each level counts those half as near.
_REACH, _TURN, _LEVELS = 0.1, 30.0, 3
_STEPS = 3  # from a pose in the recording's frame to the map's, since drift changes slowly
_WIDER = 0.1  # weight of the wider level, as a part of that of a keyframe at the very pose


class RecordedFrame:
    """How the frame of the recording differs from the map's around a camera."""

    def __init__(self, code: MapCode) -> None:
        recorded, own = code.recorded, code.keyframes
        self._keyframes = own
        self._reach = _REACH * code.info.quality.median_depth
        self._same = self._reach <= 0 or np.array_equal(recorded, own)
        if not self._same:
            shifts = recorded[:, :3, 3] - own[:, :3, 3]
            turns = so3_log(recorded[:, :3, :3] @ own[:, :3, :3].transpose(0, 2, 1))
            self._drift = np.hstack([shifts, turns])  # (K, 6), map units and radians

    def from_map(self, world_from_cam: np.ndarray) -> np.ndarray:
        """The transform (4, 4) of the map's frame to the recording's around a camera (4, 4).

        It is the mean of the nearby keyframes' own, since what they share is drift and the rest is
        noise. The nearest count most, and those farther off where there are no others. Far from all
        of them there is none.
        """
        if self._same:
            return np.eye(4)
        center = world_from_cam[:3, 3]
        offsets = np.linalg.norm(self._keyframes[:, :3, 3] - center, axis=1) / self._reach
        cosine = self._keyframes[:, :3, 2] @ world_from_cam[:3, 2]
        turned = np.degrees(np.arccos(cosine.clip(-1, 1))) / _TURN
        drift = np.zeros(6)
        for level in range(_LEVELS):
            weights = np.exp(-(4**level) * (offsets**2 + turned**2) / 2)
            drift = (weights @ self._drift + _WIDER * drift) / (weights.sum() + _WIDER)
        rotation = so3_exp(drift[3:])
        return make_pose(rotation, center + drift[:3] - rotation @ center)

    def to_map(self, recorded_from_cam: np.ndarray) -> np.ndarray:
        """The pose (4, 4) in the map of a camera whose pose (4, 4) in the recording is given."""
        pose = recorded_from_cam
        for _ in range(_STEPS):
            pose = inverse(self.from_map(pose)) @ recorded_from_cam
        return pose
