"""How uncertain a pose is, and in which directions.

Five things make a pose uncertain. The residuals of its matches scatter; they are grouped by part of
the image, and by the keyframe that landmarks were placed from. Keyframes, and the distances of
points, are off; points carry that into the pose, the more the farther the view is from the mapped
ones. The map as a whole may be bent. Patches are off together with their neighbors. Landmarks that
were found again by chance pull a pose towards where it was before, so that its error before counts
as well.

How large these errors are is in `UncertaintyOptions`, which docs/reliability.md tells about.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import nearest_pose
from aceg_ros.localization.alignment import AlignedPose
from aceg_ros.localization.options import UncertaintyOptions
from aceg_ros.localization.search import FoundPose
from aceg_ros.pose.consistency import pose_residual
from aceg_ros.pose.covariance import image_blocks, pose_covariance, shared_errors
from aceg_ros.pose.matches import RigMatches
from aceg_ros.pose.refine import RefinedPose, about_world_axes

Array = NDArray[np.float64]

# How fast the error before alignment loses its weight, as more landmarks are found than by chance.
_CHANCE_POWER = 4
_BEND_AT = 0.5  # sine of the angle from a keyframe's axis, where `UncertaintyOptions.bend` is
_TINY = np.finfo(float).tiny
_ASKED = 200  # keyframes that the usual spacing is that of, at most
_NEAREST, _FARTHEST = 0.25, 3.0  # bounds of the distance, in spacings


class Spacing:
    """How far keyframes are from each other, and what that says of views.

    Keyframes that were held out are about as far from the others as neighbors are. An error that
    they show is that of a view so far away. Of nearer views it falls with the square of the
    distance, as that of interpolation does; of farther ones it grows in proportion.
    """

    def __init__(self, keyframes: Array, sessions: NDArray[np.integer], depth: float) -> None:
        """Of ``keyframes`` (K, 4, 4) of ``sessions`` (K,) in a scene at a median ``depth``.

        Of several sessions it is the widest, as the error of a map is that of the worst.
        """
        usual = [
            _usual_spacing(keyframes[sessions == session], depth) for session in np.unique(sessions)
        ]
        self._usual = max(usual, default=0.0)

    def factor(self, distance: float, angle: float) -> float:
        """By which a view's error is greater than that of the keyframes held out.

        ``distance`` is that to the nearest keyframe, as a part of the scene's, ``angle`` how much
        the view is turned from it, radians. Within bounds, and 1 where nothing is known.
        """
        if self._usual <= 0 or math.isnan(distance + angle):
            return 1.0
        relative = min(max((distance + angle) / self._usual, _NEAREST), _FARTHEST)
        return float(relative**2 if relative < 1 else relative)

    def scale(self, held_out: float, distance: float, angle: float) -> float:
        """The part of its covariance that a view needs, where held-out ones need ``held_out``.

        That holds for views as near to keyframes. What lies farther off was not tested, so that it
        becomes all of it there, with the square of the distance.
        """
        return 1 - (1 - held_out) / max(self.factor(distance, angle), 1.0) ** 2


def _usual_spacing(keyframes: Array, depth: float) -> float:
    """Median of distances, as parts of ``depth``, and angles between neighbors; 0 if unknown."""
    if len(keyframes) < 2 or depth <= 0:
        return 0.0
    asked = np.unique(np.linspace(0, len(keyframes) - 1, _ASKED).astype(int))
    apart = [nearest_pose(np.delete(keyframes, k, 0), keyframes[k], depth) for k in asked]
    return float(np.median([distance + angle for _, distance, angle in apart]))


@dataclass(frozen=True)
class _Inliers:
    """What a pose rests on, M inliers, along the axes of the camera or rig."""

    blocks: NDArray[np.int64]  # (M,) part of the image, of each image parts of its own
    keyframe: NDArray[np.int64]  # (M,) that placed the point; -1 for patches
    towards: Array  # (M, 3) m from the point's keyframe, of patches from the nearest one
    across: Array  # (M, 2) x and y of the unit ray from the point's keyframe, along its axes
    sigma: Array  # (M,) m of patches, of landmarks 0

    @property
    def groups(self) -> NDArray[np.int64]:
        """(M,) landmarks by keyframe, patches by block."""
        return np.where(self.keyframe < 0, -1 - self.blocks, self.keyframe)

    @property
    def neighbors(self) -> NDArray[np.int64]:
        """(M,) points of one keyframe that lie side by side."""
        of_keyframe = self.keyframe * (self.blocks.max() + 1) + self.blocks
        return np.where(self.keyframe < 0, -1 - self.blocks, of_keyframe)


def pose_uncertainty(
    aligned: AlignedPose,
    searched: FoundPose,
    keyframes: Array,
    options: UncertaintyOptions,
) -> Array:
    """Covariance (6, 6) of the pose ``aligned``, in the order of `Localization.covariance`.

    ``searched`` is the step before it, ``keyframes`` (K, 4, 4) are the map's, one at least.
    """
    unknown = np.full(len(searched.matches), -1, np.int64)
    before = _covariance(searched.pose, searched.matches, unknown, keyframes, options)
    if not aligned.aligned:
        return before
    own = _covariance(aligned.pose, aligned.matches, aligned.keyframe, keyframes, options)
    chance = min(options.chance_redetected / max(aligned.redetected_ratio, 1e-6), 1.0)
    return own + chance ** (2 * _CHANCE_POWER) * before


def with_rival(covariance: Array, pose: Array, rival: Array, probability: float) -> Array:
    """Covariance (6, 6) about ``pose`` of a camera that is there, or else at ``rival`` (4, 4).

    ``probability`` is that of the rival.
    """
    step = pose_residual(rival, pose)
    return covariance + probability * np.outer(step, step)


def _covariance(
    pose: RefinedPose,
    matches: RigMatches,
    keyframe: NDArray[np.int64],
    keyframes: Array,
    options: UncertaintyOptions,
) -> Array:
    """Covariance (6, 6) of a pose from its residuals and the errors of the map."""
    seen = _inliers(pose, matches, keyframe, keyframes)
    groupings = [seen.blocks]
    if (seen.keyframe >= 0).any():
        groupings.append(seen.keyframe)
    scatter = pose_covariance(pose.fit, groupings)
    if scatter is None:  # it was not, when the pose was refined
        return pose.covariance
    turned = np.cross(np.eye(3), seen.towards[:, None]).transpose(0, 2, 1)
    along = seen.towards[:, :, None]
    bent = along * np.column_stack([np.ones(len(along)), seen.across / _BEND_AT])[:, None]
    off = options.patch_part * seen.sigma[:, None, None] * np.eye(3)
    everything = np.zeros(len(seen.blocks), np.int64)
    covariance = (
        scatter
        + shared_errors(pose.fit, options.keyframe_angle * turned, seen.groups)
        + shared_errors(pose.fit, options.common_angle * turned, everything)
        + shared_errors(pose.fit, options.depth * along, seen.neighbors)
        + shared_errors(pose.fit, options.bend * bent, everything)
        + shared_errors(pose.fit, off, seen.blocks)
    )
    return about_world_axes(covariance, pose.world_from_cam)


def _inliers(
    pose: RefinedPose, matches: RigMatches, keyframe: NDArray[np.int64], keyframes: Array
) -> _Inliers:
    inliers, keyframe = matches.rows(pose.inliers), keyframe[pose.inliers]
    mounting, points3d = inliers.mounting, inliers.points3d
    patches = keyframe < 0
    center = pose.world_from_cam[:3, 3]
    scene = float(np.median(np.linalg.norm(points3d - center, axis=1)))
    nearest = np.array(
        [
            nearest_pose(keyframes, pose.world_from_cam @ rig_from_cam, scene)[0]
            for rig_from_cam in mounting.rig_from_cam
        ]
    )
    owner = np.where(patches, nearest[mounting.camera], keyframe)
    towards = points3d - keyframes[owner, :3, 3]
    rays = towards / np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), _TINY)
    return _Inliers(
        image_blocks(inliers.rays, mounting.camera),
        keyframe,
        towards @ pose.world_from_cam[:3, :3],
        np.einsum('mij,mi->mj', keyframes[owner, :3, :2], rays),
        np.where(patches, inliers.sigma, 0.0),
    )
