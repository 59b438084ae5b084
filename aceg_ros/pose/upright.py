"""Which way is up, and where the floor is, from how cameras were held and what they saw below.

People and robots hold cameras upright: the image's x axis is level, while the camera turns and
tilts as it likes. So "up" is the direction that all x axes are at right angles to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from aceg_ros.errors import AlignmentError
from aceg_ros.geometry.poses import make_pose

Array = NDArray[np.float64]

_LEAST_CAMERAS = 5
_MOST_ROLL = 12.0  # degrees from level, of a camera that counts
_LEAST_PART = 0.6  # of the cameras, that count
_USUAL_ROLL = 2.0  # degrees; what all cameras may be rolled by in common
_LEAST_TURN = 0.15  # sine; spread of the viewing directions, more than cameras roll
_MOST_TILT = 3.0  # degrees; largest deviation of the up direction
_BLOCKS = 8  # of neighboring cameras, which are rolled alike
_TRIES = 300
_LAYER = 0.02  # of the cameras' height over the floor: half thickness of a layer of points
_LEAST_BELOW = 0.02  # part of all points that may lie below the floor: errors
_LEAST_FLOOR = 40  # points
_LEAST_FLOOR_PART = 0.03  # of all points
_STANDS_OUT = 1.5  # times as many points as in the levels above, and three deviations more
_HARDLY_TURNED = (
    'the cameras hardly turned, and one viewing direction does not tell which way is up: record '
    'while turning about, or bring the map upright by poses or pairs of places'
)


@dataclass(frozen=True)
class UpDirection:
    """The direction against gravity, and how well it is known."""

    up: Array  # (3,) unit
    std_deg: float  # largest deviation of it
    agreeing: NDArray[np.bool_]  # (K,) which cameras were held upright


@dataclass(frozen=True)
class Floor:
    """Height of the floor along the up direction."""

    height: float
    std: float
    points: int  # that show it; 0 where it comes from the cameras' height


def up_direction(poses: Array) -> UpDirection:
    """Up, from poses (K, 4, 4) world_from_cam of cameras that were mostly held upright.

    The deviation has what the cameras scatter, and a roll that they may all have in common.
    Raises AlignmentError where cameras are too few, were not held upright, or did not turn: what
    one view shows of up is only that it is at right angles to its x axis.
    """
    if len(poses) < _LEAST_CAMERAS:
        raise AlignmentError(
            f'{len(poses)} cameras are too few to tell which way is up: {_LEAST_CAMERAS} are needed'
        )
    level, down = poses[:, :3, 0], poses[:, :3, 1]
    if np.linalg.svd(level, compute_uv=False)[1] / np.sqrt(len(level)) < _LEAST_TURN:
        raise AlignmentError(_HARDLY_TURNED)
    up = _refined(level, down, _consensus(level, down))
    agreeing = _held_upright(level, down, up)
    if agreeing.mean() < _LEAST_PART:
        raise AlignmentError(
            f'only {agreeing.sum()} of {len(poses)} cameras were held upright within '
            f'{_MOST_ROLL:g} degrees: bring the map upright by poses or pairs of places instead'
        )
    tangent = np.linalg.svd(up[None])[2][1:]  # two directions that up may be off in
    slopes = level[agreeing] @ tangent.T
    information = slopes.T @ slopes
    roll = np.arcsin((level[agreeing] @ up).clip(-1, 1))
    variance = float((roll**2).sum()) / max(len(roll) - 2, 1)
    blocks = min(_BLOCKS, len(roll))
    sums = np.stack([b.sum(axis=0) for b in np.array_split(slopes * roll[:, None], blocks)])
    inverted = np.linalg.pinv(information, hermitian=True)
    scatter = blocks / max(blocks - 1, 1) * inverted @ (sums.T @ sums) @ inverted
    common = inverted @ slopes.sum(axis=0) * np.radians(_USUAL_ROLL)
    covariance = variance * inverted + scatter + np.outer(common, common)
    std = float(np.degrees(np.sqrt(np.linalg.eigvalsh(covariance)[-1])))
    turned = float(np.sqrt(np.linalg.eigvalsh(information)[0].clip(0) / len(roll)))
    if turned < _LEAST_TURN:
        raise AlignmentError(_HARDLY_TURNED)
    if std > _MOST_TILT:
        raise AlignmentError(
            f'the up direction may be off by {std:.1f} degrees (standard deviation), more than '
            f'{_MOST_TILT:g}: record while turning about with the camera held level, or bring the '
            'map upright by poses or pairs of places'
        )
    return UpDirection(up, std, agreeing)


def floor_below(points3d: Array, cameras: Array, direction: UpDirection) -> Floor:
    """The lowest level that many of points (N, 3) lie in, below the cameras (K, 3).

    The deviation, below the cameras, has the level's thickness, and what a wrong up direction
    tilts between them and those points. Raises AlignmentError where no level stands out.
    """
    heights = points3d @ (up := direction.up)
    eye = float(np.median(cameras @ up))
    below = np.sort(heights[heights < eye])
    lowest = np.quantile(heights, _LEAST_BELOW / 2) if len(heights) else eye
    layer = _LAYER * max(eye - float(lowest), 1e-9)
    counts = np.searchsorted(below, below + layer) - np.searchsorted(below, below - layer)
    above = np.searchsorted(below, below + 10 * layer) - np.searchsorted(below, below + 2 * layer)
    least = max(_LEAST_FLOOR, _LEAST_FLOOR_PART * len(heights))
    least = np.maximum(least, _STANDS_OUT * above / 4 + 3 * np.sqrt(above / 4))
    under = np.searchsorted(below, below - 2 * layer)
    floors = np.flatnonzero((counts >= least) & (under <= _LEAST_BELOW * len(heights)))
    if not len(floors):
        raise AlignmentError(
            'the map has too few points on a floor to say where it is: give the height of the '
            'camera over the floor (--camera-height), or record views that look down'
        )
    best = below[floors[np.argmax(counts[floors])]]
    best = float(np.median(below[np.abs(below - best) <= layer]))
    members = np.abs(heights - best) <= layer
    away = points3d[members].mean(axis=0) - cameras.mean(axis=0)
    tilted = np.radians(direction.std_deg) * np.linalg.norm(away - (away @ up) * up)
    # The layer was chosen among neighbors, so that its thickness stays as an uncertainty.
    thickness = max(float(heights[members].std()), layer / 2)
    return Floor(
        float(np.median(heights[members])),
        float(np.hypot(thickness, tilted)),
        int(members.sum()),
    )


def floor_from_height(cameras: Array, up: Array, camera_height: float) -> Floor:
    """The floor as far below the cameras (K, 3) as is known, in their unit."""
    heights = cameras @ up
    scatter = float(np.median(np.abs(heights - np.median(heights)))) * 1.4826
    return Floor(float(np.median(heights)) - camera_height, scatter, 0)


def upright_pose(up: Array, floor: float, cameras: Array) -> Array:
    """The transform (4, 4) after which ``up`` is z and ``floor`` is at 0.

    It turns as little as possible, about the middle of the cameras (K, 3), which stays above its
    place.
    """
    middle = cameras.mean(axis=0)
    turn = _least_turn(up)
    shift = middle - turn @ middle
    shift[2] = -floor
    return make_pose(turn, shift)


def _least_turn(up: Array) -> Array:
    """The smallest rotation (3, 3) that brings a unit vector to z."""
    axis = np.cross(up, [0.0, 0.0, 1.0])
    sine = float(np.linalg.norm(axis))
    if sine < 1e-12:
        return np.eye(3) if up[2] > 0 else np.diag([1.0, -1.0, -1.0])
    angle = np.arctan2(sine, up[2])
    return np.asarray(Rotation.from_rotvec(axis / sine * angle).as_matrix())


def _held_upright(level: Array, down: Array, up: Array) -> NDArray[np.bool_]:
    """Which cameras have a level x axis and the image's lower edge below."""
    level_enough = np.abs(level @ up) < np.sin(np.radians(_MOST_ROLL))
    return np.asarray(level_enough & (down @ up < 0), bool)


def _consensus(level: Array, down: Array) -> Array:
    """The direction that is at right angles to most x axes, of those that two of them give."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, len(level), (2, _TRIES))
    tried = np.cross(level[first], level[second])
    length = np.linalg.norm(tried, axis=1)
    tried = tried[length > 1e-6] / length[length > 1e-6, None]
    if not len(tried):  # all x axes are the same; the rest says how unsure that is
        return np.asarray(-down.mean(axis=0) / np.linalg.norm(down.mean(axis=0)))
    tried *= np.where(tried @ down.mean(axis=0) > 0, -1.0, 1.0)[:, None]
    off = np.minimum(np.abs(level @ tried.T) / np.sin(np.radians(_MOST_ROLL)), 1.0)
    cost = np.where(down @ tried.T < 0, off**2, 1.0).sum(axis=0)
    return np.asarray(tried[int(np.argmin(cost))])


def _refined(level: Array, down: Array, up: Array) -> Array:
    """The direction that the x axes of the cameras held upright are closest to at right angles."""
    for _ in range(10):
        agreeing = _held_upright(level, down, up)
        if agreeing.sum() < 2:
            break
        better = np.linalg.svd(level[agreeing], full_matrices=True)[2][2]
        better = better if better @ down.mean(axis=0) < 0 else -better
        if np.abs(better - up).max() < 1e-12:
            break
        up = better
    return up
