"""Posed images in, a free code out."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.engine import Engine
from aceg_ros.mapping.ace_g.buffer import AceGBuffer, fill_ace_g_buffer
from aceg_ros.mapping.ace_g.fit import ace_g_steps
from aceg_ros.mapping.ace_g.memory import free_host_memory, free_memory, plan_memory
from aceg_ros.mapping.consistency import consistent_frames
from aceg_ros.mapping.info import new_map_info
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.mapping.origin import local_frames
from aceg_ros.mapping.result import FitHistory, MappingResult, OnFirstMap
from aceg_ros.mapping.sweep import SceneDepths
from aceg_ros.mapping.validation import held_out_frames, validate_map
from aceg_ros.maps.code import FreeCode, KnownCamera
from aceg_ros.monitor import Monitor
from aceg_ros.regressor.ace_g import AceGRegressor

_START_STD = 0.1  # of the paper's random start
_SAMPLED = 4096  # patches by which the scene's depths are known


def map_free(
    frames: Sequence[Frame],
    engine: Engine,
    options: MappingOptions,
    metric: bool,
    monitor: Monitor,
    on_first_map: OnFirstMap | None = None,
    session: str = '',
) -> MappingResult:
    """See `mapping.mapper.map_scene`; before its end a free code is of no use."""
    regressor: AceGRegressor = engine.regressor  # type: ignore[assignment]
    encoder, schedule, seed = engine.encoder, options.free.schedule, options.seed
    began = time.monotonic()
    device = encoder.device
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    chosen, lost, notes = consistent_frames(frames, monitor)
    mapped, kept_out = held_out_frames(chosen, options.validation)
    mapped, origin = local_frames(mapped)
    regressor = regressor.to(device)
    host = free_host_memory()
    plan = plan_memory(
        schedule,
        regressor.config,
        _bytes(regressor) + _bytes(getattr(encoder, 'model', None)),
        device,
        options.free.memory or free_memory(device),
        host,
    )
    buffer, used, skipped = fill_ace_g_buffer(
        mapped,
        encoder,
        schedule,
        plan.buffer,
        device if plan.buffer_on_device else torch.device('cpu'),
        rng,
        monitor,
    )
    skipped = lost + skipped
    poses = np.stack([frame.pose() for frame in used])
    mean = torch.from_numpy(poses[:, :3, 3].mean(axis=0)).float()
    start = _START_STD * torch.randn(schedule.tokens, regressor.config.dim, generator=generator)
    fit_began, losses, embeddings, close = time.monotonic(), [], start, 0.0
    for step in ace_g_steps(
        start.to(device), mean.to(device), buffer, regressor, schedule, plan.piece, seed
    ):
        losses.append(step.loss)
        embeddings, close = step.embeddings, step.close
        monitor.report('fit', (step.index + 1) / schedule.steps, f'loss {step.loss:.2f}')
    history = FitHistory(losses, close, time.monotonic() - fit_began)
    code = FreeCode(
        embeddings.cpu().numpy(),
        mean.numpy(),
        poses,
        new_map_info(
            engine,
            {frame.camera: KnownCamera(frame.camera) for frame in used},
            metric,
            origin,
            session,
        ),
    )
    depths = _depths(code, buffer, regressor, device, generator)
    code = validate_map(code, kept_out, depths, engine, options.validation, skipped, monitor)
    note = plan.note(schedule)
    notes += [note] if note else []
    return MappingResult(code, history, skipped, time.monotonic() - began, notes)


def _bytes(network: torch.nn.Module | None) -> int:
    if network is None:
        return 0
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


@torch.inference_mode()
def _depths(
    code: FreeCode,
    buffer: AceGBuffer,
    regressor: AceGRegressor,
    device: torch.device,
    generator: torch.Generator,
) -> SceneDepths:
    """How far the code has things from the cameras, by the surer half of some patches."""
    some = torch.randint(len(buffer), (_SAMPLED,), generator=generator)
    some = some.to(buffer.features.device)
    features = buffer.features[some].to(device).float()
    embeddings, mean = (torch.from_numpy(part).to(device) for part in (code.embeddings, code.mean))
    read = regressor(features, embeddings, mean)
    sure = (read.sigma <= read.sigma.median()).cpu()
    pose = buffer.cam_from_world[buffer.view[some].cpu()]
    z = torch.einsum('pj,pj->p', pose[:, 2, :3], read.points3d.cpu()) + pose[:, 2, 3]
    return SceneDepths.of(z[sure].clamp_min(1e-3))
