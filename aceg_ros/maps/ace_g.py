"""Maps of the published ACE-G tool: a `torch.save`d dict of vectors and the scene's mean."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch

from aceg_ros.errors import MapCodeError
from aceg_ros.files import write_atomically
from aceg_ros.maps.code import FREE, FreeCode, MapCode, MapInfo, MapQuality, origin_near
from aceg_ros.weights import read_foreign

_EMBEDDINGS, _MEAN = 'map_embeddings', 'mean'
_MAX_ROUNDING = 1e-3  # map units that a mean in float32 may be off by
_ANGULAR_ERROR = 0.002  # rad; what a map that nobody could judge is taken to be off by


def read_published_map(path: Path, encoder: str, regressor: str, frame_id: str = 'map') -> FreeCode:
    """A published map as a free code, bit for bit, for the networks with these identities.

    Raises MapCodeError when the file is missing, damaged or something else.
    """
    content = read_foreign(path, 'published map', MapCodeError)
    if set(content) != {_EMBEDDINGS, _MEAN}:
        held = ', '.join(sorted(map(str, content))[:5]) or 'nothing'
        raise MapCodeError(
            f'{path} is no published map: it holds {held}, not {_EMBEDDINGS} and {_MEAN}'
        )
    embeddings, mean = (_array(path, name, content[name]) for name in (_EMBEDDINGS, _MEAN))
    if embeddings.ndim != 2 or not embeddings.size or mean.shape != (3,):
        raise MapCodeError(
            f'{path} is no published map: {_EMBEDDINGS} {embeddings.shape} should be (n, d), '
            f'{_MEAN} {mean.shape} (3,)'
        )
    origin = origin_near(mean)
    info = MapInfo(
        encoder=encoder,
        regressor=regressor,
        metric=True,
        cameras=(),
        frame_id=frame_id,
        created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        quality=MapQuality(advice='imported: evaluate it on images with poses'),
        angular_error=_ANGULAR_ERROR,
        origin=origin,
    )
    local_mean = (mean.astype(np.float64) - origin).astype(np.float32)
    return FreeCode(embeddings, local_mean, np.zeros((0, 4, 4)), info)


def _array(path: Path, name: str, value: object) -> np.ndarray:
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
        raise MapCodeError(f'{path}: {name} is not of 32-bit floating point numbers')
    if not torch.isfinite(value).all():
        raise MapCodeError(f'{path}: {name} holds values that are no numbers; make the map again')
    return value.detach().contiguous().numpy()


def write_published_map(path: Path, code: MapCode) -> None:
    """Write a free code as the published tool reads it, bit for bit; raises MapCodeError."""
    if code.kind != FREE:
        raise MapCodeError(
            'the map has anchors, which the published tool does not know; only maps of the '
            'published regressor can be exported ("aceg map --regressor", "aceg import-map")'
        )
    mean = code.mean.astype(np.float64) + code.info.origin
    if np.abs(mean.astype(np.float32) - mean).max() > _MAX_ROUNDING:
        raise MapCodeError(
            f'the map lies at {mean.round().tolist()}, too far from the origin for the published '
            'tool, which holds places in 32 bits: subtract an offset from the poses and map again'
        )
    data = io.BytesIO()
    torch.save(
        {
            _EMBEDDINGS: torch.from_numpy(code.embeddings.astype(np.float32)),
            _MEAN: torch.from_numpy(mean.astype(np.float32)),
        },
        data,
    )
    try:
        write_atomically(path, data.getvalue())
    except OSError as error:
        raise MapCodeError(f'{path} cannot be written: {error.strerror or error}') from error
