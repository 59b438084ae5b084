"""Corners of keyframes, and where other keyframes show them: what poses are adjusted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.landmarks.templates import (
    Floats,
    PlanarPatches,
    facing_axes,
    find_planar_patches,
    normalized,
    sample_templates,
)
from aceg_ros.mapping.keyframes import Keyframe
from aceg_ros.mapping.landmarks import strong_corners
from aceg_ros.mapping.sweep import Candidates
from aceg_ros.threads import side_by_side

Array = NDArray[np.float64]

_LEAST_CORNERS = 25  # of each keyframe: fewer tie those of long recordings loosely
_MIN_LEAD = 0.1  # in similarity, before other places: patterns that repeat would bend the poses
_MIN_VIEWS = 2  # that show a corner; one alone only says how far it is


@dataclass(frozen=True)
class Corners:
    """P corners, each on a ray of the keyframe that it was found in."""

    keyframe: NDArray[np.int64]  # (P,)
    rays: Array  # (P, 3) unit, camera frame
    distances: Array  # (P,) along the ray
    known: Array  # (P,) the same as candidates say
    deviation: Array  # (P,) of measured ones, as a part of them; inf where none was measured
    templates: Floats  # (P, SIDE, SIDE), each of mean 0 and length 1

    def __len__(self) -> int:
        return len(self.keyframe)

    def towards(self, poses: Array) -> Array:
        """Their rays (P, 3) along the map's axes, with keyframes at ``poses`` (K, 4, 4)."""
        return np.einsum('pij,pj->pi', poses[self.keyframe, :3, :3], self.rays)


@dataclass(frozen=True)
class Tracks:
    """M places where keyframes other than its own show a corner."""

    corner: NDArray[np.int64]  # (M,) of `Corners`
    view: NDArray[np.int64]  # (M,) which keyframe
    rays: Array  # (M, 3) unit, in that keyframe's camera frame


def find_corners(
    keyframes: Sequence[Keyframe], candidates: Candidates, count: int, min_corner: float
) -> Corners:
    """About ``count`` corners, a like number of each keyframe, as far off as candidates say.

    Where many keyframes share them there are more, so that each has some.
    """
    each = max(count // len(keyframes) + 1, _LEAST_CORNERS)

    def corners_of(index: int) -> tuple[Array | Floats, ...]:
        keyframe = keyframes[index]
        rays, distances, deviation = strong_corners(keyframe, index, candidates, each, min_corner)
        pose = keyframe.world_from_cam
        centers = pose[:3, 3] + rays @ pose[:3, :3].T * distances[:, None]
        axes = facing_axes(centers, pose, np.full(len(rays), 1 / keyframe.camera.focal))
        templates = sample_templates(keyframe.gray, keyframe.camera, pose, centers, axes)
        owner = np.full(len(rays), index)
        return owner, rays, distances, distances, deviation, normalized(templates)

    parts = side_by_side(corners_of, range(len(keyframes)))
    return Corners(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def find_tracks(
    keyframes: Sequence[Keyframe],
    poses: Array,
    corners: Corners,
    others: Sequence[np.ndarray],
    reach: int,
    min_similarity: float,
) -> Tracks:
    """Look for each corner in the ``others`` of its keyframe, with keyframes at ``poses``.

    They are looked for up to ``reach`` samples around where the poses expect them. Corners that
    fewer than two views show are left out.
    """
    own = poses[corners.keyframe]
    centers = own[:, :3, 3] + corners.towards(poses) * corners.distances[:, None]
    angle = np.array([1 / keyframe.camera.focal for keyframe in keyframes])[corners.keyframe]
    squares = PlanarPatches(
        centers, facing_axes(centers, own, angle), corners.templates, corners.keyframe
    )
    seen_by = np.zeros((len(keyframes), len(keyframes)), bool)
    for index, views in enumerate(others):
        seen_by[index, views] = True

    def tracks_of(index: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        view = keyframes[index]
        sought = np.flatnonzero(seen_by[corners.keyframe, index])
        found = find_planar_patches(
            view.gray,
            view.camera,
            poses[index],
            squares.subset(sought),
            reach,
            min_similarity,
            min_lead=_MIN_LEAD,
        )
        rays = view.camera.rays(found.points2d)
        return sought[found.index], np.full(len(rays), index), rays

    parts = list(side_by_side(tracks_of, range(len(keyframes))))
    corner, view_index, rays = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = np.isfinite(rays).all(axis=1)
    kept &= np.bincount(corner[kept], minlength=len(corners))[corner] >= _MIN_VIEWS
    return Tracks(corner[kept], view_index[kept], rays[kept])
