"""SIFT features, which keyframes to compare, and matches that obey their known poses."""

from __future__ import annotations

import cv2
import numpy as np

from aceg_ros.errors import FitError

# Ranks of the neighbors that a keyframe is matched with: close ones match best, farther ones
# triangulate best.
NEIGHBOR_RANKS = (1, 2, 3, 5, 8, 13, 21)
MAX_VIEW_ANGLE_DEG = 50.0  # SIFT does not match across larger turns
ROUNDING = 1e-6  # of a cosine in float32: twins differ by no more
MIN_SIMILARITY = 0.8  # cosine; less is no match, even when the epipolar line has nothing better


class SiftExtractor:
    """OpenCV's SIFT with RootSIFT descriptors (Arandjelovic and Zisserman, CVPR 2012) in bytes."""

    def __init__(self, max_features: int, contrast: float) -> None:
        # Precise upscaling takes away a bias of the positions that shows in the poses.
        self._sift = cv2.SIFT.create(
            nfeatures=max_features, contrastThreshold=contrast, enable_precise_upscale=True
        )

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) px and descriptors (N, 128) uint8 in `image` (H, W, 3) uint8 RGB."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        keypoints, descriptors = self._sift.detectAndCompute(gray, None)
        if len(keypoints) == 0:
            return np.zeros((0, 2)), np.zeros((0, 128), dtype=np.uint8)
        points2d = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float64)
        total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
        return points2d, to_bytes(np.sqrt(descriptors / total))


def to_bytes(descriptors: np.ndarray) -> np.ndarray:
    """Unit descriptors (N, 128) as uint8; entries are clipped at 0.5, which none comes near."""
    return np.clip(np.rint(descriptors * 512), 0, 255).astype(np.uint8)


def to_unit(descriptors: np.ndarray) -> np.ndarray:
    """Descriptors (N, 128) as float32 of unit length."""
    result = descriptors.astype(np.float32)
    return result / np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-6)


def select_pairs(world_from_cam: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of keyframes to match, from their poses (F, 4, 4) alone and whatever their unit.

    Distance and angle between two views are measured by what is usual between tenth neighbors.
    """
    count = len(world_from_cam)
    if count < 2:
        raise FitError(f'points are triangulated between keyframes, of which there are {count}')
    centers, axes = world_from_cam[:, :3, 3], world_from_cam[:, :3, 2]
    distance = np.linalg.norm(centers[:, None] - centers[None], axis=2)
    angle = np.degrees(np.arccos(np.clip(axes @ axes.T, -1.0, 1.0)))
    rank = min(10, count - 1)
    usual_distance = max(np.median(np.sort(distance, axis=1)[:, rank]), 1e-9)
    usual_angle = max(np.median(np.sort(angle, axis=1)[:, rank]), 1.0)
    cost = (distance / usual_distance) ** 2 + (angle / usual_angle) ** 2
    cost[angle > MAX_VIEW_ANGLE_DEG] = np.inf
    np.fill_diagonal(cost, np.inf)
    pairs: set[tuple[int, int]] = set()
    for index, row in enumerate(cost):
        nearest = np.argsort(row)[: np.isfinite(row).sum()]
        for rank in NEIGHBOR_RANKS:
            if rank <= len(nearest):
                other = int(nearest[rank - 1])
                pairs.add((min(index, other), max(index, other)))
    return sorted(pairs)


def match_guided(
    descriptors_a: np.ndarray,
    descriptors_b: np.ndarray,
    rays_a: np.ndarray,
    rays_b: np.ndarray,
    baseline: np.ndarray,
    max_error: float,
    ratio: float,
) -> np.ndarray:
    """Matches (M, 2) between two posed images, sought only along epipolar lines.

    Descriptors are unit float32; rays (N, 3) are unit vectors in world axes, `baseline` (3,) leads
    from the first camera's center to the second's. A candidate's ray lies within `max_error` rad
    of the epipolar plane; the best is taken where it is mutual and closer than `ratio` times the
    next.
    """
    if min(len(descriptors_a), len(descriptors_b)) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    similarity = descriptors_a @ descriptors_b.T
    planes = np.cross(baseline, rays_a)
    planes /= np.maximum(np.linalg.norm(planes, axis=1, keepdims=True), 1e-12)
    off_plane = np.abs(planes.astype(np.float32) @ rays_b.astype(np.float32).T)
    similarity[off_plane > max_error] = -1.0
    rows = np.arange(len(similarity))
    best = similarity.argmax(axis=1)
    mutual = similarity.argmax(axis=0)[best] == rows
    closest = similarity[rows, best]
    similarity[rows, best] = -1.0
    # Between unit vectors, squared distance is 2 - 2 cosine.
    distinct = 1.0 - closest + ROUNDING < ratio**2 * (1.0 - similarity.max(axis=1))
    chosen = mutual & distinct & (closest > MIN_SIMILARITY)
    return np.stack([rows[chosen], best[chosen]], axis=1)
