"""Scenes on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_up_scenes import make_scene

from aceg_ros.lab.pretraining.shards import write_scene


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Three scenes on disk, the last without points."""
    folder = tmp_path / 'scenes'
    for seed in range(3):
        write_scene(make_scene(seed, known=seed < 2), folder / f'scene-{seed}.safetensors')
    return sorted(folder.iterdir())
