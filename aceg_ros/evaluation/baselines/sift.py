"""The classical opponent: SIFT points triangulated between posed keyframes, and PnP-RANSAC."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from aceg_ros.datasets import Frame
from aceg_ros.errors import FitError
from aceg_ros.evaluation.baselines.features import (
    SiftExtractor,
    match_guided,
    select_pairs,
    to_unit,
)
from aceg_ros.evaluation.baselines.keyframes import posed_images
from aceg_ros.evaluation.baselines.pose import PoseOptions, localize_matches
from aceg_ros.evaluation.baselines.triangulation import Observations, triangulate
from aceg_ros.geometry.cameras import Camera
from aceg_ros.localization.result import Localization, LocalizationFailure


@dataclass(frozen=True)
class SiftOptions:
    """Every knob, set for the baseline's benefit on indoor sequences and on large photographs."""

    max_features: int = 1500  # per image
    contrast: float = 0.02  # half of OpenCV's default, for dim rooms
    epipolar_px: float = 4.0  # poses of real recordings are off by pixels
    pair_ratio: float = 0.7  # to the next best on the epipolar line; at more, tracks fuse
    reprojection_px: float = 4.0
    min_angle_deg: float = 1.5
    query_ratio: float = 0.85  # to the nearest descriptor of another point
    pose: PoseOptions = field(default_factory=PoseOptions)


DEFAULT_OPTIONS = SiftOptions()

# Randomized k-d trees localize as well as an exhaustive search, in a tenth of its time.
KD_TREES: dict[str, bool | int | float | str] = {'algorithm': 1, 'trees': 4}
KD_CHECKS: dict[str, bool | int | float | str] = {'checks': 32}
NEIGHBORS = 4  # descriptors looked up for a query's feature


class SiftLocalizer:
    """Localizes images against points that carry every descriptor they were seen with."""

    def __init__(
        self,
        points3d: np.ndarray,
        descriptors: np.ndarray,
        point_of: np.ndarray,
        options: SiftOptions = DEFAULT_OPTIONS,
    ) -> None:
        """`points3d` (T, 3) m; `descriptors` (N, 128) uint8, each of the point `point_of` (N,)."""
        if len(descriptors) < NEIGHBORS:
            raise FitError('no points were triangulated; record sharper images with more overlap')
        self.points3d = points3d.astype(np.float32)
        self.descriptors, self.point_of = descriptors, point_of
        self.options = options
        self._extract = SiftExtractor(options.max_features, options.contrast)
        self._unit = to_unit(descriptors)  # the index refers to it
        self._index = cv2.flann.Index(self._unit, KD_TREES)

    @classmethod
    def fit(cls, frames: Iterable[Frame], options: SiftOptions = DEFAULT_OPTIONS) -> SiftLocalizer:
        """Map the posed, readable ones of `frames`; raises FitError when they give no points."""
        extract = SiftExtractor(options.max_features, options.contrast)
        keyframes = []
        for frame, image, world_from_cam in posed_images(frames):
            points2d, descriptors = extract(image)
            rays = frame.camera.rays(points2d) @ world_from_cam[:3, :3].T
            seen = np.isfinite(rays).all(axis=1)
            keyframes.append(
                _Keyframe(world_from_cam, frame.camera.focal, rays[seen], descriptors[seen])
            )
        matches = _match_keyframes(keyframes, options)
        observations = _observations(keyframes, options.reprojection_px)
        points3d, point_of = triangulate(observations, matches, options.min_angle_deg)
        mapped = point_of >= 0
        descriptors = np.concatenate([keyframe.descriptors for keyframe in keyframes])
        return cls(points3d, descriptors[mapped], point_of[mapped], options)

    @property
    def map_bytes(self) -> int:
        """Size of the map as it would be saved, with the descriptors sorted by point.

        128 bytes for a descriptor, 12 for a point's float32 coordinates, 2 for its count of them.
        """
        return self.descriptors.nbytes + 14 * len(self.points3d)

    def localize(self, image: np.ndarray, camera: Camera) -> Localization | LocalizationFailure:
        """Pose of `image` (H, W, 3) uint8 RGB taken by `camera`."""
        start = time.perf_counter()
        points2d, descriptors = self._extract(image)
        extracted = time.perf_counter()
        points2d, points3d = self._match(points2d, descriptors)
        matched = time.perf_counter()
        result = localize_matches(points2d, points3d, camera, self.options.pose)
        seconds = {
            'features': extracted - start,
            'matching': matched - extracted,
            'pose': time.perf_counter() - matched,
        }
        return replace(result, seconds=seconds)

    def _match(
        self, points2d: np.ndarray, descriptors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Features (M, 2) px and the points (M, 3) m they match, by Lowe's ratio test.

        The next best descriptor is the nearest one of another point; where there is none among the
        neighbors looked up, the match is as distinct as can be.
        """
        if len(points2d) == 0:
            return np.zeros((0, 2)), np.zeros((0, 3))
        nearest, distance2 = self._index.knnSearch(
            to_unit(descriptors), NEIGHBORS, params=KD_CHECKS
        )
        candidates = self.point_of[nearest]
        others = np.where(candidates != candidates[:, :1], distance2, np.inf).min(axis=1)
        distinct = distance2[:, 0] < self.options.query_ratio**2 * others
        return points2d[distinct], self.points3d[candidates[distinct, 0]]


@dataclass(frozen=True)
class _Keyframe:
    """A mapped image's features."""

    world_from_cam: np.ndarray  # (4, 4)
    focal: float  # px
    rays: np.ndarray  # (N, 3) unit vectors, world axes
    descriptors: np.ndarray  # (N, 128) uint8


def _match_keyframes(keyframes: Sequence[_Keyframe], options: SiftOptions) -> np.ndarray:
    """Matches (M, 2) between features numbered through all keyframes."""
    poses = np.array([keyframe.world_from_cam for keyframe in keyframes])
    counts = np.array([len(keyframe.rays) for keyframe in keyframes])
    starts = np.cumsum(counts) - counts
    matches = [np.zeros((0, 2), dtype=np.int64)]
    for i, j in select_pairs(poses):
        a, b = keyframes[i], keyframes[j]
        baseline = b.world_from_cam[:3, 3] - a.world_from_cam[:3, 3]
        found = match_guided(
            to_unit(a.descriptors),
            to_unit(b.descriptors),
            a.rays,
            b.rays,
            baseline,
            options.epipolar_px / b.focal,
            options.pair_ratio,
        )
        matches.append(found + starts[[i, j]])
    return np.concatenate(matches)


def _observations(keyframes: Sequence[_Keyframe], error_px: float) -> Observations:
    counts = [len(keyframe.rays) for keyframe in keyframes]
    views = np.repeat(np.arange(len(keyframes)), counts)
    centers = np.array([keyframe.world_from_cam[:3, 3] for keyframe in keyframes])
    focals = np.array([keyframe.focal for keyframe in keyframes])
    rays = np.concatenate([keyframe.rays for keyframe in keyframes])
    return Observations(centers[views], rays, views, error_px / focals[views])
