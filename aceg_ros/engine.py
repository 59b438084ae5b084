"""The parts put together as they are shipped: which encoder and regressor, on which device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from aceg_ros.encoder.base import Encoder
from aceg_ros.encoder.compact import CompactEncoder
from aceg_ros.errors import AcegError
from aceg_ros.models import model_path
from aceg_ros.regressor.regressor import Regressor


@dataclass(frozen=True)
class Engine:
    """The networks that do not differ between scenes."""

    encoder: Encoder
    regressor: Regressor

    @classmethod
    def load(cls, device: str = 'auto') -> Engine:
        """Load the shipped networks; ``device`` is 'auto', 'cpu', 'cuda' or 'cuda:N'."""
        encoder = CompactEncoder.load(model_path('compact.safetensors'), resolve_device(device))
        return cls(encoder, Regressor())


def resolve_device(device: str) -> torch.device:
    """'auto' is CUDA where there is one; raises AcegError for a device that is not there."""
    if device == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved)
    except (RuntimeError, AssertionError) as error:
        raise AcegError(f'device {device!r} cannot be used here; try "auto" or "cpu"') from error
    return resolved
