"""3x3 convolutions with fewer multiplications, on CPUs with AVX2.

PyTorch takes oneDNN, which multiplies all. It also has NNPACK with Winograd's minimal filtering
(Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016), but takes that for
large batches only. With AVX512 it was not measured (docs/design/small-machines.md).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import nn

from aceg_ros.threads import threads

_STRIDE, _PADDING = (1, 1), (1, 1)


class Convolution(nn.Conv2d):
    """A convolution that keeps the size at stride 1; in inference mode by Winograd, if quicker."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2)
        self._winograd = kernel == 3 and stride == 1 and _is_quick()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, D, H', W')."""
        on_cpu = input.device.type == 'cpu' and input.dtype == torch.float32
        if self._winograd and on_cpu and torch.is_inference_mode_enabled():
            return _convolved(input, self.weight, self.bias)
        return super().forward(input)


@lru_cache
def _is_quick() -> bool:
    able = torch.backends.cpu.get_cpu_capability()
    if able != 'AVX2' or not torch.backends.nnpack.is_available():
        return False
    # NNPACK has as many threads from now on as its first call has. With one, none waits.
    with threads(1):
        _convolved(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 3, 3), None)
    return True


def _convolved(
    images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    return torch._nnpack_spatial_convolution(
        images.contiguous(), weight.contiguous(), bias, _PADDING, _STRIDE
    )
