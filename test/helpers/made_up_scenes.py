"""Made-up scenes: points with a feature of their own, seen by cameras in a row."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from aceg_ros.lab.pretraining.config import PretrainOptions, ReaderOptions, ScheduleOptions
from aceg_ros.lab.pretraining.shards import SceneBuffer, ViewBuffer
from aceg_ros.regressor.anchored import AnchoredTensors

POINTS, VIEWS, DEPTH = 120, 5, 3.0
FEATURES = 96  # numbers, as of the default encoder
READER = ReaderOptions(blocks=1, dim=16, tokens_read=8)


def make_scene(seed: int, known: bool = True, length: int = FEATURES) -> SceneBuffer:
    """Mapping views with a little noise, their copies with more, query views with most."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    points = random(POINTS, 3) * 0.7 + torch.tensor([0.0, 0.0, DEPTH])
    features = F.normalize(random(POINTS, length), dim=1)
    centers = torch.stack([torch.tensor([0.3 * view - 0.6, 0.0, 0.0]) for view in range(VIEWS)])

    def views(noises: list[float], places: torch.Tensor) -> ViewBuffer:
        seen = [F.normalize(features + noise * random(POINTS, length), dim=1) for noise in noises]
        rays = [F.normalize(points - place, dim=1) for place in places]
        truth = points if known else torch.full_like(points, math.nan)
        return ViewBuffer(
            torch.cat(seen).half(),
            POINTS * torch.arange(len(noises) + 1),
            truth.repeat(len(noises), 1),
            torch.cat(rays),
            places,
            torch.full((len(noises),), 300.0),
        )

    mapping = views([0.02, 0.06] * VIEWS, centers.repeat_interleave(2, dim=0))
    query = views([0.08] * 3, centers[:3] + torch.tensor([0.0, 0.4, 0.2]))
    owner = torch.arange(2 * POINTS) % VIEWS
    code = AnchoredTensors(
        F.normalize(features.repeat(2, 1) + 0.02 * random(2 * POINTS, length), dim=1),
        points.repeat(2, 1) + 0.05 * random(2 * POINTS, 3),
        torch.full((2 * POINTS,), math.log(0.3)),
        torch.zeros(2 * POINTS),
    )
    hidden = torch.eye(VIEWS, dtype=torch.bool).repeat_interleave(2, dim=0)
    kinds = ('light', 'near', 'far')
    swept = AnchoredTensors(*(part.clone() for part in vars(code).values()))
    return SceneBuffer(
        f'scene-{seed}', kinds, DEPTH, swept, code, owner, centers[owner], hidden, mapping, query
    )


def make_options(**changes) -> PretrainOptions:
    """A training that takes a second."""
    small = {
        'iterations': 16,
        'network_every': 2,
        'slots': 2,
        'pool': 4,
        'life': 3,
        'patches': 40,
        'checkpoint_seconds': 1e9,
        'learning_rate': 3e-3,
    }
    return PretrainOptions(reader=READER, schedule=ScheduleOptions(**{**small, **changes}))
