"""Which images of a long recording become keyframes.

A robot that stands still, or passes a place often, records the same view again and again. Keyframes
chosen evenly in time would mostly show that view. So half of them are chosen for what they add.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import PoseError
from aceg_ros.geometry.cameras import Array
from aceg_ros.geometry.poses import rotation_angle_deg

# Where tracking is lost, poses may be far from all others, and would be chosen first. So no more
# than the rest is chosen by pose. What is even in time also has all light that there was.
_EVENLY = 0.5
_STEADY = 0.95  # of the steps between frames; the longest ones may be jumps of a tracker
_LEAST_TURN = 0.01  # rad in all, of a camera that never turns


def select_keyframes(frames: Sequence[Frame], limit: int) -> list[Frame]:
    """At most ``limit`` frames, in their order: half evenly in time, half by position and rotation.

    Each of the latter is the frame farthest from all chosen before (Gonzalez, 1985). Moving as far
    as the camera moves, on average, in a turn of one radian counts as that turn. Frames without a
    usable pose are taken only where there is room for them.
    """
    if len(frames) <= limit:
        return list(frames)
    poses = {}
    for index, frame in enumerate(frames):
        try:
            poses[index] = frame.pose()
        except PoseError:
            continue
    chosen = list(poses)
    if len(poses) > limit:
        chosen = np.array(chosen)[_spread(_places(np.stack(list(poses.values()))), limit)].tolist()
    unposed = [index for index in range(len(frames)) if index not in poses]
    chosen += unposed[: limit - len(chosen)]
    return [frames[index] for index in sorted(chosen)]


def _places(poses: Array) -> Array:
    """Points (N, 12) that are as far apart as views (N, 4, 4) differ, in map units."""
    rotations, centers = poses[:, :3, :3], poses[:, :3, 3]
    moved = _in_all(np.linalg.norm(np.diff(centers, axis=0), axis=1))
    turned = _in_all(np.deg2rad(rotation_angle_deg(rotations[1:], rotations[:-1])))
    scale = moved / max(turned, _LEAST_TURN) or 1.0
    # |A - B|_F / sqrt(2) = 2 sin(angle / 2), which is the angle where that is small.
    return np.concatenate([centers, scale / math.sqrt(2.0) * rotations.reshape(-1, 9)], axis=1)


def _in_all(steps: Array) -> float:
    return float(np.sort(steps)[: math.ceil(_STEADY * len(steps))].sum())


def _spread(points: Array, count: int) -> list[int]:
    """Indices of ``count`` of more points (N, D): some evenly, then always the farthest one."""
    evenly = np.linspace(0, len(points) - 1, max(round(_EVENLY * count), 1)).round().astype(int)
    chosen = evenly.tolist()
    distance = cdist(points, points[chosen]).min(axis=1)
    distance[chosen] = -1.0  # not twice, also where all points are the same
    while len(chosen) < count:
        farthest = int(distance.argmax())
        chosen.append(farthest)
        distance = np.minimum(distance, np.linalg.norm(points - points[farthest], axis=1))
        distance[farthest] = -1.0
    return chosen
