"""One small network per scene, trained by reprojection, in the style of ACE.

After Brachmann et al., "Accelerated Coordinate Encoding" (CVPR 2023): residual layers on each
patch's feature by itself, homogeneous scene coordinates, batches drawn from patches of all images
at once, a tanh-clamped reprojection error whose bound shrinks, one learning-rate cycle. Here the
cycle ends when a budget of seconds does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from aceg_ros.errors import FitError
from aceg_ros.evaluation.baselines.pose import PoseOptions, localize_matches
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse
from aceg_ros.localization.result import Localization, LocalizationFailure

# From an image (H, W, 3) uint8 RGB and its camera to its patches' features (P, D) float32 and their
# centers (P, 2) px.
Describe = Callable[[np.ndarray, Camera], tuple[torch.Tensor, np.ndarray]]

# Rays more than 80 degrees off the axis, where a division by depth fails, are not trained on.
MIN_RAY_Z = 0.17
# Depths in meters between which a prediction is believed, and the one that an unbelievable one is
# pulled to.
MIN_DEPTH, MAX_DEPTH, DEFAULT_DEPTH = 0.1, 1000.0, 10.0
MAX_ERROR_PX = 1000.0
# Bounds of the factor by which the homogeneous coordinate lengthens the other three.
MIN_SCALE, MAX_SCALE = 0.01, 4.0


@dataclass(frozen=True)
class PatchImage:
    """A mapping image as its patches."""

    features: torch.Tensor  # (P, D) float32, unit length
    points2d: np.ndarray  # (P, 2) px, patch centers in the image of `camera`
    camera: Camera
    world_from_cam: np.ndarray  # (4, 4)


@dataclass(frozen=True)
class SceneMlpOptions:
    """ACE's layers and loss, with a batch that a CPU can step through."""

    width: int = 512
    residual_blocks: int = 2  # of three layers each
    batch: int = 2048  # patches a step
    learning_rate: float = 3e-3  # at the cycle's peak
    widest_px: float = 50.0  # bound of the loss at the start
    narrowest_px: float = 1.0  # and at the end
    seed: int = 0
    pose: PoseOptions = field(default_factory=lambda: PoseOptions(threshold_px=10.0))


DEFAULT_OPTIONS = SceneMlpOptions()


class SceneMlp(nn.Module):
    """Features (N, D) to scene coordinates (N, 3) meters; each patch by itself."""

    center: torch.Tensor

    def __init__(self, dim: int, center: torch.Tensor, options: SceneMlpOptions) -> None:
        """`center` (3,) meters is what coordinates are relative to, the cameras' mean."""
        super().__init__()
        width = options.width
        self.entry = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(_layer(width, width) for _ in range(3)))
            for _ in range(options.residual_blocks)
        )
        self.exit = nn.Sequential(_layer(width, width), _layer(width, width), nn.Linear(width, 4))
        self.register_buffer('center', center)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Scene coordinates (N, 3) of `features` (N, D) of unit length."""
        # Entries of about one suit the layers' initial weights, and training is many times faster.
        hidden = F.relu(self.entry(features * features.shape[1] ** 0.5))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        xyz, scale = self.exit(hidden).split((3, 1), dim=1)
        # Softplus shifted so that an untrained network divides by one.
        inverse_scale = F.softplus(scale, beta=math.log(2.0) / (1.0 - 1.0 / MAX_SCALE))
        inverse_scale = torch.clamp(inverse_scale + 1.0 / MAX_SCALE, max=1.0 / MIN_SCALE)
        return xyz / inverse_scale + self.center

    @property
    def map_bytes(self) -> int:
        """Size of the weights as they would be saved, in half precision."""
        return 2 * sum(parameter.numel() for parameter in self.parameters())


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU())


def fit_scene_mlp(
    images: Sequence[PatchImage],
    seconds: float,
    options: SceneMlpOptions = DEFAULT_OPTIONS,
    device: torch.device | str = 'cpu',
) -> SceneMlp:
    """Train a network on `images` for a budget of `seconds`.

    Raises FitError without images or time.
    """
    if not images:
        raise FitError('there are no posed images to train on')
    if seconds <= 0:
        raise FitError(f'a budget of {seconds} s leaves no time to train; give more')
    torch.manual_seed(options.seed)
    buffer = _Buffer.fill(images, device)
    centers = np.array([image.world_from_cam[:3, 3] for image in images])
    center = torch.tensor(centers.mean(axis=0), dtype=torch.float32, device=device)
    network = SceneMlp(images[0].features.shape[1], center, options).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate)
    generator = torch.Generator(device=device).manual_seed(options.seed)
    start = time.perf_counter()
    while (part := (time.perf_counter() - start) / seconds) < 1.0:
        rows = torch.randint(
            len(buffer.features), (options.batch,), generator=generator, device=device
        )
        for group in optimizer.param_groups:
            group['lr'] = options.learning_rate * _cycle(part)
        bound = options.narrowest_px + math.sqrt(1.0 - part**2) * options.widest_px
        loss = buffer.loss(network, rows, bound)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return network.eval()


def _cycle(part: float) -> float:
    """Learning rate relative to its peak: a short rise from a tenth, then down to zero."""
    rise = 0.05
    if part < rise:
        return 0.1 + 0.9 * part / rise
    return 0.5 * (1.0 + math.cos(math.pi * (part - rise) / (1.0 - rise)))


@dataclass(frozen=True)
class _Buffer:
    """Patches of all images and what supervises them, row by row, on one device."""

    features: torch.Tensor  # (N, D) float16
    plane: torch.Tensor  # (N, 2), ray over its z
    focal: torch.Tensor  # (N,) px
    views: torch.Tensor  # (N,) which image
    cam_from_world: torch.Tensor  # (F, 4, 4)

    @classmethod
    def fill(cls, images: Sequence[PatchImage], device: torch.device | str) -> _Buffer:
        features, planes, focals, views = [], [], [], []
        for index, image in enumerate(images):
            rays = image.camera.rays(image.points2d)
            rows = np.flatnonzero(rays[:, 2] > MIN_RAY_Z)  # nan compares as false
            features.append(image.features[torch.from_numpy(rows)].half())
            planes.append(torch.from_numpy(rays[rows, :2] / rays[rows, 2:]).float())
            focals.append(torch.full((len(rows),), image.camera.focal))
            views.append(torch.full((len(rows),), index))
        cam_from_world = inverse(np.array([image.world_from_cam for image in images]))
        return cls(
            torch.cat(features).to(device),
            torch.cat(planes).to(device),
            torch.cat(focals).to(device),
            torch.cat(views).to(device),
            torch.from_numpy(cam_from_world).float().to(device),
        )

    def loss(self, network: SceneMlp, rows: torch.Tensor, bound: float) -> torch.Tensor:
        """Mean clamped reprojection error in pixels of the patches `rows` (B,)."""
        points3d = network(self.features[rows].float())
        pose = self.cam_from_world[self.views[rows]]
        points_cam = (pose[:, :3, :3] @ points3d[:, :, None])[:, :, 0] + pose[:, :3, 3]
        depth = points_cam[:, 2]
        seen = points_cam[:, :2] / depth.clamp(min=MIN_DEPTH)[:, None]
        errors = (seen - self.plane[rows]).abs().sum(dim=1) * self.focal[rows]
        valid = (depth > MIN_DEPTH) & (depth < MAX_DEPTH) & (errors < MAX_ERROR_PX)
        clamped = bound * torch.tanh(errors / bound)
        ones = torch.ones_like(depth)[:, None]
        target = DEFAULT_DEPTH * torch.cat([self.plane[rows], ones], dim=1)
        pull = (points_cam - target).abs().sum(dim=1)
        return torch.where(valid, clamped, pull).mean()


class SceneMlpLocalizer:
    """Localizes images by the scene coordinates that a trained network gives their patches."""

    def __init__(
        self, network: SceneMlp, describe: Describe, options: SceneMlpOptions = DEFAULT_OPTIONS
    ) -> None:
        self.network, self.describe, self.options = network, describe, options

    @torch.inference_mode()
    def localize(self, image: np.ndarray, camera: Camera) -> Localization | LocalizationFailure:
        """Pose of `image` (H, W, 3) uint8 RGB taken by `camera`."""
        features, points2d = self.describe(image, camera)
        points3d = self.network(features.to(self.network.center.device).float())
        return localize_matches(
            points2d, points3d.double().cpu().numpy(), camera, self.options.pose
        )
