"""The wide encoder: an ImageNet trunk beside a fine stem, for views from elsewhere and other light.

The trunk sees the half-size image in color, up to stride 32 of the full one, and describes what is
seen. The stem sees the full-size image in gray, and tells exactly where it is.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn

from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.encoder.compact import conv
from aceg_ros.encoder.files import check_images, read_network
from aceg_ros.encoder.trunk import COARSE_CHANNELS, MIDDLE_CHANNELS, Trunk
from aceg_ros.encoder.view import bounded_view
from aceg_ros.files import write_atomically
from aceg_ros.precision import half_precision

DIM = 96
STRIDE = 8
_FINE = 64  # channels of the fine stem
_HIDDEN = 192  # of the head
# What the levels are divided by: of one size, they learn at one pace.
TRUNK_SCALE, FINE_SCALE = 8.0, 600.0
_SPARSE = 3  # of the pixels that are averaged, along each side
_COARSEST = 32  # inputs are padded to a multiple of the coarsest level's stride


class WideNetwork(nn.Module):
    """RGB image -> unit features at stride 8, of 96 numbers. 1.25 M parameters.

    Each channel is standardized by its own mean and deviation, so that exposure and white balance
    cancel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.stem = nn.Sequential(nn.PixelUnshuffle(4), conv(16, 32), conv(32, 32), conv(32, 32))
        self.level8 = nn.Sequential(conv(32, _FINE, stride=2), *(conv(64, 64) for _ in range(3)))
        self.level16 = nn.Sequential(conv(_FINE, 96, stride=2), conv(96, 96), conv(96, 96))
        self.lateral16 = nn.Conv2d(96, _FINE, 1)
        # what the trunk tells the fine stem, then the head
        self.context = Gathered(_FINE)
        self.fusion = nn.Sequential(conv(_FINE, _FINE), conv(_FINE, _FINE))
        self.hidden = Gathered(_HIDDEN, fine=_FINE)
        self.output = nn.Conv2d(_HIDDEN, DIM, 1)
        self.direct = Gathered(DIM, fine=_FINE)
        self.reliability = nn.Conv2d(_HIDDEN, 1, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, 96, H // 8, W // 8) and reliability logits (B, H // 8, W // 8).

        ``images`` are (B, 3, H, W).
        """
        features, reliability = self.lengthy(images)
        return F.normalize(features, dim=1), reliability

    def lengthy(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `forward`, but the features not yet brought to unit length."""
        return of_images(self.described(*standardized(images)), images)

    def described(
        self, color: torch.Tensor, gray: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`lengthy` of `standardized` images, with the features and logits of their padding."""
        middle, coarse = (level / TRUNK_SCALE for level in self.trunk(color))
        fine = self.level8(self.stem(gray))
        fine16 = F.interpolate(self.lateral16(self.level16(fine)), scale_factor=2, mode='bilinear')
        fused = self.fusion(fine + fine16 + self.context(None, middle, coarse)) / FINE_SCALE
        hidden = F.relu(self.hidden(fused, middle, coarse))
        features = self.output(hidden) + self.direct(fused, middle, coarse)
        return features, self.reliability(hidden)[:, 0]


def standardized(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The half-size image in color (B, 3, H / 2, W / 2) and the whole one in gray (B, 1, H, W).

    Their sides are padded to multiples of the coarsest stride. The color's deviation is a half, as
    the trunk is used to.
    """
    # plane by plane is quick; means and deviations need no more than some of the pixels
    images = images.contiguous().float()
    gray = images.mean(dim=1, keepdim=True)
    (variance, mean), (gray_variance, gray_mean) = (
        torch.var_mean(x[..., ::_SPARSE, ::_SPARSE], dim=(2, 3), keepdim=True, correction=0)
        for x in (images, gray)
    )
    bottom, right = -images.shape[-2] % _COARSEST, -images.shape[-1] % _COARSEST
    if bottom or right:
        images, gray = (F.pad(x, (0, right, 0, bottom), mode='replicate') for x in (images, gray))
    upper = images[..., ::2, ::2] + images[..., ::2, 1::2]
    half = (upper + images[..., 1::2, ::2] + images[..., 1::2, 1::2]) / 4
    half = (half - mean) * (0.5 * (variance + 1.0).rsqrt())
    gray = (gray - gray_mean) * (gray_variance + 1e-3).rsqrt()
    return half.contiguous(memory_format=layout(half.device)), gray


def layout(device: torch.device) -> torch.memory_format:
    """How tensors lie in memory where `WideNetwork` is quick.

    With channels last, cuDNN takes a hundred times as long for the gradients of filters of one
    channel each. Without gradients the difference is a tenth.
    """
    return torch.contiguous_format if device.type == 'cuda' else torch.channels_last


def of_images(
    described: tuple[torch.Tensor, torch.Tensor], images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `WideNetwork.described` gave for ``images`` (B, 3, H, W), without their padding."""
    rows, columns = images.shape[-2] // STRIDE, images.shape[-1] // STRIDE
    features, reliability = (part[..., :rows, :columns].float() for part in described)
    return features, reliability


class Gathered(nn.Module):
    """A linear layer over all levels: the same as one over their concatenation, but quicker."""

    def __init__(self, outputs: int, fine: int = 0) -> None:
        super().__init__()
        self.fine = nn.Conv2d(fine, outputs, 1) if fine else None
        self.middle = nn.Conv2d(MIDDLE_CHANNELS, outputs, 1, bias=False)
        self.coarse = nn.Conv2d(COARSE_CHANNELS, outputs, 1, bias=False)

    def forward(
        self, fine: torch.Tensor | None, middle: torch.Tensor, coarse: torch.Tensor
    ) -> torch.Tensor:
        """(B, C, h, w), (B, 40, h / 2, w / 2), (B, 112, h / 4, w / 4) to (B, outputs, h, w)."""
        low = self.middle(middle) + F.interpolate(
            self.coarse(coarse), scale_factor=2, mode='bilinear'
        )
        high = F.interpolate(low, scale_factor=2, mode='bilinear')
        return high if self.fine is None or fine is None else self.fine(fine) + high


def save_weights(network: WideNetwork, path: Path, metadata: dict[str, str]) -> None:
    """Write all that `WideEncoder.load` needs as safetensors in half precision, atomically."""
    tensors = {
        name: tensor.detach().half().contiguous().cpu()
        for name, tensor in network.state_dict().items()
    }
    write_atomically(path, save(tensors, {'encoder': 'wide', **metadata}))


class WideEncoder:
    """`WideNetwork` with trained weights, frozen."""

    name = 'wide'
    stride = STRIDE
    dim = DIM
    # Of real images at most 0.38, of rendered ones 0.32, of rendered 160x120 ones 0.53: a ninth of
    # those is refused. Blank, noisy, black or white ones have 0.50 to 0.86. Those that pass are
    # refused later, for want of evidence.
    max_similarity = 0.50
    short_steps = True

    def __init__(self, network: WideNetwork, identity: str, device: torch.device):
        network.to(device).to(memory_format=layout(device))  # type: ignore[call-overload]
        self.network = network.eval()
        self.identity = identity
        self.device = device

    @classmethod
    def load(cls, path: Path, device: torch.device | str = 'cpu') -> WideEncoder:
        """Read weights written by `save_weights`; raises WeightsError when they do not fit."""
        network, identity = read_network(path, WideNetwork, cls.name)
        return cls(network, identity, torch.device(device))

    def to(self, device: torch.device) -> None:
        """See `Encoder.to`."""
        self.network.to(device).to(memory_format=layout(device))  # type: ignore[call-overload]
        self.device = device

    view = staticmethod(bounded_view)

    @torch.inference_mode()
    def encode(self, images: torch.Tensor) -> PatchFeatures:
        """See `Encoder.encode`."""
        check_images(images)
        with half_precision(self.device):
            features, reliability = self.network(images.to(self.device))
        return PatchFeatures(features, reliability.sigmoid(), STRIDE)
