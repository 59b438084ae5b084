"""DINOv2 networks with random weights, on disk as the library writes them."""

from __future__ import annotations

from pathlib import Path

import pytest


def tiny_dinov2(folder: Path, registers: int = 4, seed: int = 0, width: int = 24) -> Path:
    """Write a network of two layers into `folder`; the test skips where the extra is missing."""
    transformers = pytest.importorskip('transformers', reason='the extra dinov2 is not installed')
    import torch

    torch.manual_seed(seed)
    shape = {
        'hidden_size': width,
        'num_hidden_layers': 2,
        'num_attention_heads': 2,
        'image_size': 70,
        'patch_size': 14,
    }
    if registers:
        config = transformers.Dinov2WithRegistersConfig(num_register_tokens=registers, **shape)
        network = transformers.Dinov2WithRegistersModel(config)
    else:
        network = transformers.Dinov2Model(transformers.Dinov2Config(**shape))
    network.save_pretrained(folder)
    return folder
