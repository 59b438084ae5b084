"""From where, and in which directions, a map finds a camera: estimated from the map alone.

A part of an image is recognized where a keyframe saw the same thing from a direction and a distance
that are not too different. The more of a view is recognized, the more likely it is found. What is
too different, and how much is enough, was fitted on ten scenes, by tools/compare_coverage.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import AlignmentError, MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.geometry.visibility import visible_points
from aceg_ros.maps.code import AnchoredCode, MapCode
from aceg_ros.pose.upright import up_direction

Array = NDArray[np.float64]

MOVED = (0.1, 0.25, 0.5, 1.0)  # as parts of the scene's distance
TURNED = (30.0, 60.0, 90.0, 180.0)  # degrees
_CELLS = 16  # across an image
_MOST_KEYFRAMES = 200  # that are looked at; more are thinned out
_MOST_VIEWS = 40  # keyframes that are moved and turned
_SIDEWAYS = 4  # directions that a view is moved in


@dataclass(frozen=True)
class CoverageModel:
    """How likely a view is found, by how much of it is recognized."""

    angle: float = np.radians(50.0)  # deviation of viewing directions, rad
    ratio: float = 0.5  # of the logarithms of distances
    offset: float = 4.45
    slope: float = 3.6

    def recognition(self, angle: Array, ratio: Array) -> Array:
        """How well a point is recognized, 0 to 1, if its direction differs by ``angle`` (rad).

        ``ratio`` is the logarithm of its distance now over that from where it was seen before.
        """
        return np.exp(-0.5 * ((angle / self.angle) ** 2 + (ratio / self.ratio) ** 2))

    def chance(self, recognized: float) -> float:
        """Probability that a view is found, this part of which is recognized."""
        return float(1 / (1 + np.exp(-self.offset - self.slope * np.log(recognized + 0.01))))


class Coverage:
    """Estimates whether views are found in a map. Poses are in the frame of the mapping poses."""

    def __init__(
        self, code: MapCode, camera: Camera | None = None, model: CoverageModel | None = None
    ):
        """For views of ``camera``, by default the first that the map was made with.

        Raises MapCodeError for a map without points or keyframes.
        """
        if not isinstance(code, AnchoredCode) or not len(code.keyframes):
            raise MapCodeError(
                'a map of the published ACE-G has no points, so that nothing can be said of its '
                'coverage: evaluate it on images with poses'
            )
        self.camera = camera or code.info.cameras[0]
        self._model = model or CoverageModel()
        self._origin = np.array(code.info.origin)
        self._points = code.anchors.astype(np.float64)
        step = -(-len(code.keyframes) // _MOST_KEYFRAMES)
        self._keyframes = code.keyframes[::step]
        self._seen = np.zeros((len(self._points), len(self._keyframes)), bool)
        distances = []
        # A keyframe does not say which of its session's cameras took it.
        cameras = [
            code.info.cameras[session.cameras[0]] if session.cameras else self.camera
            for session in code.info.sessions
        ]
        known = [code.info.known_camera(camera).camera for camera in cameras]
        for number, pose in enumerate(self._keyframes):
            mapped_by = known[code.keyframe_sessions[number * step]]
            seen = visible_points(self._points, pose, mapped_by, _cell_px(mapped_by))
            self._seen[seen.index, number] = True
            distances.append(seen.distance)
        every = np.concatenate(distances)
        self.scene_distance = float(np.median(every)) if len(every) else 1.0

    @property
    def keyframes(self) -> Array:
        """Those that are looked at, (K, 4, 4) world_from_cam."""
        poses = self._keyframes.copy()
        poses[:, :3, 3] += self._origin
        return poses

    def recognized(self, world_from_cam: Array, camera: Camera | None = None) -> float:
        """How much of the image of a view is recognized, 0 to 1; of `self.camera` by default."""
        camera = camera or self.camera
        pose = world_from_cam.copy()
        pose[:3, 3] -= self._origin
        view = visible_points(self._points, pose, camera, _cell_px(camera))
        points = self._points[view.index]
        towards = (points - pose[:3, 3]) / view.distance[:, None]
        before = points[:, None] - self._keyframes[:, :3, 3]
        distance = np.linalg.norm(before, axis=2)
        cosine = np.einsum('nkj,nj->nk', before, towards) / distance
        recognition = self._model.recognition(
            np.arccos(cosine.clip(-1, 1)), np.log(view.distance[:, None] / distance)
        )
        best = np.where(self._seen[view.index], recognition, 0.0).max(axis=1)
        cells = np.zeros(view.cells)
        np.maximum.at(cells, view.cell, best)
        return float(cells.mean())

    def chance(self, world_from_cam: Array, camera: Camera | None = None) -> float:
        """Probability that a view is found, of `self.camera` by default."""
        return self._model.chance(self.recognized(world_from_cam, camera))

    def expected(self, views: Iterable[Array]) -> float:
        """Part of views (4, 4) world_from_cam that is expected to be found; nan of none."""
        return float(np.mean([self.chance(view) for view in views] or [np.nan]))

    def moved(self, part: float) -> float:
        """Mean chance of the keyframes' views, moved by this part of the scene's distance."""
        views = []
        for pose in self._some():
            for turn in np.arange(_SIDEWAYS) * 2 * np.pi / _SIDEWAYS:
                view = pose.copy()
                # to the sides, forwards and backwards, as cameras move
                shift = part * self.scene_distance * np.array([np.cos(turn), 0.0, np.sin(turn)])
                view[:3, 3] += pose[:3, :3] @ shift
                views.append(view)
        return self.expected(views)

    def turned(self, degrees: float) -> float:
        """Mean chance of the keyframes' views, turned left or right by this angle on the spot."""
        turns = [
            so3_exp(np.radians(sign * degrees) * np.array([0.0, 1.0, 0.0])) for sign in (-1, 1)
        ]
        views = [pose @ make_pose(turn, np.zeros(3)) for pose in self._some() for turn in turns]
        return self.expected(views)

    def _some(self) -> Array:
        """Some of the keyframes, evenly."""
        poses = self.keyframes
        return poses[:: -(-len(poses) // _MOST_VIEWS)]


@dataclass(frozen=True)
class CoveragePlan:
    """Chances of views all over a place, in directions that are level apart from the usual tilt."""

    places: Array  # (N, 3)
    directions: Array  # (D, 3) unit
    chance: Array  # (N, D)
    step: float  # between neighboring places
    axes: Array  # (2, 3) unit, level: across and upwards on the page

    def worst(self, near: Array, within: float, count: int) -> list[tuple[Array, Array, float]]:
        """Views that are least likely found from where a camera was: place, direction and chance.

        Of places at most ``within`` from cameras at ``near`` (K, 3). Each is at least that far from
        the others, or looks another way.
        """
        distance = np.linalg.norm(self.places[:, None] - near, axis=2).min(axis=1)
        chance = np.where(distance[:, None] <= within, self.chance, np.inf)
        found: list[tuple[Array, Array, float]] = []
        for index in np.argsort(chance, axis=None, kind='stable'):
            place, direction = np.divmod(index, len(self.directions))
            value = float(chance[place, direction])
            if len(found) == count or not np.isfinite(value):
                break
            apart = all(
                np.linalg.norm(self.places[place] - other) > within
                or self.directions[direction] @ towards < 0.5
                for other, towards, _ in found
            )
            if apart:
                found.append((self.places[place], self.directions[direction], value))
        return found


def coverage_plan(coverage: Coverage, columns: int = 16, directions: int = 12) -> CoveragePlan:
    """Where and in which directions a map finds a camera, on a grid around the keyframes.

    A place has the height of the nearest keyframe. Up is as the keyframes show it.
    """
    keyframes = coverage.keyframes
    up = _up(keyframes)
    least = np.eye(3)[np.abs(up).argmin()]
    across = least - (least @ up) * up
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(up, across)])
    centers = keyframes[:, :3, 3]
    margin = coverage.scene_distance / 2
    low, high = (centers @ axes.T).min(axis=0) - margin, (centers @ axes.T).max(axis=0) + margin
    step = float((high - low).max()) / columns
    counts = np.ceil((high - low) / step - 1e-9).astype(int)
    grids = (
        middle + step * (np.arange(count) - (count - 1) / 2)
        for middle, count in zip((low + high) / 2, counts, strict=True)
    )
    cells = np.stack(np.meshgrid(*grids), axis=-1).reshape(-1, 2)
    offsets = cells[:, None] - centers @ axes.T
    height = (centers @ up)[np.linalg.norm(offsets, axis=2).argmin(axis=1)]
    places = cells @ axes + height[:, None] * up
    places = places[np.linalg.norm(offsets, axis=2).min(axis=1) <= margin]
    if not len(places):  # a path between the cells
        places = centers[:: -(-len(centers) // columns)]
    tilt = float(np.median(np.arcsin((keyframes[:, :3, 2] @ up).clip(-1, 1))))
    angles = np.arange(directions) * 2 * np.pi / directions
    level = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ axes
    views = [_looking(np.cos(tilt) * direction + np.sin(tilt) * up, up) for direction in level]
    chance = [[coverage.chance(make_pose(view, place)) for view in views] for place in places]
    return CoveragePlan(places, level, np.array(chance), step, axes)


def _cell_px(camera: Camera) -> float:
    return camera.width / _CELLS


def _up(keyframes: Array) -> Array:
    """(3,) unit; where cameras do not tell it surely, what is above in their images on average."""
    try:
        return up_direction(keyframes).up
    except AlignmentError:
        mean = -keyframes[:, :3, 1].mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9))


def _looking(towards: Array, up: Array) -> Array:
    """The rotation (3, 3) world_from_cam of a level camera that looks along a unit vector."""
    right = np.cross(towards, up)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(towards, right), towards], axis=1)
