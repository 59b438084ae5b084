"""Posed images in, a free code out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder
from aceg_ros.errors import FitError
from aceg_ros.mapping.ace_g.buffer import PaperBuffer, fill_ace_g_buffer
from aceg_ros.mapping.ace_g.fit import ace_g_steps
from aceg_ros.mapping.ace_g.memory import free_host_memory, free_memory, plan_memory
from aceg_ros.mapping.ace_g.schedule import PaperSchedule
from aceg_ros.mapping.fit import FitHistory
from aceg_ros.mapping.keyframes import pose_of
from aceg_ros.mapping.mapper import MappingResult
from aceg_ros.mapping.sweep import SceneDepths
from aceg_ros.mapping.tokens import free_code
from aceg_ros.mapping.validation import held_out_frames, validate_map
from aceg_ros.maps.code import MapCode, MapInfo
from aceg_ros.progress import Cancelled, Progress, check, never, silent
from aceg_ros.regressor.ace_g import PublishedRegressor
from aceg_ros.regressor.base import SceneRegressor

_HELD_OUT = 0.08  # of the frames, to judge the map by
_SAMPLED = 4096  # patches by which the scene's depths are known


def map_by_schedule(
    frames: Sequence[Frame],
    encoder: Encoder,
    regressor: SceneRegressor,
    schedule: PaperSchedule,
    memory: float | None = None,
    seed: int = 0,
    held_out: float = _HELD_OUT,
    metric: bool = True,
    progress: Progress = silent,
    cancelled: Cancelled = never,
) -> MappingResult:
    """Fit a free code to frames with poses; the map's axes are those of the poses.

    ``memory`` is what may be used of the device, in GB; without it all that is free. Raises
    FitError when the frames do not allow a map or the regressor reads no free codes,
    FitCancelled on request.
    """
    if not isinstance(regressor, PublishedRegressor):
        raise FitError(
            f'{schedule.name} is for a regressor that reads free codes: name one (--regressor, '
            'docs/published-aceg.md), or map without a schedule'
        )
    began = time.monotonic()
    device = encoder.device
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    mapped, kept_out = held_out_frames(frames, held_out)
    regressor = regressor.to(device)
    host = free_host_memory()
    plan = plan_memory(
        schedule,
        regressor.config,
        _bytes(regressor) + _bytes(getattr(encoder, 'model', None)),
        device,
        free_memory(device) if memory is None else memory,
        host,
    )
    buffer, used, skipped = fill_ace_g_buffer(
        mapped,
        encoder,
        schedule,
        plan.buffer,
        device if plan.buffer_on_device else torch.device('cpu'),
        rng,
        progress,
        cancelled,
    )
    poses = np.stack([pose_of(frame) for frame in used])
    mean = torch.from_numpy(poses[:, :3, 3].mean(axis=0)).float()
    start = free_code(schedule.tokens, regressor.config.dim, mean, generator).embeddings
    fit_began, losses, embeddings, close = time.monotonic(), [], start, 0.0
    for step in ace_g_steps(
        start.to(device), mean.to(device), buffer, regressor, schedule, plan.piece, seed
    ):
        check(cancelled)
        losses.append(step.loss)
        embeddings, close = step.embeddings, step.close
        progress('fit', (step.index + 1) / schedule.steps, f'loss {step.loss:.2f}')
    history = FitHistory(losses, close, time.monotonic() - fit_began, converged=False)
    code = MapCode.free_code(
        embeddings.cpu().numpy(),
        mean.numpy(),
        poses,
        MapInfo(
            encoder=encoder.identity,
            regressor=regressor.codes(),
            metric=metric,
            cameras=tuple(dict.fromkeys(frame.camera for frame in used)),
            created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        ),
    )
    depths = _depths(code, buffer, regressor, device, generator)
    code = validate_map(code, kept_out, depths, encoder, regressor, progress, skipped)
    if note := plan.note(schedule):
        skipped.append(note)
    return MappingResult(code, history, skipped, time.monotonic() - began)


def _bytes(network: torch.nn.Module | None) -> int:
    if network is None:
        return 0
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


@torch.inference_mode()
def _depths(
    code: MapCode,
    buffer: PaperBuffer,
    regressor: SceneRegressor,
    device: torch.device,
    generator: torch.Generator,
) -> SceneDepths:
    """How far the code has things from the cameras, by the surer half of some patches."""
    some = torch.randint(len(buffer), (_SAMPLED,), generator=generator)
    some = some.to(buffer.features.device)
    read = regressor(buffer.features[some].to(device).float(), code.tensors(device))
    sure = (read.sigma <= read.sigma.median()).cpu()
    pose = buffer.cam_from_world[buffer.view[some].cpu()]
    z = torch.einsum('pj,pj->p', pose[:, 2, :3], read.points3d.cpu()) + pose[:, 2, 3]
    near, median, far = torch.quantile(z[sure].clamp_min(1e-3), torch.tensor([0.03, 0.5, 0.97]))
    return SceneDepths(float(near), float(median), float(far))
