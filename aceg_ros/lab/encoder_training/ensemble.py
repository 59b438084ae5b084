"""Several teachers as one: features of all, side by side.

EdgePoint2 (E64, MIT) and XFeat see corners and textures, the ImageNet trunk at full size sees
things. The weights stay outside the project.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from aceg_ros.encoder.trunk import Trunk
from aceg_ros.lab.encoder_training.teacher import Teacher, teacher_state

_MULTIPLE = 32  # of the teachers' pictures
_GROUP = 16  # channels of a group of the descriptor's 3x3 convolution


class EdgePoint:
    """(B, 3, H, W) images, H and W multiples of 32 -> unit features (B, 64, H/8, W/8)."""

    def __init__(self, path: Path, device: torch.device):
        self._weights = teacher_state(path, device, 'desc_head.2.weight', 'the state of EdgePoint2')

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        gray = F.instance_norm(images.mean(dim=1, keepdim=True) / 255)
        x = F.relu(self._normed(gray, 'block1.0.layer', stride=2, padding=1))
        x = F.relu(self._normed(x, 'block1.1.layer'))
        fine = F.avg_pool2d(self._residual(x, 'block1.2'), 2)
        middle = self._residual(F.avg_pool2d(fine, 2), 'block2')
        coarse = self._residual(F.avg_pool2d(middle, 4), 'block3')
        size = fine.shape[-2:]
        raised = [F.interpolate(level, size, mode='bilinear') for level in (middle, coarse)]
        x = self._conv(torch.cat([fine, *raised], dim=1), 'desc_head.0')
        x = F.relu(self._normed(x, 'desc_head.1.layer'))
        x = self._conv(x, 'desc_head.2')
        return F.normalize(F.avg_pool2d(x, 2), dim=1)

    def _residual(self, x: torch.Tensor, block: str) -> torch.Tensor:
        y = F.relu(self._normed(x, f'{block}.layer'))
        y = self._normed(y, f'{block}.layer', index=3)
        skip = self._conv(x, f'{block}.skip') if f'{block}.skip.weight' in self._weights else x
        return F.relu(y + skip)

    def _normed(
        self,
        x: torch.Tensor,
        layer: str,
        index: int = 0,
        stride: int = 1,
        padding: int | None = None,
    ) -> torch.Tensor:
        x = self._conv(x, f'{layer}.{index}', stride, padding)
        norm = f'{layer}.{index + 1}'
        mean, variance, scale, shift = (
            self._weights[f'{norm}.{part}']
            for part in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return F.batch_norm(x, mean, variance, scale, shift)

    def _conv(
        self, x: torch.Tensor, name: str, stride: int = 1, padding: int | None = None
    ) -> torch.Tensor:
        weight, bias = self._weights[f'{name}.weight'], self._weights.get(f'{name}.bias')
        padding = weight.shape[-1] // 2 if padding is None else padding
        return F.conv2d(x, weight, bias, stride, padding, groups=x.shape[1] // weight.shape[1])


class Ensemble:
    """(B, 3, H, W) images -> unit features (B, D, H // 8, W // 8), of all teachers equally."""

    def __init__(self, xfeat: Teacher, edgepoint: EdgePoint, trunk: Trunk):
        self._xfeat, self._edgepoint, self._trunk = xfeat, edgepoint, trunk

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        rows, columns = images.shape[-2] // 8, images.shape[-1] // 8
        bottom, right = -images.shape[-2] % _MULTIPLE, -images.shape[-1] % _MULTIPLE
        padded = F.pad(images, (0, right, 0, bottom), mode='replicate')
        fine, coarse = self._trunk(F.instance_norm(padded, eps=1.0) / 2)
        raised = F.interpolate(coarse, scale_factor=2, mode='bilinear')
        things = [F.normalize(level, dim=1) for level in (fine, raised)]
        parts = [self._xfeat(padded), self._edgepoint(padded), torch.cat(things, dim=1)]
        whole = torch.cat([F.normalize(part, dim=1) for part in parts], dim=1) / len(parts) ** 0.5
        return whole[..., :rows, :columns]
