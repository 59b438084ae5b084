"""Regressors on disk: the published head file, and the safetensors file made of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from aceg_ros.errors import WeightsError
from aceg_ros.files import write_atomically
from aceg_ros.regressor.ace_g import AceGConfig, AceGRegressor, ours
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor
from aceg_ros.weights import read_foreign

AnyRegressor: TypeAlias = AnchoredRegressor | AceGRegressor

SUFFIX = '.safetensors'
FORMAT = 'aceg-regressor'
_REMEDY = 'take the file from where it came, or make one ("aceg import-regressor", "aceg pretrain")'
# What the published head file has beside the parameters: the other two are their reciprocals, and
# a map brings a mean of its own.
_UNUSED = {'max_scale', 'min_scale', 'mean'}
_STATE = '_extra_state'
_KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    AnchoredRegressor.kind: (AnchoredRegressor, AnchoredConfig),
    AceGRegressor.kind: (AceGRegressor, AceGConfig),
}


def read_published_head(path: Path) -> AceGRegressor:
    """The regressor in a published head file; raises WeightsError when it is no such file."""
    content = read_foreign(path, 'published head')
    state = content.pop(_STATE, None)
    values = state.get('_head_config_dict') if isinstance(state, dict) else None
    if not isinstance(values, dict):
        raise WeightsError(f'{path} is no published head: it does not describe its configuration')
    try:
        network = AceGRegressor(_config(values))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f'the network that {path} describes is none that is known here ({error})'
        ) from error
    tensors = {ours(str(name)): value for name, value in content.items() if name not in _UNUSED}
    _fill(network, tensors, path)
    return network


def _config(values: Mapping[str, Any]) -> AceGConfig:
    """The configuration in a published head; KeyError, TypeError or ValueError for another kind."""
    for name in ('use_homogeneous', 'use_uncertainty'):
        if not values[name]:
            raise ValueError(f'{name} is off')
    width = values.get('dim_map_emb')
    if width not in (None, values['dim_emb']):
        raise ValueError(f'its codes are of another width, {width}')
    return AceGConfig(
        dim_in=int(values['dim_in']),
        dim=int(values['dim_emb']),
        blocks=int(values['num_blocks']),
        heads=int(values['num_attention_heads']),
        mlp_ratio=float(values['mlp_ratio']),
        out_layers=int(values['final_mlp_layers']),
        out_ratio=float(values['final_mlp_ratio']),
        out_norm=bool(values.get('use_final_layer_norm', True)),
    )


def _fill(network: AnyRegressor, tensors: Mapping[str, Any], path: Path) -> None:
    """Load parameters; raises WeightsError when they do not fit."""
    try:
        for name, tensor in tensors.items():
            if not isinstance(tensor, torch.Tensor) or not torch.isfinite(tensor).all():
                raise ValueError(f'{name} holds something that is no number')
        network.load_state_dict(dict(tensors))
    except (RuntimeError, ValueError, TypeError) as error:
        raise WeightsError(
            f'the weights in {path} do not fit the network it describes: {error}'
        ) from error
    network.requires_grad_(False)
    network.eval()


def published_metadata(source: Path) -> dict[str, str]:
    """What a file of weights says about the published head file they are from."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    return {'source': source.name, 'source_sha256': digest}


def save_regressor(
    network: AnyRegressor, path: Path, about: Mapping[str, str] | None = None
) -> None:
    """Write a regressor with its configuration and identity, and what else there is to say of it.

    Atomic; raises WeightsError when it cannot be written.
    """
    tensors = {n: t.detach().contiguous().cpu() for n, t in network.state_dict().items()}
    metadata = {
        'format': FORMAT,
        'version': '1',
        'kind': network.kind,
        'config': json.dumps(asdict(network.config), sort_keys=True),
        'identity': network.identity(),
        'codes': network.codes(),
        **network.notice,
        **(about or {}),
    }
    try:
        write_atomically(path, save(tensors, metadata))
    except OSError as error:
        raise WeightsError(
            f'the regressor could not be written to {path} ({error.strerror or error})'
        ) from error


def load_regressor(path: Path) -> AnyRegressor:
    """Read what `save_regressor` wrote, weights frozen; raises WeightsError for anything else."""
    if not path.is_file():
        raise WeightsError(f'there is no regressor at {path}; {_REMEDY}')
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            if metadata.get('format') != FORMAT:
                raise WeightsError(f'{path} is no regressor; {_REMEDY}')
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network = _network(metadata['kind'], json.loads(metadata['config']))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f'{path} is no regressor, or only part of one ({error}); {_REMEDY}'
        ) from error
    _fill(network, tensors, path)
    if network.identity() != metadata.get('identity'):
        raise WeightsError(f'{path} was changed after it was written; {_REMEDY}')
    return network


def _network(kind: str, config: dict[str, Any]) -> AnyRegressor:
    """A network without weights; KeyError, TypeError or ValueError for one that cannot be."""
    if kind not in _KINDS:
        raise ValueError(f'kind {kind!r}')
    network, shape = _KINDS[kind]
    return network(shape(**config))


def described(path: Path) -> dict[str, str]:
    """What a regressor's file says of it, without reading the weights; empty for any other file."""
    try:
        with safe_open(path, framework='pt') as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError):
        return {}
    return metadata if metadata.get('format') == FORMAT else {}
