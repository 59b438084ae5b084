"""What an encoder is: images in, patch features out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from aceg_ros.geometry.cameras import Camera


@dataclass(frozen=True)
class PatchFeatures:
    """A batch of images, each seen as a grid of patches."""

    features: torch.Tensor  # (B, D, H', W') float32, see `Encoder.encode`
    reliability: torch.Tensor  # (B, H', W') in 0..1: how likely the patch is to be found again
    stride: int  # px between neighboring patches

    def centers(self) -> np.ndarray:
        """Patch centers in the encoder's input image, (H' * W', 2) px, row by row."""
        height, width = self.reliability.shape[-2:]
        return self.grid(width, height, self.stride)

    @staticmethod
    def grid(columns: int, rows: int, stride: int) -> np.ndarray:
        """Centers (rows * columns, 2) px of a patch grid, row by row.

        The top-left pixel's center is (0, 0), so the first patch of stride 8 sits at (3.5, 3.5).
        """
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        return np.stack([x, y], axis=-1).reshape(-1, 2) * float(stride) + (stride - 1) / 2


class Encoder(Protocol):
    """A frozen network from images to patch features."""

    name: str
    # Changes whenever the features would: a map code is only good for its own encoder.
    identity: str
    stride: int
    dim: int
    device: torch.device
    # An image whose patches are more alike (see `similarity`) shows nothing to be recognized by.
    max_similarity: float
    # Whether its layers are so quick that waking threads for each takes longer than they save.
    short_steps: bool

    def view(self, image: np.ndarray, camera: Camera) -> tuple[np.ndarray, Camera]:
        """``image`` (H, W, 3) uint8 RGB at the size the encoder works at, and its camera there.

        Raises ImageError when the image is no such array or not of the camera's size.
        """

    def encode(self, images: torch.Tensor) -> PatchFeatures:
        """``images`` (B, 3, H, W) uint8 or float in 0..255; any H, W of at least 64 px.

        Features have unit length along D, unless the encoder was loaded for a regressor that takes
        them as the network gives them.
        """

    def to(self, device: torch.device) -> None:
        """Move the network to another device, on which it works from then on."""


def similarity(features: torch.Tensor) -> float:
    """How much patches (P, D) of an image are alike: 1 when all are the same."""
    return float(F.normalize(features.float(), dim=1).mean(dim=0).norm())


def image_tensor(images: np.ndarray, device: torch.device | str = 'cpu') -> torch.Tensor:
    """(H, W, 3) or (B, H, W, 3) uint8 RGB as the (B, 3, H, W) tensor an encoder takes."""
    batch = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    if batch.ndim == 3:
        batch = batch[None]
    return batch.permute(0, 3, 1, 2)
