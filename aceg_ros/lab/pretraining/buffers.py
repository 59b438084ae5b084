"""Making the buffers of scenes, in parallel processes, each scene once."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder, image_tensor
from aceg_ros.engine import Engine
from aceg_ros.errors import AcegError, FitError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.pretraining.scenes import Scene, SceneSource
from aceg_ros.lab.pretraining.shards import SceneBuffer, ViewBuffer, write_scene
from aceg_ros.mapping.anchored import start_code
from aceg_ros.mapping.buffer import fill_buffer
from aceg_ros.mapping.fit import fit_code
from aceg_ros.mapping.keyframes import (
    encode_changed_copies,
    encode_keyframes,
    patches_of,
)
from aceg_ros.mapping.options import FitOptions, MappingOptions
from aceg_ros.monitor import Monitor
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor

_EDGE = 0.05  # depths around a patch's center that differ by more are no depth


@dataclass(frozen=True)
class BufferOptions:
    """How much is kept of a scene."""

    tokens: int = 3000  # of its code
    mapping_patches: int = 32_000  # in all, a fifth of them from changed copies
    query_patches: int = 1000  # per query view, the most reliable
    fit_epochs: int = 8  # passes of the short fit with the anchored reader
    seed: int = 0


def make_buffers(
    sources: Sequence[SceneSource],
    folder: Path,
    options: BufferOptions,
    processes: int,
    report: Callable[[str], None],
) -> list[str]:
    """Write ``<name>.safetensors`` of every scene that has none yet; returns what went wrong.

    Scenes that cannot be mapped are left out, as 'name: reason'.
    """
    wanted = [(source, index) for source in sources for index in range(len(source))]
    missing = [
        (source, index)
        for source, index in wanted
        if not (folder / f'{source.name(index)}.safetensors').exists()
    ]
    report(f'{len(wanted)} scenes, {len(wanted) - len(missing)} of them there already')
    failed: list[str] = []
    make = partial(_make_one, folder, options)
    context = multiprocessing.get_context('spawn')
    with context.Pool(processes, initializer=_one_thread, maxtasksperchild=8) as pool:
        for done, (name, problem) in enumerate(pool.imap_unordered(make, missing), 1):
            if problem:
                failed.append(f'{name}: {problem}')
            report(f'{done} of {len(missing)}: {name} {problem or "made"}')
    return failed


def _one_thread() -> None:
    torch.set_num_threads(1)


def _make_one(
    folder: Path, options: BufferOptions, which: tuple[SceneSource, int]
) -> tuple[str, str]:
    """Name, and why there is no such scene."""
    source, index = which
    name = source.name(index)
    try:
        engine = Engine.load('cpu')
        buffer = scene_buffer(source.scene(index), engine.encoder, options)
        write_scene(buffer, folder / f'{name}.safetensors')
    except (AcegError, ValueError) as error:
        return name, str(error)
    return name, ''


def scene_buffer(scene: Scene, encoder: Encoder, options: BufferOptions) -> SceneBuffer:
    """Encode a scene, and start its code as a real map's is; raises FitError as mapping does."""
    rng, monitor = np.random.default_rng(options.seed), Monitor()
    generator = torch.Generator().manual_seed(options.seed)
    per_image = options.mapping_patches // max(len(scene.mapping), 1)
    keyframes, _ = encode_keyframes(scene.mapping, encoder, False, monitor)
    keyframes = encode_changed_copies(keyframes, encoder, per_image, rng, monitor)
    fit = FitOptions(epochs=options.fit_epochs, buffer_patches=options.mapping_patches)
    mapping_options = MappingOptions(tokens=options.tokens, seed=options.seed, fit=fit)
    started = start_code(keyframes, mapping_options, generator, monitor)
    start = started.fit
    buffer = fill_buffer(keyframes, options.mapping_patches, fit.augmented)
    fitted, _ = fit_code(
        start,
        buffer,
        AnchoredRegressor(AnchoredConfig(dim_in=encoder.dim)),
        fit,
        options.seed,
        math.inf,
        monitor,
    )
    counts = buffer.group.bincount(minlength=2 * len(keyframes)).tolist()
    parts = zip(buffer.features.split(counts), buffer.frames[:, 2].split(counts), strict=True)
    mapping = []
    for group, (features, rays) in enumerate(parts):
        taken = keyframes[group // 2]
        mapping.append(
            _view(taken.frame, taken.camera, taken.world_from_cam, features, rays, generator)
        )
    query = [_query_view(frame, encoder, options.query_patches, generator) for frame in scene.query]
    if not query:
        raise FitError('no query view')
    centers = torch.from_numpy(np.stack([keyframe.center for keyframe in keyframes])).float()
    return SceneBuffer(
        name=scene.name,
        kinds=tuple(scene.kinds),
        depth=started.depths.median,
        swept=start.code,
        fitted=fitted,
        owner=start.owner,
        origins=centers[start.owner],
        hidden=start.hidden,
        mapping=_joined(mapping),
        query=_joined(query),
    )


_View = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, float]


def _query_view(frame: Frame, encoder: Encoder, count: int, generator: torch.Generator) -> _View:
    image, camera = encoder.view(frame.image(), frame.camera)
    encoded = encoder.encode(image_tensor(image, encoder.device))
    patches = patches_of(encoded, camera).best(count)
    pose = frame.pose()
    rays = patches.rays @ torch.from_numpy(pose[:3, :3]).float().T
    return _view(frame, camera, pose, patches.features, rays, generator)


def _view(
    frame: Frame,
    camera: Camera,
    world_from_cam: np.ndarray,
    features: torch.Tensor,
    rays: torch.Tensor,
    generator: torch.Generator,
) -> _View:
    """Patches (P, D) with world rays (P, 3) of one view, shuffled, with their points."""
    order = torch.randperm(len(features), generator=generator)
    features, rays = features[order], rays[order]
    pose = torch.from_numpy(world_from_cam).float()
    local = rays @ pose[:3, :3]
    z = torch.from_numpy(depth_at(frame, camera, local.double().numpy())).float()
    points3d = pose[:3, 3] + rays * (z / local[:, 2])[:, None]
    return features, points3d, rays, pose[:3, 3], camera.focal


def depth_at(frame: Frame, camera: Camera, rays: np.ndarray) -> np.ndarray:
    """Depth (P,) along z where rays (P, 3) meet the scene, nan at edges and where unknown."""
    depth = frame.depth() if frame.depth_camera is None else None
    if depth is None:
        return np.full(len(rays), np.nan)
    scale = frame.camera.width / camera.width
    pixels = np.nan_to_num((camera.project(rays) + 0.5) * scale - 0.5)
    x, y = np.floor(pixels).astype(int).T
    x, y = x.clip(0, depth.shape[1] - 2), y.clip(0, depth.shape[0] - 2)
    around = np.stack([depth[y + i, x + j] for i in (0, 1) for j in (0, 1)])
    low, high = around.min(axis=0), around.max(axis=0)
    known = (low > 0) & (high - low < _EDGE * low)
    return np.where(known, around.mean(axis=0), np.nan)


def _joined(views: Sequence[_View]) -> ViewBuffer:
    features, points3d, rays, centers, focal = zip(*views, strict=True)
    counts = torch.tensor([0] + [len(part) for part in features])
    return ViewBuffer(
        torch.cat(features),
        counts.cumsum(0),
        torch.cat(points3d),
        torch.cat(rays),
        torch.stack(centers),
        torch.tensor(focal),
    )
