"""Posed images, encoded: all that a fit sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder, PatchFeatures, image_tensor, similarity
from aceg_ros.encoder.descriptor import global_descriptor
from aceg_ros.encoder.view import full_size, patch_rays, same_view
from aceg_ros.errors import FitError, ImageError, PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.depth import smooth_depth
from aceg_ros.mapping.options import MIN_KEYFRAMES
from aceg_ros.maps.code import KnownCamera
from aceg_ros.monitor import Monitor
from aceg_ros.threads import side_by_side

# Turn, zoom and light of an augmented copy; the ranges are the paper's.
_TURN_DEG = 15.0
_ZOOM = 1.5
_BEST = 1000  # patches by which an image is judged and described as a whole
_LIGHT = 0.1
# A patch's depth is that of these pixels, px from its center.
_AROUND = np.array([(x, y) for y in (-2.0, 0.0, 2.0) for x in (-2.0, 0.0, 2.0)])
_ENOUGH = 0.2  # of a keyframe's patches


@dataclass(frozen=True)
class Patches:
    """P patches of one image."""

    features: torch.Tensor  # (P, D) float16
    reliability: torch.Tensor  # (P,)
    points2d: torch.Tensor  # (P, 2) px in the working image
    rays: torch.Tensor  # (P, 3) unit, camera frame

    def best(self, count: int) -> Patches:
        """The ``count`` most reliable patches that have a ray."""
        usable = torch.isfinite(self.rays).all(dim=1)
        score = torch.where(usable, self.reliability, torch.full_like(self.reliability, -1.0))
        chosen = score.topk(min(count, int(usable.sum()))).indices
        return Patches(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Keyframe:
    """One encoded mapping image."""

    frame: Frame
    camera: Camera  # at the working size
    world_from_cam: np.ndarray  # (4, 4)
    recorded: np.ndarray  # (4, 4) the same as recorded
    feature_map: torch.Tensor  # (D, H', W') float16
    patches: Patches  # all of them, row by row
    colors: np.ndarray  # (P, 3) uint8, at the patch centers
    gray: np.ndarray  # (H, W) uint8, the working image
    descriptor: np.ndarray  # (G,) of the whole image
    # Most reliable patches of a changed copy; None before `encode_changed_copies`.
    augmented: Patches | None = None
    # (P,) distances along the rays that were measured, 0 where none was; None without depth images
    measured: torch.Tensor | None = None

    @property
    def has_depth(self) -> bool:
        """Whether enough of its depth was measured to map it without parallax."""
        return self.measured is not None and bool((self.measured > 0).float().mean() > _ENOUGH)

    @property
    def center(self) -> np.ndarray:
        """Camera center in the map, (3,)."""
        return self.world_from_cam[:3, 3]


def encode_keyframes(
    frames: Sequence[Frame],
    encoder: Encoder,
    use_depth: bool,
    monitor: Monitor,
) -> tuple[list[Keyframe], list[str]]:
    """Encode frames; those with a broken image or pose are left out and named with the reason.

    With ``use_depth`` the frames' depth images are read as well. Raises FitError when fewer than
    `MIN_KEYFRAMES` remain.
    """

    def encoded(frame: Frame) -> Keyframe | str:
        try:
            return _encode(frame, encoder, use_depth)
        except (ImageError, PoseError) as error:
            return f'{frame.name}: {error}'

    keyframes: list[Keyframe] = []
    skipped: list[str] = []
    for index, found in enumerate(side_by_side(encoded, frames)):
        monitor.report('encode', index / len(frames), f'keyframe {index + 1} of {len(frames)}')
        if isinstance(found, Keyframe):
            keyframes.append(found)
        else:
            skipped.append(found)
    if len(keyframes) < MIN_KEYFRAMES:
        reasons = '; '.join(skipped[:3])
        raise FitError(
            f'{len(keyframes)} usable keyframes, but a map needs at least {MIN_KEYFRAMES}: record '
            'more views of the place, from different positions'
            + (f' ({reasons})' if reasons else '')
        )
    return keyframes, skipped


def encode_changed_copies(
    keyframes: Sequence[Keyframe],
    encoder: Encoder,
    patches_per_image: int,
    rng: np.random.Generator,
    monitor: Monitor,
) -> list[Keyframe]:
    """The keyframes with patches of a turned, scaled and relit copy of each.

    Raises ImageError for an image that can no longer be read.
    """

    def changed_copy(part: tuple[Keyframe, _Change]) -> Keyframe:
        keyframe, change = part
        image, camera = encoder.view(keyframe.frame.image(), keyframe.frame.camera)
        patches = _encode_changed(image, camera, encoder, patches_per_image, change)
        return replace(keyframe, augmented=patches)

    changes = [_Change.random(rng) for _ in keyframes]
    changed: list[Keyframe] = []
    for copy in side_by_side(changed_copy, zip(keyframes, changes, strict=True)):
        words = f'changed copy {len(changed) + 1} of {len(keyframes)}'
        monitor.report('encode copies', len(changed) / len(keyframes), words)
        changed.append(copy)
    return changed


def taken_by(keyframe: Keyframe, known: KnownCamera) -> Keyframe:
    """The keyframe with what is known better of the camera that took it, as given until now."""
    recorded = keyframe.recorded @ known.given_from_cam
    keyframe = replace(keyframe, recorded=recorded)
    if known.camera == keyframe.frame.camera:
        return keyframe
    frame = replace(keyframe.frame, camera=known.camera)
    camera = same_view(known.camera, keyframe.frame.camera, keyframe.camera)
    patches = keyframe.patches
    rays = torch.from_numpy(camera.rays(patches.points2d.double().numpy())).float()
    patches = replace(patches, rays=rays)
    measured = None if keyframe.measured is None else _measured(frame, camera, patches)
    return replace(keyframe, frame=frame, camera=camera, patches=patches, measured=measured)


def patches_of(encoded: PatchFeatures, camera: Camera) -> Patches:
    """All patches of one encoded image, row by row; ``camera`` is that of its working size."""
    centers, rays = patch_rays(camera, encoded.stride)
    return Patches(
        encoded.features[0].flatten(1).T.half().cpu(),
        encoded.reliability[0].flatten().cpu(),
        torch.from_numpy(centers).float(),
        torch.from_numpy(rays).float(),
    )


def _encode(frame: Frame, encoder: Encoder, use_depth: bool) -> Keyframe:
    pose = frame.pose()
    image, camera = encoder.view(frame.image(), frame.camera)
    encoded = encoder.encode(image_tensor(image, encoder.device))
    patches = patches_of(encoded, camera)
    best = patches.best(_BEST).features
    if similarity(best) > encoder.max_similarity:
        raise ImageError('looks alike everywhere: blank, too dark, overexposed or blurred')
    columns, rows = encoded.centers().round().astype(int).T
    return Keyframe(
        frame=frame,
        camera=camera,
        world_from_cam=pose,
        recorded=pose,
        feature_map=encoded.features[0].half().cpu(),
        patches=patches,
        colors=image[rows, columns],
        gray=np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)),
        descriptor=global_descriptor(best).numpy(),
        measured=_measured(frame, camera, patches) if use_depth else None,
    )


def _measured(frame: Frame, camera: Camera, patches: Patches) -> torch.Tensor | None:
    """Distances (P,) along the patches' rays; 0 where depth has holes, or an edge in the patch."""
    depth = frame.registered_depth()
    if depth is None:
        return None
    around = patches.points2d.double().numpy()[:, None] + _AROUND
    points2d = full_size(around.reshape(-1, 2), camera, frame.camera)
    distances = torch.from_numpy(smooth_depth(depth, points2d.reshape(around.shape))).float()
    return torch.nan_to_num(distances / patches.rays[:, 2].clamp_min(1e-3))


@dataclass(frozen=True)
class _Change:
    """What a changed copy of an image is made by."""

    zoom: float
    turn: float  # degrees
    gain: float
    offset: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> _Change:
        zoom = np.exp(rng.uniform(-np.log(_ZOOM), np.log(_ZOOM)))
        turn = rng.uniform(-_TURN_DEG, _TURN_DEG)
        gain, offset = 1 + rng.uniform(-_LIGHT, _LIGHT), 255 * rng.uniform(-_LIGHT, _LIGHT)
        return cls(float(zoom), float(turn), float(gain), float(offset))


def _encode_changed(
    image: np.ndarray,
    camera: Camera,
    encoder: Encoder,
    count: int,
    change: _Change,
) -> Patches:
    """Patches of a turned, scaled and relit copy, with their places and rays in the original."""
    height, width = image.shape[:2]
    center = ((width - 1) / 2, (height - 1) / 2)
    affine = cv2.getRotationMatrix2D(center, change.turn, change.zoom)
    smoothing = cv2.INTER_AREA if change.zoom < 1 else cv2.INTER_LINEAR
    changed = cv2.warpAffine(image, affine, (width, height), flags=smoothing)
    changed = np.clip(changed * change.gain + change.offset, 0, 255).astype(np.uint8)

    encoded = encoder.encode(image_tensor(changed, encoder.device))
    backward = cv2.invertAffineTransform(affine)
    points2d = (encoded.centers() @ backward[:, :2].T + backward[:, 2]).astype(np.float64)
    border = encoder.stride
    within = (points2d > border) & (points2d < [width - border, height - border])
    inside = np.all(within, axis=1)
    patches = Patches(
        encoded.features[0].flatten(1).T.half().cpu(),
        torch.where(torch.from_numpy(inside), encoded.reliability[0].flatten().cpu(), -1.0),
        torch.from_numpy(points2d).float(),
        torch.from_numpy(np.where(inside[:, None], camera.rays(points2d), np.nan)).float(),
    )
    return patches.best(count)
