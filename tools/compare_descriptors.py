"""Compares descriptors of whole images: how often the likeliest room is the right one.

Give folders of `aceg building-benchmark`, with its `--views` and `--queries`. The rooms of all
folders are ranked together. Centers of VLAD are learned on the queries of the last folder, so that
the comparison is in its favor.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from aceg_ros.datasets import open_dataset
from aceg_ros.encoder.base import image_tensor
from aceg_ros.encoder.descriptor import SIZE, global_descriptor
from aceg_ros.engine import Engine, Networks

_PATCHES = 1000
_CENTERS, _SHARPNESS, _ROUNDS = 64, 30.0, 15

Describe = Callable[[torch.Tensor], torch.Tensor]


def mean(features: torch.Tensor) -> torch.Tensor:
    """The mean feature (D,)."""
    return F.normalize(features.mean(dim=0), dim=0)


def vlad(centers: torch.Tensor) -> Describe:
    """Residuals to centers (C, D), softly assigned, made as short as the product's descriptor."""
    generator = torch.Generator().manual_seed(0)
    shorten = torch.randn(centers.numel(), SIZE, generator=generator)

    def describe(features: torch.Tensor) -> torch.Tensor:
        near = (_SHARPNESS * features @ centers.T).softmax(dim=1)
        residuals = near.T @ features - near.sum(dim=0)[:, None] * centers
        flat = F.normalize(residuals, dim=1).flatten()
        return F.normalize((flat.sign() * flat.abs().sqrt()) @ shorten, dim=0)

    return describe


def learned_centers(features: torch.Tensor) -> torch.Tensor:
    """Spherical k-means of features (N, D)."""
    generator = torch.Generator().manual_seed(0)
    centers = features[torch.randperm(len(features), generator=generator)[:_CENTERS]]
    for _ in range(_ROUNDS):
        nearest = (features @ centers.T).argmax(dim=1)
        centers = F.normalize(torch.zeros_like(centers).index_add_(0, nearest, features), dim=1)
    return centers


def patches(folder: Path, encoder: str) -> list[torch.Tensor]:
    """Unit features (P, D) of the most reliable patches of each image of a recording."""
    network = Engine.load('cpu', Networks(encoder)).encoder
    found = []
    for frame in open_dataset(folder).frames:
        with torch.inference_mode():
            encoded = network.encode(image_tensor(network.view(frame.image(), frame.camera)[0]))
        best = encoded.reliability[0].flatten().topk(_PATCHES).indices
        found.append(F.normalize(encoded.features[0].flatten(1).T[best], dim=1).half())
    return found


def among_first(
    mapping: torch.Tensor, queries: torch.Tensor, views: int, asked: int, counts: tuple[int, ...]
) -> list[float]:
    """Share of queries (Q, G) whose room, of so many views each, is among the first so many."""
    similarity = (queries @ mapping.T).unflatten(1, (-1, views)).amax(dim=2)
    right = torch.arange(len(queries)) // asked
    rank = (similarity > similarity.gather(1, right[:, None])).sum(dim=1)
    return [float((rank < count).float().mean()) for count in counts]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('folders', type=Path, nargs='+')
    parser.add_argument('--views', type=int, default=50, help='mapping views of a room')
    parser.add_argument('--queries', type=int, default=6, help='queries of a room')
    parser.add_argument('--encoder', default='wide')
    arguments = parser.parse_args()
    mapping, queries = (
        [patches(folder / part, arguments.encoder) for folder in arguments.folders]
        for part in ('mapping', 'queries')
    )
    centers = learned_centers(torch.cat(queries[-1])[::7].float())
    methods: dict[str, Describe] = {
        'mean feature': mean,
        f'VLAD, {_CENTERS} centers': vlad(centers),
        'correlation of features': global_descriptor,
    }
    print('| descriptor | numbers | right room first | among 2 | among 3 |\n|' + ' --- |' * 5)
    for name, describe in methods.items():
        ours, theirs = (
            torch.stack([describe(each.float()) for folder in part for each in folder])
            for part in (mapping, queries)
        )
        shares = among_first(ours, theirs, arguments.views, arguments.queries, (1, 2, 3))
        cells = [name, str(ours.shape[1]), *(f'{share:.1%}' for share in shares)]
        print(f'| {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
