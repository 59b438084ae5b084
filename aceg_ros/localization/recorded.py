"""Poses in the frame of the recording, where a map was made with adjusted poses.

Poses of a SLAM drift, and all else that a robot knows of the place drifts with them. Where it was
mapped, a pose is to be the one that the SLAM would have given there, whatever the map's own shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import make_pose, so3_exp, so3_log
from aceg_ros.maps.code import MapCode

Array = NDArray[np.float64]

# How near a keyframe has to be to count, as a part of the scene's distance, and how much its
# optical axis may be turned, degrees. The map's own keyframes tell which of these serves best.
_REACHES, _TURNS = (0.2, 0.1, 0.05, 0.025), (30.0, 15.0)
_NONE = 0.1  # weight of no correction, as a part of that of a keyframe at the very pose
_ASKED = 300  # keyframes that are predicted by the others, at most


class RecordedFrame:
    """How the frame of the recording differs from the map's around a camera."""

    def __init__(self, code: MapCode) -> None:
        recorded, own = code.recorded, code.keyframes
        self._keyframes = own
        self._depth = code.info.quality.median_depth
        self._same = self._depth <= 0 or np.array_equal(recorded, own)
        if not self._same:
            shifts = recorded[:, :3, 3] - own[:, :3, 3]
            turns = so3_log(recorded[:, :3, :3] @ own[:, :3, :3].transpose(0, 2, 1))
            self._drift = np.hstack([shifts, turns])  # (K, 6), map units and radians
            self._reach, self._turn = self._best_kernel()

    def from_map(self, world_from_cam: np.ndarray) -> np.ndarray:
        """The transform (4, 4) of the map's frame to the recording's around a camera (4, 4).

        It is the mean of the nearby keyframes' own, since what they share is drift and the rest is
        noise. Far from all of them there is none.
        """
        if self._same:
            return np.eye(4)
        weights = _weights(*self._apart(world_from_cam[None]), self._reach, self._turn)
        drift = (weights @ self._drift)[0]
        center, rotation = world_from_cam[:3, 3], so3_exp(drift[3:])
        return make_pose(rotation, center + drift[:3] - rotation @ center)

    def _best_kernel(self) -> tuple[float, float]:
        """Reach and turn with which keyframes predict each other best, left out one by one.

        Slow drift is the same far around, and a wide mean has less noise. Poses that are off
        otherwise every few centimeters need a narrow one.
        """
        asked = np.unique(np.linspace(0, len(self._drift) - 1, _ASKED).astype(int))
        offsets, turned = self._apart(self._keyframes[asked])
        offsets[np.arange(len(asked)), asked] = np.inf
        unit = np.repeat([1.0, self._depth], 3)  # so that turns weigh as much as shifts

        def error(kernel: tuple[float, float]) -> float:
            off = _weights(offsets, turned, *kernel) @ self._drift - self._drift[asked]
            return float(np.linalg.norm(off * unit, axis=1).mean())

        return min(((reach, turn) for reach in _REACHES for turn in _TURNS), key=error)

    def _apart(self, poses: Array) -> tuple[Array, Array]:
        """Of keyframes from poses, (N, K) each: offsets in scene distances, turns in degrees."""
        offsets = np.linalg.norm(self._keyframes[:, :3, 3] - poses[:, None, :3, 3], axis=2)
        cosine = poses[:, :3, 2] @ self._keyframes[:, :3, 2].T
        return offsets / self._depth, np.degrees(np.arccos(cosine.clip(-1, 1)))


def _weights(offsets: Array, turned: Array, reach: float, turn: float) -> Array:
    """Of the keyframes (N, K); what is missing to a sum of one is that of no correction."""
    weights = np.exp(-((offsets / reach) ** 2 + (turned / turn) ** 2) / 2)
    return np.asarray(weights / (weights.sum(axis=1, keepdims=True) + _NONE))
