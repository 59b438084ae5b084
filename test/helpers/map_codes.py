"""Map codes made of random numbers, and ways to harm their files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from aceg_ros.encoder.base import Encoder
from aceg_ros.engine import Engine
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, shifted, so3_exp
from aceg_ros.landmarks.landmarks import SIDE, Landmarks
from aceg_ros.maps.code import (
    AnchoredCode,
    FreeCode,
    MapInfo,
    MapQuality,
    Rating,
    Session,
    ThinPlace,
)
from aceg_ros.regressor.anchored import AnchoredRegressor


def map_code(
    tokens: int = 200, keyframes: int = 7, landmarks: int = 50, seed: int = 0
) -> AnchoredCode:
    """A well-formed code that maps nothing."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(tokens, 64)).astype(np.float32)
    quality = MapQuality(Rating.GOOD, thin=(ThinPlace('ü', (1.0, 2.0, 3.0)),))
    poses = [make_pose(so3_exp(rng.normal(size=3)), rng.normal(size=3)) for _ in range(keyframes)]
    return AnchoredCode(
        embeddings=embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True),
        anchors=rng.normal(size=(tokens, 3)).astype(np.float32),
        log_sigma=rng.normal(-3, 1, tokens).astype(np.float32),
        log_prior=rng.normal(0, 1, tokens).astype(np.float32),
        colors=rng.integers(0, 256, (tokens, 3), np.uint8),
        keyframes=np.stack(poses),
        recorded=shifted(np.stack(poses), rng.normal(0, 0.01, 3)),
        token_sessions=np.ones(tokens, np.uint32),
        keyframe_sessions=np.zeros(keyframes, np.uint8),
        keyframe_stamps=100.0 + 0.5 * np.arange(keyframes),
        descriptors=rng.normal(size=(keyframes, 12)).astype(np.float16).astype(np.float32),
        info=MapInfo(
            encoder='encoder-1',
            regressor=AnchoredRegressor().codes(),
            metric=True,
            cameras=(Camera.pinhole(320, 240, 262.0, 263.0, 158.5, 121.0),),
            frame_id='kitchen',
            created='2026-01-02T03:04:05+00:00',
            quality=quality,
            sessions=(Session('first visit', '2026-01-02T03:04:05+00:00', (0,), quality),),
        ),
        landmarks=Landmarks(
            points3d=rng.normal(size=(landmarks, 3)).astype(np.float32),
            templates=rng.integers(0, 256, (landmarks, SIDE, SIDE), np.uint8),
            keyframe=rng.integers(0, keyframes, landmarks, np.uint16),
            angle=rng.uniform(1e-3, 1e-2, landmarks).astype(np.float32),
        ),
    )


def free_code(tokens: int = 60, dim: int = 32, keyframes: int = 3, seed: int = 0) -> FreeCode:
    """A well-formed free code that maps nothing."""
    rng = np.random.default_rng(seed)
    anchored = map_code(keyframes=max(keyframes, 1), seed=seed)
    return FreeCode(
        rng.normal(0, 0.1, (tokens, dim)).astype(np.float32),
        rng.normal(size=3).astype(np.float32),
        anchored.keyframes[:keyframes],
        anchored.info,
    )


def engine_of(encoder: str) -> Engine:
    """As much of an engine as the check of networks looks at."""
    return Engine(cast(Encoder, SimpleNamespace(identity=encoder)), AnchoredRegressor())


def damaged(
    path: Path,
    tensors: Callable[[dict[str, np.ndarray]], object] = lambda _: None,
    metadata: Callable[[dict[str, str]], object] = lambda _: None,
) -> None:
    """Change a map file's parts in place; its checksum stays that of the original."""
    _rewrite(path, tensors, metadata, seal=False)


def resealed(
    path: Path,
    tensors: Callable[[dict[str, np.ndarray]], object] = lambda _: None,
    metadata: Callable[[dict[str, str]], object] = lambda _: None,
) -> None:
    """Change a map file's parts and give it the checksum that fits, as another program might."""
    _rewrite(path, tensors, metadata, seal=True)


def _rewrite(path: Path, tensors: Any, metadata: Any, seal: bool) -> None:
    with safe_open(path, framework='numpy') as file:
        texts = dict(file.metadata())
        parts = {name: file.get_tensor(name).copy() for name in file.keys()}  # noqa: SIM118
    tensors(parts)
    metadata(texts)
    if seal:
        digest = hashlib.sha256(texts['map'].encode())
        for name in sorted(parts):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(parts[name]).tobytes())
        texts['sha256'] = digest.hexdigest()
    path.write_bytes(save(parts, texts))
