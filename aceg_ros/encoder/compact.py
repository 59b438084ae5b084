"""The compact encoder: a small convolutional pyramid, stride 8, meant for a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import save
from torch import nn

from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.encoder.files import bad_weights, check_images, read_tensors
from aceg_ros.encoder.view import bounded_view
from aceg_ros.encoder.winograd import Convolution
from aceg_ros.files import write_atomically
from aceg_ros.precision import half_precision

DIM = 64
STRIDE = 8
_NETWORK = 'network.'  # prefix of the network's tensors in a weights file
_COARSEST = 32  # inputs are padded to a multiple of the coarsest level's stride


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution with bias that keeps the size at stride 1, and a ReLU."""
    convolution = Convolution(inputs, outputs, kernel, stride)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity='relu')
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return nn.Sequential(convolution, nn.ReLU(inplace=True))


class CompactNetwork(nn.Module):
    """Gray image -> unit features at stride 8 with context from strides 16 and 32.

    The image is standardized by its own mean and deviation, so that gain and offset of the exposure
    cancel. 0.87 M parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(4), conv(16, 32), conv(32, 32), conv(32, 32))
        self.level8 = nn.Sequential(conv(32, 64, stride=2), *(conv(64, 64) for _ in range(3)))
        self.level16 = nn.Sequential(conv(64, 96, stride=2), conv(96, 96), conv(96, 96))
        self.level32 = nn.Sequential(conv(96, 128, stride=2), conv(128, 128), conv(128, 128))
        self.lateral16 = nn.Conv2d(96, 64, 1)
        self.lateral32 = nn.Conv2d(128, 64, 1)
        self.fusion = nn.Sequential(conv(64, 64), conv(64, 64), nn.Conv2d(64, DIM, 1))
        self.reliability = nn.Sequential(conv(64, 32, kernel=1), nn.Conv2d(32, 1, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, 64, H // 8, W // 8) and reliability logits (B, H // 8, W // 8).

        ``images`` are (B, C, H, W).
        """
        gray = images.float().mean(dim=1, keepdim=True)
        gray = F.instance_norm(gray, eps=1e-3)
        rows, columns = gray.shape[-2] // STRIDE, gray.shape[-1] // STRIDE
        bottom, right = -gray.shape[-2] % _COARSEST, -gray.shape[-1] % _COARSEST
        gray = F.pad(gray, (0, right, 0, bottom), mode='replicate')

        fine = self.level8(self.stem(gray))
        middle = self.level16(fine)
        coarse = self.level32(middle)
        size = fine.shape[-2:]
        context = F.interpolate(self.lateral16(middle), size, mode='bilinear')
        context = context + F.interpolate(self.lateral32(coarse), size, mode='bilinear')
        fused = self.fusion[:2](fine + context)
        features = F.normalize(self.fusion[2](fused).float(), dim=1)
        reliability = self.reliability(fused)[:, 0].float()
        return features[..., :rows, :columns], reliability[..., :rows, :columns]


@dataclass(frozen=True)
class Whitening:
    """f -> W (f - mean): takes out what all features have in common.

    What a network learns from a teacher spreads unevenly over the dimensions, so unlike patches
    look alike. Half of the way to uncorrelated features of unit variance proved best for matching.
    """

    mean: torch.Tensor  # (DIM,)
    matrix: torch.Tensor  # (DIM, DIM)

    @classmethod
    def of(cls, features: torch.Tensor, strength: float = 0.5) -> Whitening:
        """From a sample of features (N, DIM): C^(-strength / 2) with C their covariance."""
        values, vectors = torch.linalg.eigh(torch.cov(features.T.double()))
        powers = values.clamp_min(1e-5) ** (-strength / 2)
        matrix = vectors @ torch.diag(powers) @ vectors.T
        return cls(features.mean(dim=0), matrix.to(features.dtype))


def save_weights(
    network: CompactNetwork, whitening: Whitening, path: Path, metadata: dict[str, str]
) -> None:
    """Write all that `CompactEncoder.load` needs as safetensors, atomically."""
    tensors = {f'{_NETWORK}{name}': tensor for name, tensor in network.state_dict().items()}
    tensors |= {'mean': whitening.mean, 'matrix': whitening.matrix}
    contiguous = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    write_atomically(path, save(contiguous, {'encoder': 'compact', **metadata}))


class CompactEncoder:
    """The small encoder: `CompactNetwork` with trained weights, frozen."""

    name = 'compact'
    stride = STRIDE
    dim = DIM
    # Of real images at most 0.4; blank, noisy, black or white ones have 0.66 to 1.
    max_similarity = 0.55
    short_steps = True

    def __init__(
        self, network: CompactNetwork, whitening: Whitening, identity: str, device: torch.device
    ):
        network.to(device)
        self.network = network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._mean = whitening.mean.to(device)
        self.matrix = whitening.matrix.to(device)
        self.identity = identity
        self.device = device

    @classmethod
    def load(cls, path: Path, device: torch.device | str = 'cpu') -> CompactEncoder:
        """Read weights written by `save_weights`; raises WeightsError when they do not fit."""
        try:
            tensors, identity = read_tensors(path, cls.name)
            whitening = Whitening(tensors.pop('mean'), tensors.pop('matrix'))
            if (whitening.mean.shape, whitening.matrix.shape) != ((DIM,), (DIM, DIM)):
                raise ValueError('mean or matrix has another size')
            network = CompactNetwork()
            network.load_state_dict(
                {name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items()}
            )
        except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
            raise bad_weights(path, cls.name, error) from error
        return cls(network, whitening, identity, torch.device(device))

    def to(self, device: torch.device) -> None:
        """See `Encoder.to`."""
        self.network.to(device)
        self._mean, self.matrix = self._mean.to(device), self.matrix.to(device)
        self.device = device

    view = staticmethod(bounded_view)

    @torch.inference_mode()
    def encode(self, images: torch.Tensor) -> PatchFeatures:
        """See `Encoder.encode`."""
        check_images(images)
        batch = images.to(self.device).float().contiguous(memory_format=torch.channels_last)
        with half_precision(self.device):
            features, reliability = self.network(batch)
        centered = features - self._mean[None, :, None, None]
        whitened = torch.einsum('ij,bjhw->bihw', self.matrix, centered)
        return PatchFeatures(F.normalize(whitened, dim=1), reliability.sigmoid(), STRIDE)
