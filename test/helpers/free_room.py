"""A small regressor of the published kind that has learned, in seconds, to read codes of a room.

It stands in for the published weights where poses are to come out. What it learned of the room is
in its weights as much as in the code it learned with, so that it says nothing about the method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from aceg_ros.datasets import Frame
from aceg_ros.encoder.base import Encoder
from aceg_ros.mapping.ace_g.buffer import fill_ace_g_buffer
from aceg_ros.mapping.ace_g.fit import ace_g_losses
from aceg_ros.mapping.ace_g.schedule import AceGSchedule
from aceg_ros.monitor import Monitor
from aceg_ros.regressor.ace_g import AceGConfig, AceGRegressor

SCHEDULE = AceGSchedule(steps=150, batch=768, buffer=25_000, tokens=64, zoom=(0.9, 1.2), turn=8.0)
_STEPS, _RATE, _WARM_UP = 250, 3e-3, 30


def learned_regressor(frames: Sequence[Frame], encoder: Encoder) -> AceGRegressor:
    """Network and code learn together; the code is thrown away."""
    torch.manual_seed(0)
    network = AceGRegressor(AceGConfig(dim_in=encoder.dim, dim=64, blocks=2, heads=4))
    rng, device = np.random.default_rng(0), torch.device('cpu')
    size = SCHEDULE.buffer
    buffer, _, _ = fill_ace_g_buffer(frames, encoder, SCHEDULE, size, device, rng, Monitor())
    centers = np.stack([frame.world_from_cam[:3, 3] for frame in frames])
    mean = torch.from_numpy(centers.mean(axis=0)).float()
    code = torch.nn.Parameter(0.1 * torch.randn(SCHEDULE.tokens, 64))
    optimizer = torch.optim.AdamW([*network.parameters(), code])
    for step in range(_STEPS):
        fall = 0.5 * (1 + math.cos(math.pi * step / _STEPS))
        optimizer.param_groups[0]['lr'] = _RATE * min(1.0, step / _WARM_UP) * fall
        batch = torch.randint(len(buffer), (SCHEDULE.batch,))
        read = network(buffer.features[batch].float(), code, mean)
        view = buffer.view[batch]
        poses, focal = buffer.cam_from_world[view], buffer.focal[view]
        losses, _ = ace_g_losses(read, buffer.targets[batch], poses, focal, SCHEDULE)
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    return network.requires_grad_(False).eval()
