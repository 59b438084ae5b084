"""Groups of views of real pictures: of posed sequences, and of single pictures by homographies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder, PatchFeatures
from aceg_ros.encoder.view import bounded_view
from aceg_ros.lab.encoder_training.groups import STRIDE, ViewGroup
from aceg_ros.lab.encoder_training.pairs import perturbed, random_homography
from aceg_ros.mapping.keyframes import encode_keyframes
from aceg_ros.mapping.options import SweepOptions
from aceg_ros.mapping.sweep import scene_depths, sweep
from aceg_ros.mapping.views import compare_views
from aceg_ros.monitor import Monitor

WIDTH, HEIGHT = 480, 360  # of a crop
_SWEPT = 1500  # patches per picture that get a depth
_MIN_SCORE, _MAX_AMBIGUITY = 0.45, 0.85  # of a depth that is believed
_MAX_ANGLE = 70.0  # degrees between two views of a thing


@dataclass(frozen=True)
class PosedSequence:
    """N pictures of one size whose patches know, in part, which point they show."""

    images: np.ndarray  # (N, H, W, 3) uint8
    points: np.ndarray  # (N, H', W', 3) float32, nan where unknown
    footprint: np.ndarray  # (N, H', W') float32
    centers: np.ndarray  # (N, 3) camera centers

    @classmethod
    def of(cls, frames: Sequence[Frame], encoder: Encoder) -> PosedSequence:
        """Depths by plane sweep with ``encoder``; raises FitError where that fails."""
        keyframes, _ = encode_keyframes(frames, encoder, False, Monitor())
        depths = scene_depths(keyframes, SweepOptions(), Monitor())
        pairs = compare_views(keyframes, depths.median)
        found = sweep(keyframes, depths, pairs, _SWEPT, SweepOptions(), Monitor())
        good = (found.score > _MIN_SCORE) & (found.ambiguity < _MAX_AMBIGUITY)
        owner, points3d = found.keyframe[good].numpy(), found.points3d[good].double().numpy()
        images, points, footprint = [], [], []
        for index, keyframe in enumerate(keyframes):
            image, camera = bounded_view(keyframe.frame.image(), keyframe.frame.camera)
            rows, columns = camera.height // STRIDE, camera.width // STRIDE
            own = points3d[owner == index]
            local = (own - keyframe.center) @ keyframe.world_from_cam[:3, :3]
            # a point lies on the ray of the patch that it is of
            x, y = np.floor(camera.project(local) / STRIDE).astype(int).T
            known = np.full((rows, columns, 3), np.nan, np.float32)
            size = np.full((rows, columns), np.nan, np.float32)
            known[y, x] = own
            size[y, x] = local[:, 2] * STRIDE / camera.focal
            images.append(image)
            points.append(known)
            footprint.append(size)
        return cls(
            np.stack(images),
            np.stack(points),
            np.stack(footprint),
            np.stack([keyframe.center for keyframe in keyframes]),
        )


class PosedCrops:
    """Crops around one point, out of views that see it from different sides."""

    def __init__(self, sequence: PosedSequence):
        self._sequence = sequence
        known = np.isfinite(sequence.footprint)
        self._where = np.argwhere(known)  # view, row, column
        self._points = sequence.points[known].astype(np.float64)
        self._size = sequence.footprint[known]

    def draw(self, rng: np.random.Generator, views: int) -> ViewGroup | None:
        """See `GroupSource`."""
        chosen = int(rng.integers(len(self._where)))
        here, size = self._points[chosen], self._size[chosen]
        near = np.linalg.norm(self._points - here, axis=1) < 2 * size
        seen = self._where[near]
        _, first = np.unique(seen[:, 0], return_index=True)
        seen = seen[first]
        ways = self._sequence.centers[seen[:, 0]] - here
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        own = self._sequence.centers[self._where[chosen, 0]] - here
        cosine = ways @ (own / np.linalg.norm(own))
        seen = seen[cosine > np.cos(np.radians(_MAX_ANGLE))]
        if len(seen) < 2:
            return None
        seen = rng.permutation(seen)[:views]
        return ViewGroup(*(np.stack(part) for part in zip(*map(self._crop, seen), strict=True)))

    def _crop(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Picture, points and footprints around a patch (view, row, column)."""
        view, row, column = place
        points, footprint = self._sequence.points[view], self._sequence.footprint[view]
        rows, columns = footprint.shape
        high, wide = min(HEIGHT // STRIDE, rows), min(WIDTH // STRIDE, columns)
        top = int(np.clip(row - high // 2, 0, rows - high))
        left = int(np.clip(column - wide // 2, 0, columns - wide))
        part = np.s_[top : top + high, left : left + wide]
        pixels = np.s_[STRIDE * top : STRIDE * (top + high), STRIDE * left : STRIDE * (left + wide)]
        return self._sequence.images[view][pixels], points[part], footprint[part]


class HomographyGroups:
    """Crops of one picture in perspective; its own pixels are the points."""

    def __init__(self, pictures: Sequence[np.ndarray], size: int = 384):
        self._pictures = list(pictures)
        self._size = size

    def draw(self, rng: np.random.Generator, views: int) -> ViewGroup | None:
        """See `GroupSource`."""
        picture = self._pictures[rng.integers(len(self._pictures))]
        size = self._size
        first = random_homography(rng, picture.shape[:2], size)
        images, points, footprint = [], [], []
        for _ in range(views):
            matrix = perturbed(rng, first, size, turn=25.0, zoom=1.6, bend=0.2)
            images.append(
                cv2.warpPerspective(
                    picture,
                    matrix,
                    (size, size),
                    flags=cv2.INTER_AREA,
                    borderMode=cv2.BORDER_REFLECT,
                )
            )
            back = np.linalg.inv(matrix)
            centers = PatchFeatures.grid(size // STRIDE, size // STRIDE, STRIDE)
            place = cv2.perspectiveTransform(centers[None], back)[0]
            beside = cv2.perspectiveTransform(centers[None] + [STRIDE, 0], back)[0]
            below = cv2.perspectiveTransform(centers[None] + [0, STRIDE], back)[0]
            cover = np.sqrt(
                np.linalg.norm(beside - place, axis=1) * np.linalg.norm(below - place, axis=1)
            )
            height, width = picture.shape[:2]
            outside = ((place < 0) | (place > [width - 1, height - 1])).any(axis=1)
            place[outside], cover[outside] = np.nan, np.nan
            shape = (size // STRIDE, size // STRIDE)
            flat = np.concatenate([place, np.zeros((len(place), 1))], axis=1)
            points.append(flat.reshape(*shape, 3).astype(np.float32))
            footprint.append(cover.reshape(shape).astype(np.float32))
        return ViewGroup(np.stack(images), np.stack(points), np.stack(footprint))
