"""Which directions of two images show the same: features, matches, and those that fit together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera

Array = NDArray[np.float64]

_JUDGED_SIDE = 640  # px; larger images are shrunk to it, more detail would only cost time
_LEAST_SIDE = 64  # px; there is no room for features in less
_FEATURES = 600
_FAST_THRESHOLD = 10  # less than OpenCV's 20, for dim images
_RATIO = 0.8  # of the nearest descriptor's distance to the next one's (Lowe, IJCV 2004)
_MIN_FORWARD = 0.2  # z of a ray that has a place in the plane in front of the camera
_VERIFIED_PX = 1.5
_ITERATIONS = 300


@dataclass(frozen=True)
class Features:
    """N points of one image that can be found again."""

    rays: Array  # (N, 3) unit, camera frame
    descriptors: NDArray[np.uint8]  # (N, 32) of ORB (Rublee et al., ICCV 2011)
    focal: float  # px, of the image they were found in

    def __len__(self) -> int:
        return len(self.rays)


@dataclass(frozen=True)
class RayMatches:
    """M rays of one image, and the rays of another that show the same, each (M, 3) unit."""

    first: Array
    second: Array

    def __len__(self) -> int:
        return len(self.first)

    def subset(self, index: NDArray[Any]) -> RayMatches:
        """Those of an index or mask."""
        return RayMatches(self.first[index], self.second[index])


def find_features(image: NDArray[np.uint8], camera: Camera) -> Features:
    """Features of an RGB image (H, W, 3) taken by ``camera``; a blank one has none."""
    scale = min(1.0, _JUDGED_SIDE / max(camera.width, camera.height))
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if scale < 1.0:
        size = max(round(camera.width * scale), 1), max(round(camera.height * scale), 1)
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        camera = camera.scaled(*size)
    none = Features(np.zeros((0, 3)), np.zeros((0, 32), np.uint8), camera.focal)
    if min(gray.shape) < _LEAST_SIDE:
        return none
    orb = cv2.ORB.create(_FEATURES, fastThreshold=_FAST_THRESHOLD)
    keypoints, descriptors = orb.detectAndCompute(gray, None)
    if not keypoints:
        return none
    rays = camera.rays(np.array([keypoint.pt for keypoint in keypoints], np.float64))
    usable = np.isfinite(rays).all(axis=1)
    return Features(rays[usable], np.asarray(descriptors, np.uint8)[usable], camera.focal)


def match_features(first: Features, second: Features) -> RayMatches:
    """Features that are most alike, and clearly more so than the next one; each at most once."""
    if min(len(first), len(second)) < 2:
        return RayMatches(np.zeros((0, 3)), np.zeros((0, 3)))
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(first.descriptors, second.descriptors, k=2)
    kept = [(a.queryIdx, a.trainIdx) for a, b in pairs if a.distance < _RATIO * b.distance]
    index = np.array(kept, np.int64).reshape(-1, 2)
    _, owner, claims = np.unique(index[:, 1], return_inverse=True, return_counts=True)
    index = index[claims[owner] == 1]
    return RayMatches(first.rays[index[:, 0]], second.rays[index[:, 1]])


def verified(matches: RayMatches, focal: float) -> RayMatches:
    """The matches that one motion of the camera explains, whatever poses say (RANSAC, 5 points)."""
    ahead = (matches.first[:, 2] > _MIN_FORWARD) & (matches.second[:, 2] > _MIN_FORWARD)
    matches = matches.subset(ahead)
    if len(matches) < 8:
        return matches.subset(np.zeros(0, np.int64))
    planes = [np.ascontiguousarray(r[:, :2] / r[:, 2:]) for r in (matches.first, matches.second)]
    found: tuple[Any, Any] = cv2.findEssentialMat(
        planes[0],
        planes[1],
        np.eye(3),
        method=cv2.RANSAC,
        prob=0.999,
        threshold=_VERIFIED_PX / focal,
        maxIters=_ITERATIONS,
    )
    inliers = found[1]  # None where no motion explains any five
    chosen = np.zeros(len(matches), bool) if inliers is None else inliers.ravel() > 0
    return matches.subset(chosen)
