"""PlanarPatches of a scene, found in an image to a fraction of a pixel.

A pose that is right to a few pixels says where each square has to appear and how it is turned and
scaled; the place around where the image looks most like it is then measured, by normalized
cross-correlation (Lewis, Fast Normalized Cross-Correlation, 1995), which brightness and contrast
do not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera
from aceg_ros.landmarks.landmarks import SIDE, Landmarks

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Gray: TypeAlias = NDArray[np.uint8] | Floats

_MIN_SCALE, _MAX_SCALE = 0.5, 2.0  # pixels per sample; beyond, sampling says little
_MIN_CONTRAST = 1e-6
_BESIDE = 3.5  # samples around a peak along x and y that belong to it
_MAX_TWIST = 0.8  # squared, of the product of the bends along x and y
_STEP = SIDE / 2  # samples over which the mapping from a square to the image is taken as linear
_MOST_ROWS = 30_000  # OpenCV's remap takes no more than 32767


@dataclass(frozen=True)
class PlanarPatches:
    """N squares in the map frame, and what they look like."""

    centers: Array  # (N, 3) meters
    axes: Array  # (N, 2, 3) meters from one sample to the next, along rows and along columns
    templates: Floats  # (N, SIDE, SIDE), each of mean 0 and length 1
    keyframe: NDArray[np.int64]  # (N,) which one each faces

    def __len__(self) -> int:
        return len(self.centers)

    def subset(self, index: NDArray[np.generic]) -> PlanarPatches:
        """Those of an index or mask."""
        return PlanarPatches(*(column[index] for column in vars(self).values()))


@dataclass(frozen=True)
class Detections:
    """Where M squares were found."""

    index: NDArray[np.int64]  # (M,) which ones
    points2d: Array  # (M, 2) px
    similarity: Floats  # (M,) correlation, at most 1
    sought: int  # how many were looked for


def planar_patches(landmarks: Landmarks, keyframes: Array) -> PlanarPatches:
    """The landmarks of a map whose keyframes are (K, 4, 4) world_from_cam."""
    poses = keyframes[landmarks.keyframe]
    centers = landmarks.points3d.astype(np.float64)
    axes = facing_axes(centers, poses, landmarks.angle.astype(np.float64))
    templates = normalized(landmarks.templates.astype(np.float32))
    return PlanarPatches(centers, axes, templates, landmarks.keyframe.astype(np.int64))


def facing_axes(centers: Array, world_from_cam: Array, angle: Array) -> Array:
    """Axes (N, 2, 3) of squares (N, 3) that face the cameras (N, 4, 4) or (4, 4).

    Rows run along the camera's x axis as far as they can; ``angle`` (N,) rad is between samples.
    """
    towards = centers - world_from_cam[..., :3, 3]
    distance = np.linalg.norm(towards, axis=1, keepdims=True)
    towards = towards / distance
    right = np.broadcast_to(world_from_cam[..., :3, 0], towards.shape)
    rows = right - (right * towards).sum(axis=1, keepdims=True) * towards
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    axes = np.stack([rows, np.cross(towards, rows)], axis=1)
    return np.asarray(axes * (angle * distance[:, 0])[:, None, None])


def normalized(templates: Floats) -> Floats:
    """PlanarPatches (N, SIDE, SIDE) brought to mean 0 and length 1."""
    centered = templates - templates.mean(axis=(1, 2), keepdims=True)
    lengths = np.linalg.norm(centered, axis=(1, 2), keepdims=True)
    return np.asarray(centered / np.maximum(lengths, _MIN_CONTRAST), np.float32)


def most_frontal(squares: PlanarPatches, center: Array, max_angle: float) -> NDArray[np.int64]:
    """Which squares are seen from ``center`` (3,) within ``max_angle`` (rad) of how they face.

    The most frontal ones come first.
    """
    faces = np.cross(squares.axes[:, 0], squares.axes[:, 1])
    offsets = squares.centers - center
    lengths = np.linalg.norm(faces, axis=1) * np.linalg.norm(offsets, axis=1)
    cosine = (faces * offsets).sum(axis=1) / np.maximum(lengths, np.finfo(float).tiny)
    order = np.argsort(-cosine, kind='stable')
    return order[: int((cosine > np.cos(max_angle)).sum())]


def sample_templates(
    gray: Gray, camera: Camera, world_from_cam: Array, centers: Array, axes: Array
) -> Floats:
    """What squares (N, SIDE, SIDE) look like in an image (H, W) that shows all of them."""
    where, linear = _project(camera, world_from_cam, centers, axes)
    return _sample(gray, where, linear, 0)


def find_planar_patches(
    gray: Gray,
    camera: Camera,
    world_from_cam: Array,
    squares: PlanarPatches,
    reach: int,
    min_similarity: float,
    most: int | None = None,
    min_lead: float = 0.0,
) -> Detections:
    """Look for squares up to ``reach`` samples around where a pose expects them.

    ``gray`` (H, W) is the image, ``world_from_cam`` (4, 4) the pose; of the squares that should be
    in the image only the first ``most`` are looked for. Some are left out: those that the image
    does not show whole or at about their own scale, those that look different, and those found at
    the very edge of the search area.
    """
    where, linear = _project(camera, world_from_cam, squares.centers, squares.axes)
    scale = np.sqrt(np.abs(np.linalg.det(np.nan_to_num(linear))))
    margin = (SIDE / 2 + reach) * _MAX_SCALE
    with np.errstate(invalid='ignore'):
        inside = (where >= margin) & (where < [camera.width - margin, camera.height - margin])
    shown = inside.all(axis=1) & (scale > _MIN_SCALE) & (scale < _MAX_SCALE)
    index = np.flatnonzero(shown)[:most]
    where, linear = where[index], linear[index]
    similarity = _correlation(_sample(gray, where, linear, reach), squares.templates[index])
    best, shift = _peaks(similarity)
    points2d = where + np.einsum('nab,nb->na', linear, shift - reach)
    alike = best > min_similarity
    if min_lead > 0:
        alike &= best - _elsewhere(similarity, shift) > min_lead
    return Detections(index[alike], points2d[alike], best[alike], len(index))


def _project(
    camera: Camera, world_from_cam: Array, centers: Array, axes: Array
) -> tuple[Array, Array]:
    """Pixels (N, 2) of squares, and how they change per sample (N, 2, 2); nan out of sight."""
    corners = np.stack([centers, centers + _STEP * axes[:, 0], centers + _STEP * axes[:, 1]])
    in_view = (corners.reshape(-1, 3) - world_from_cam[:3, 3]) @ world_from_cam[:3, :3]
    pixels = camera.project(in_view).reshape(3, -1, 2)
    return pixels[0], np.stack([pixels[1] - pixels[0], pixels[2] - pixels[0]], axis=2) / _STEP


def _sample(gray: Gray, where: Array, linear: Array, reach: int) -> Floats:
    """The image around squares, in their own frames: (N, SIDE + 2 reach, SIDE + 2 reach)."""
    size = SIDE + 2 * reach
    steps = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    places = grid @ linear.transpose(0, 2, 1).astype(np.float32)
    places += where[:, None].astype(np.float32)
    sampled = [
        cv2.remap(gray, piece[..., 0], piece[..., 1], cv2.INTER_LINEAR)
        for piece in np.split(places, range(_MOST_ROWS, len(places), _MOST_ROWS))
        if len(piece)
    ]
    if not sampled:
        return np.zeros((0, size, size), np.float32)
    return np.concatenate(sampled).reshape(-1, size, size).astype(np.float32)


def _correlation(around: Floats, templates: Floats) -> Floats:
    """Normalized correlation (N, k, k) of squares with each shift of what is around them."""
    shifts = around.shape[1] - SIDE + 1
    pairs = zip(around, templates, strict=True)
    found = [cv2.matchTemplate(*pair, cv2.TM_CCOEFF_NORMED) for pair in pairs]
    return np.asarray(found, np.float32).reshape(-1, shifts, shifts)


def _elsewhere(similarity: Floats, shift: Array) -> Floats:
    """Greatest values (N,) that are not beside the places (N, 2) given as x, y."""
    steps = np.arange(similarity.shape[1])
    beside = np.abs(steps - shift[:, :, None]) <= _BESIDE  # (N, 2, k)
    peak = beside[:, 1, :, None] & beside[:, 0, None]
    return np.where(peak, np.float32(-1), similarity).max(axis=(1, 2), initial=-1)


def _peaks(similarity: Floats) -> tuple[Floats, Array]:
    """Greatest values (N,) and their places (N, 2) as x, y, to fractions; -1 at the border.

    The place is the top of the quadratic through the first and second differences around it.
    """
    count, size = len(similarity), similarity.shape[1]
    row, column = np.divmod(similarity.reshape(count, size**2).argmax(axis=1), size)
    within = (row > 0) & (row < size - 1) & (column > 0) & (column < size - 1)
    row, column = row.clip(1, size - 2), column.clip(1, size - 2)
    steps = np.arange(-1, 2)
    around = similarity[
        np.arange(count)[:, None, None],
        row[:, None, None] + steps[:, None],
        column[:, None, None] + steps,
    ]
    slope_x = (around[:, 1, 2] - around[:, 1, 0]) / 2
    slope_y = (around[:, 2, 1] - around[:, 0, 1]) / 2
    top = around[:, 1, 1]
    bend_x = np.minimum(around[:, 1, 0] - 2 * top + around[:, 1, 2], -_MIN_CONTRAST)
    bend_y = np.minimum(around[:, 0, 1] - 2 * top + around[:, 2, 1], -_MIN_CONTRAST)
    twist = (around[:, 0, 0] - around[:, 0, 2] - around[:, 2, 0] + around[:, 2, 2]) / 4
    # A ridge across has no top of its own: there x and y are taken apart.
    twist = np.where(twist**2 < _MAX_TWIST * bend_x * bend_y, twist, 0)
    determinant = bend_x * bend_y - twist**2
    x = (twist * slope_y - bend_y * slope_x) / determinant
    y = (twist * slope_x - bend_x * slope_y) / determinant
    place = np.stack([column + x.clip(-0.5, 0.5), row + y.clip(-0.5, 0.5)], axis=1)
    return np.where(within, top, np.float32(-1)), place
