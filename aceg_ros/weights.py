"""Weights of networks: what names them, and files of other programs that hold them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from aceg_ros.errors import AcegError, WeightsError

_HASH_LENGTH = 16


def identity_of(config: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> str:
    """Hash of a network's configuration and weights: another one wherever answers may differ."""
    digest = hashlib.sha256(json.dumps(dict(config), sort_keys=True).encode())
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:_HASH_LENGTH]


def read_foreign(path: Path, what: str, wrong: type[AcegError] = WeightsError) -> dict[str, Any]:
    """The dict in a `torch.save`d file, whose code, if it has any, is not run.

    Raises an error of the type ``wrong`` when there is no such file or it holds something else,
    also when a small file claims to hold much.
    """
    if not path.is_file():
        raise wrong(f'there is no {what} at {path}; give the path of the file downloaded')
    try:
        _check_packing(path)
        content = torch.load(path, map_location='cpu', weights_only=True)
        _check_sizes(content)
    except Exception as error:  # whatever PyTorch's parsers meet in a damaged file
        lines = str(error).splitlines() or [type(error).__name__]
        raise wrong(
            f'{path} is no {what}, or only part of one ({lines[0]}); download it again'
        ) from error
    if not isinstance(content, dict):
        raise wrong(f'{path} is no {what}: it holds a {type(content).__name__}')
    return content


def _check_packing(path: Path) -> None:
    """Raise ValueError for a compressed archive: PyTorch writes none, and it may unpack to more."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError('it is compressed, as PyTorch does not')


def _check_sizes(content: object) -> None:
    """Raise ValueError for a tensor with more numbers than the file holds for it."""
    if isinstance(content, torch.Tensor):
        if content.numel() * content.element_size() > content.untyped_storage().nbytes():
            raise ValueError(f'a tensor claims to hold {content.numel()} numbers')
    elif isinstance(content, Mapping):
        for value in content.values():
            _check_sizes(value)
    elif isinstance(content, list | tuple):
        for value in content:
            _check_sizes(value)
