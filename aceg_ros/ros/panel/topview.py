"""A place seen from above, as the page draws it; knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import Array

AUTO, Z = 'auto', 'z'  # what is up

_MOST_POINTS = 5000
_MOST_KEYFRAMES = 1000
_AGREED = 0.7  # length of the mean of directions that agree
_UPRIGHT = np.cos(np.radians(45.0))
_OUTLIERS = 1.0  # per cent of the points, on each side
_MILLIMETERS = 3  # digits


@dataclass(frozen=True)
class Scene:
    """Keyframes and points in the frame of a map, in its unit."""

    world_from_cams: Array = field(default_factory=lambda: np.zeros((0, 4, 4)))  # (N, 4, 4)
    points: Array = field(default_factory=lambda: np.zeros((0, 3)))  # (M, 3)
    colors: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 3), np.uint8))  # (M, 3)


@dataclass(frozen=True)
class Ground:
    """The plane that a place is drawn on."""

    axes: Array  # (3, 3): rows point to the right, ahead (upwards on the page) and up; unit length
    origin: Array  # (3,) in the map; near the cameras, as maps may be far from their zero

    def place(self, points: Array) -> Array:
        """Right, ahead and up of the origin (N, 3), of points (N, 3) in the map."""
        return (points - self.origin) @ self.axes.T

    def heading(self, pose: Array) -> Array:
        """Right and ahead (2,) of the direction in which a pose (4, 4) looks.

        That is the optical axis z of a camera. A pose whose z points up is that of a robot's base,
        which looks along its x.
        """
        columns = self.axes @ pose[:3, :3]
        axis = 0 if columns[2, 2] > _UPRIGHT else 2
        return columns[:2, axis]


def ground_below(world_from_cams: Array, up: str = AUTO) -> Ground:
    """The ground below cameras (N, 4, 4).

    Up is z, as in ROS. With AUTO it is where the cameras' images have their top, where they agree
    on another direction, as in maps whose frame is that of a camera.
    """
    upwards = np.array([0.0, 0.0, 1.0])
    origin = np.zeros(3)
    if len(world_from_cams):
        origin = np.round(world_from_cams[:, :3, 3].mean(axis=0))
        mean = -world_from_cams[:, :3, 1].mean(axis=0)
        length = float(np.linalg.norm(mean))
        if up == AUTO and length > _AGREED and mean[2] < _UPRIGHT * length:
            upwards = mean / length
    # The x axis goes to the right wherever it can.
    aside = np.eye(3)[int(abs(upwards[0]) > _UPRIGHT)]
    right = aside - upwards * (aside @ upwards)
    right /= np.linalg.norm(right)
    return Ground(np.stack([right, np.cross(upwards, right), upwards]), origin)


def drawing(scene: Scene, ground: Ground) -> dict[str, Any]:
    """What the page draws, as JSON holds it; lengths in the map's unit.

    `keyframes` are right, ahead, and the direction of view, for each of at most 1000. `points` are
    right and ahead, lowest first, for at most 5000; `colors` their RGB in hexadecimal digits.
    `bounds` are least and largest right and ahead, None where there is nothing. Points above the
    cameras are left out, for a ceiling would hide all else, and so are outliers.
    """
    cameras = scene.world_from_cams
    places = ground.place(cameras[:, :3, 3])
    views = cameras[:, :3, 2] @ ground.axes[:2].T
    points, colors = ground.place(scene.points), scene.colors
    kept = np.isfinite(points).all(axis=1)
    if len(places):
        kept &= points[:, 2] <= places[:, 2].max()
    points, colors = _thinned(points[kept], colors[kept])
    low, high = _bounds(places[:, :2], points[:, :2])
    inside = ((points[:, :2] >= low) & (points[:, :2] <= high)).all(axis=1)
    points, colors = points[inside], colors[inside]
    order = np.argsort(points[:, 2])
    every = -(-len(places) // _MOST_KEYFRAMES) or 1
    keyframes = np.hstack([places[:, :2], views])[::every]
    return {
        'keyframes': _listed(keyframes),
        'points': _listed(points[order, :2]),
        'colors': colors[order].tobytes().hex(),
        'bounds': _listed(np.hstack([low, high])) if len(places) or len(points) else None,
    }


def _thinned(points: Array, colors: NDArray[np.uint8]) -> tuple[Array, NDArray[np.uint8]]:
    """At most so many of the points, the same ones each time."""
    if len(points) <= _MOST_POINTS:
        return points, colors
    chosen = np.random.default_rng(0).choice(len(points), _MOST_POINTS, replace=False)
    return points[chosen], colors[chosen]


def _bounds(places: Array, points: Array) -> tuple[Array, Array]:
    """Least and largest coordinates (2,) of all places and of the points but outliers."""
    corners = [places]
    if len(points):
        within = [_OUTLIERS, 100.0 - _OUTLIERS]
        corners.append(np.percentile(points, within, axis=0, method='nearest'))
    together = np.vstack(corners)
    if not len(together):
        return np.zeros(2), np.zeros(2)
    return together.min(axis=0), together.max(axis=0)


def _listed(values: Array) -> list[float]:
    numbers: list[float] = np.round(values, _MILLIMETERS).ravel().tolist()
    return numbers
