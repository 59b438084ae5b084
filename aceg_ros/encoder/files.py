"""What encoders with weights of the project's own have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from aceg_ros.errors import ImageError, WeightsError

N = TypeVar('N', bound=nn.Module)
_LEAST_PX = 64


def read_tensors(path: Path, name: str) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors of a weights file in float32, and the encoder's identity by the file's hash.

    Raises OSError, SafetensorError or ValueError when there are none.
    """
    data = path.read_bytes()
    tensors = {key: tensor.float() for key, tensor in load(data).items()}
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ValueError('some are no numbers')
    return tensors, f'{name}-{hashlib.sha256(data).hexdigest()[:16]}'


def read_network(path: Path, make: Callable[[], N], name: str) -> tuple[N, str]:
    """The network of a weights file, and the encoder's identity; raises WeightsError."""
    try:
        tensors, identity = read_tensors(path, name)
        network = make()
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise bad_weights(path, name, error) from error
    return network, identity


def bad_weights(path: Path, name: str, error: Exception) -> WeightsError:
    """What is raised for a file that does not fit."""
    return WeightsError(
        f'{path} does not hold the weights of the {name} encoder ({error}); '
        'take the file from the project, or train one with "aceg train-encoder"'
    )


def check_images(images: torch.Tensor) -> None:
    """Raise ImageError unless ``images`` are (B, 3, H, W) and not too small."""
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < _LEAST_PX:
        raise ImageError(
            f'the encoder takes (B, 3, H, W) images of at least {_LEAST_PX}x{_LEAST_PX} px, '
            f'not {tuple(images.shape)}'
        )
