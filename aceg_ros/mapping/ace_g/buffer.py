"""The mapping buffer: patches of many changed copies of each image, with what supervises them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder, image_tensor
from aceg_ros.errors import FitError, ImageError, PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse
from aceg_ros.mapping.ace_g.schedule import AceGSchedule
from aceg_ros.mapping.options import MIN_KEYFRAMES
from aceg_ros.monitor import Monitor
from aceg_ros.pose.ransac import MIN_RAY_Z


@dataclass(frozen=True)
class View:
    """Some patches of one changed copy of an image.

    Its camera is taken to be a pinhole one without distortion that is turned with the copy: what
    the real lens does is in the targets.
    """

    features: torch.Tensor  # (P, D) float16
    targets: torch.Tensor  # (P, 2) px from the principal point
    cam_from_world: np.ndarray  # (4, 4)
    focal: float  # px


@dataclass(frozen=True)
class AceGBuffer:
    """N patches of V views."""

    features: torch.Tensor  # (N, D) float16
    targets: torch.Tensor  # (N, 2) px from the view's principal point
    view: torch.Tensor  # (N,) int32
    cam_from_world: torch.Tensor  # (V, 3, 4)
    focal: torch.Tensor  # (V,) px

    def __len__(self) -> int:
        return len(self.features)


def fill_ace_g_buffer(
    frames: Sequence[Frame],
    encoder: Encoder,
    schedule: AceGSchedule,
    size: int,
    device: torch.device,
    rng: np.random.Generator,
    monitor: Monitor,
) -> tuple[AceGBuffer, list[Frame], list[str]]:
    """Views of all frames in turn, each changed anew, until there are ``size`` patches.

    Where ``size`` is less than the schedule's patches of each frame, views have fewer. Also the
    frames that are in it, and those left out with the reason. Raises FitError when fewer than
    `MIN_KEYFRAMES` can be used.
    """
    filler = _Filler(size, encoder.dim, device)
    per_view = min(schedule.per_view, -(-size // max(len(frames), 1)))
    usable, skipped = [], []
    for index, frame in enumerate(frames):
        monitor.report('encode', index / max(len(frames), size / per_view), frame.name)
        try:
            filler.add(changed_view(frame, encoder, schedule, per_view, rng))
        except (ImageError, PoseError) as error:
            skipped.append(f'{frame.name}: {error}')
            continue
        usable.append(frame)
    _require(usable, skipped)
    while filler.left > 0:
        before = filler.filled
        for index in rng.permutation(len(usable)):
            if filler.left == 0:
                break
            monitor.report('encode', filler.filled / size, f'view {filler.views + 1}')
            filler.add(changed_view(usable[index], encoder, schedule, per_view, rng))
        if filler.filled == before:
            raise FitError('no patch of any image has a viewing ray: check the calibration')
    return filler.buffer(), usable, skipped


class _Filler:
    """A buffer while it is filled; views beyond its size are dropped."""

    def __init__(self, size: int, dim: int, device: torch.device) -> None:
        self.filled = self.views = 0
        self._features = torch.empty(size, dim, dtype=torch.float16, device=device)
        self._targets = torch.empty(size, 2, device=device)
        self._owner = torch.empty(size, dtype=torch.int32, device=device)
        self._poses: list[np.ndarray] = []
        self._focals: list[float] = []

    @property
    def left(self) -> int:
        """Patches that still have room."""
        return len(self._features) - self.filled

    def add(self, view: View) -> None:
        count = min(len(view.features), self.left)
        rows = slice(self.filled, self.filled + count)
        self._features[rows] = view.features[:count].to(self._features.device)
        self._targets[rows] = view.targets[:count].to(self._features.device)
        self._owner[rows] = self.views
        self._poses.append(view.cam_from_world[:3])
        self._focals.append(view.focal)
        self.filled += count
        self.views += 1

    def buffer(self) -> AceGBuffer:
        return AceGBuffer(
            self._features,
            self._targets,
            self._owner,
            torch.from_numpy(np.stack(self._poses)).float(),
            torch.tensor(self._focals),
        )


def _require(usable: Sequence[Frame], reasons: Sequence[str]) -> None:
    if len(usable) < MIN_KEYFRAMES:
        raise FitError(
            f'{len(usable)} usable images, but a map needs at least {MIN_KEYFRAMES}: record more '
            'views of the place, from different positions'
            + (f' ({"; ".join(reasons[:3])})' if reasons else '')
        )


def changed_view(
    frame: Frame,
    encoder: Encoder,
    schedule: AceGSchedule,
    per_view: int,
    rng: np.random.Generator,
) -> View:
    """A frame's image at a random size, turn and light, and ``per_view`` of its patches, encoded.

    Raises ImageError or PoseError when the frame cannot be used.
    """
    pose = frame.pose()
    image, working = frame.image(), frame.camera
    _, nominal = encoder.view(image, working)
    zoom = rng.uniform(*schedule.zoom) * nominal.K[0, 0] / working.K[0, 0]
    width, height = (max(round(zoom * side), 64) for side in (working.width, working.height))
    smoothing = cv2.INTER_AREA if width < working.width else cv2.INTER_LINEAR
    resized = cv2.resize(image, (width, height), interpolation=smoothing)
    camera = working.scaled(width, height)

    turn = rng.uniform(-schedule.turn, schedule.turn)
    affine = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, 1.0)
    turned = cv2.warpAffine(resized, affine, (width, height), flags=cv2.INTER_LINEAR)
    encoded = encoder.encode(image_tensor(_relit(turned, schedule.light, rng), encoder.device))

    centers = encoded.centers()
    targets, usable = _targets(centers, affine, camera)
    chosen = rng.permutation(usable.nonzero()[0])[:per_view]
    turning = np.eye(4)
    turning[:2, :2] = affine[:, :2]
    features = encoded.features[0].flatten(1).T
    return View(
        features[torch.from_numpy(chosen).to(features.device)].half(),
        torch.from_numpy(targets[chosen]).float(),
        turning @ inverse(pose),
        camera.focal,
    )


def _targets(
    centers: np.ndarray, affine: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Places (P, 2) px of patch centers in the turned pinhole image, and which are known (P,)."""
    backward = cv2.invertAffineTransform(affine)
    points2d = np.asarray(centers @ backward[:, :2].T + backward[:, 2], np.float64)
    inside = ((points2d >= 0) & (points2d <= [camera.width - 1, camera.height - 1])).all(axis=1)
    rays = camera.rays(points2d)
    with np.errstate(invalid='ignore', divide='ignore'):
        usable = inside & (rays[:, 2] > MIN_RAY_Z)
        plane = camera.focal * rays[:, :2] / rays[:, 2:]
    return plane @ affine[:, :2].T, usable


def _relit(image: np.ndarray, light: float, rng: np.random.Generator) -> np.ndarray:
    """``image`` with another brightness (a factor) and contrast (about its mean)."""
    brightness, contrast = rng.uniform(1 - light, 1 + light, 2)
    bright = image.astype(np.float32) * np.float32(brightness)
    mean = bright.mean()
    return np.clip((bright - mean) * np.float32(contrast) + mean, 0, 255).astype(np.uint8)
