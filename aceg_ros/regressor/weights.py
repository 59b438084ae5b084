"""A regressor's weights as a file: safetensors, with its configuration in the header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from aceg_ros.errors import WeightsError
from aceg_ros.files import write_atomically
from aceg_ros.regressor.regressor import Regressor, RegressorConfig


def save_regressor(regressor: Regressor, path: Path, metadata: dict[str, str]) -> None:
    """Write configuration and weights, atomically."""
    tensors = {n: t.detach().contiguous().cpu() for n, t in regressor.state_dict().items()}
    header = {'regressor': json.dumps(asdict(regressor.config)), **metadata}
    write_atomically(path, save(tensors, header))


def load_regressor(path: Path, device: torch.device | str = 'cpu') -> Regressor:
    """Read a file of `save_regressor`; raises WeightsError when it is none.

    Its weights are frozen.
    """
    try:
        with safe_open(path, 'pt') as file:
            config = RegressorConfig(**json.loads((file.metadata() or {})['regressor']))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise ValueError('some weights are no numbers')
        regressor = Regressor(config)
        regressor.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f'{path} does not hold the weights of a regressor ({error}); take the file from the '
            'project, or train one with "aceg pretrain"'
        ) from error
    return regressor.to(device).eval().requires_grad_(False)
