"""The teacher: XFeat's dense descriptor, run from its published (Apache-2.0) weights.

XFeat: Accelerated Features for Lightweight Image Matching, Potje et al., CVPR 2024. The weights
file holds the network with batch normalization folded into the convolutions; it stays outside the
project.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from aceg_ros.errors import WeightsError


def teacher_state(
    path: Path, device: torch.device, needed: str, what: str
) -> dict[str, torch.Tensor]:
    """A teacher's weights by name; raises WeightsError where ``needed`` is not among them."""
    try:
        weights: dict[str, torch.Tensor] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise WeightsError(f'{path} holds no teacher weights: {error}') from error
    if needed not in weights:
        raise WeightsError(f'{path} is not {what} this teacher is built for')
    return weights


class Teacher:
    """(B, 3, H, W) images, H and W multiples of 32 -> unit features (B, 64, H/8, W/8)."""

    def __init__(self, path: Path, device: torch.device):
        self._weights = teacher_state(
            path, device, 'block_fusion.2.weight', 'the fused XFeat state'
        )

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        gray = F.instance_norm(images.mean(dim=1, keepdim=True))
        shortcut = self._conv(F.avg_pool2d(gray, 4), 'skip1.1', relu=False)
        x = self._chain(gray, 'block1', strides=(1, 2, 1, 2)) + shortcut
        x = self._chain(x, 'block2', strides=(1, 1))
        fine = self._chain(x, 'block3', strides=(2, 1, 1))
        middle = self._chain(fine, 'block4', strides=(2, 1, 1))
        coarse = self._chain(middle, 'block5', strides=(2, 1, 1, 1))
        size = fine.shape[-2:]
        pyramid = fine + F.interpolate(middle, size, mode='bilinear')
        pyramid = pyramid + F.interpolate(coarse, size, mode='bilinear')
        x = self._chain(pyramid, 'block_fusion', strides=(1, 1))
        return F.normalize(self._conv(x, 'block_fusion.2', relu=False), dim=1)

    def _chain(self, x: torch.Tensor, block: str, strides: tuple[int, ...]) -> torch.Tensor:
        for index, stride in enumerate(strides):
            x = self._conv(x, f'{block}.{index}', stride)
        return x

    def _conv(self, x: torch.Tensor, name: str, stride: int = 1, relu: bool = True) -> torch.Tensor:
        weight, bias = self._weights[f'{name}.weight'], self._weights[f'{name}.bias']
        x = F.conv2d(x, weight, bias, stride, padding=weight.shape[-1] // 2)
        return F.relu(x) if relu else x
