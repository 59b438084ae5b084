"""The buffers of one scene as a file: what mapping and query iterations need, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from aceg_ros.errors import DatasetError
from aceg_ros.files import write_atomically
from aceg_ros.regressor.anchored import AnchoredTensors

FORMAT = '1'
_CODE = ('embeddings', 'anchors', 'log_sigma', 'log_prior')


@dataclass(frozen=True)
class ViewBuffer:
    """N patches of V views, those of a view next to each other, there in random order.

    Lengths are in the scene's unit, directions in its axes.
    """

    features: torch.Tensor  # (N, D) float16
    starts: torch.Tensor  # (V + 1,) long: patches of view v are rows starts[v] to starts[v + 1]
    points3d: torch.Tensor  # (N, 3), nan where the point is not known
    rays: torch.Tensor  # (N, 3) unit
    centers: torch.Tensor  # (V, 3) camera centers
    focal: torch.Tensor  # (V,) px

    def __len__(self) -> int:
        return len(self.focal)


@dataclass(frozen=True)
class SceneBuffer:
    """All that pre-training sees of a scene.

    Views of ``mapping`` come in pairs, keyframe k as it was taken at 2 k, its changed copy at
    2 k + 1; ``hidden`` (2 K, K) says whose tokens each may not read.
    """

    name: str
    kinds: tuple[str, ...]  # of the query views
    depth: float  # median depth of the scene
    swept: AnchoredTensors  # as triangulated
    fitted: AnchoredTensors  # after a short fit
    owner: torch.Tensor  # (n,) long, the keyframe of each token
    origins: torch.Tensor  # (n, 3) its camera center
    hidden: torch.Tensor  # (2 K, K) bool
    mapping: ViewBuffer
    query: ViewBuffer

    def start(self, code: str) -> AnchoredTensors:
        """The code ``'swept'`` or ``'fitted'``, in full precision."""
        return AnchoredTensors(*(part.float() for part in vars(getattr(self, code)).values()))


def write_scene(buffer: SceneBuffer, path: Path) -> None:
    """Write a scene's buffers as safetensors, whole or not at all."""
    tensors = {name: getattr(buffer, name) for name in ('owner', 'origins', 'hidden')}
    for part in ('swept', 'fitted', 'mapping', 'query'):
        for name, tensor in vars(getattr(buffer, part)).items():
            half = name in ('features', 'embeddings')
            tensors[f'{part}.{name}'] = tensor.half() if half else tensor
    metadata = {
        'format': FORMAT,
        'name': buffer.name,
        'kinds': json.dumps(buffer.kinds),
        'depth': repr(buffer.depth),
    }
    # The points of a code are the same before and after its fit.
    apart = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    write_atomically(path, save(apart, metadata))


def read_scene(path: Path) -> SceneBuffer:
    """Read a file of `write_scene`; raises DatasetError for any other."""
    try:
        with safe_open(path, 'pt') as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get('format') != FORMAT:
            raise ValueError(f'format {metadata.get("format")}, not {FORMAT}')
        swept, fitted = (
            AnchoredTensors(*(tensors[f'{start}.{name}'] for name in _CODE))
            for start in ('swept', 'fitted')
        )
        mapping, query = (
            ViewBuffer(*(tensors[f'{part}.{field.name}'] for field in fields(ViewBuffer)))
            for part in ('mapping', 'query')
        )
        return SceneBuffer(
            name=metadata['name'],
            kinds=tuple(json.loads(metadata['kinds'])),
            depth=float(metadata['depth']),
            swept=swept,
            fitted=fitted,
            owner=tensors['owner'],
            origins=tensors['origins'],
            hidden=tensors['hidden'],
            mapping=mapping,
            query=query,
        )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _no_scene(path, error) from error


def scene_files(folder: Path) -> list[Path]:
    """The scenes' files of a folder, by name; raises DatasetError when there is none."""
    found = sorted(folder.glob('*.safetensors'))
    if not found:
        raise DatasetError(f'{folder} has no scene buffers; make some with "aceg pretrain --make"')
    return found


def feature_length(files: Sequence[Path]) -> int:
    """How many numbers the features of all these scenes have; raises DatasetError where it differs.

    Features of another length are of another encoder.
    """
    lengths: dict[int, Path] = {}
    for path in files:
        try:
            with safe_open(path, 'pt') as file:
                length = file.get_slice('query.features').get_shape()[1]
        except (OSError, SafetensorError, IndexError) as error:
            raise _no_scene(path, error) from error
        lengths.setdefault(length, path)
    if len(lengths) != 1:
        found = ', '.join(f'{path} has {length}' for length, path in lengths.items())
        raise DatasetError(
            f'scenes need features of one encoder, of one length, but {found or "there are none"}; '
            'have them made again in a folder of their own'
        )
    return next(iter(lengths))


def _no_scene(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f'{path} holds no scene buffers ({error}); remove it and have it made again'
    )
