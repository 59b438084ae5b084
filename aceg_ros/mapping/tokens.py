"""From candidates to the start of an anchored code."""

from __future__ import annotations

import math

import torch

from aceg_ros.errors import FitError
from aceg_ros.mapping.options import TokenOptions
from aceg_ros.mapping.sweep import Candidates, SceneDepths
from aceg_ros.regressor.anchored import AnchoredTensors

_MIN_TOKENS = 50
_LEAST_WEIGHT = 0.01  # of a candidate


def choose_tokens(
    candidates: Candidates,
    depths: SceneDepths,
    count: int,
    options: TokenOptions,
    generator: torch.Generator,
) -> torch.Tensor:
    """Indices of up to ``count`` candidates: well triangulated ones, spread over the scene.

    The probability of a candidate falls with the square root of the number of candidates in its
    voxel. So places seen by few keyframes get tokens too. Raises FitError when hardly any candidate
    is any good.
    """
    good = (candidates.score > options.min_score) & (candidates.ambiguity < options.max_ambiguity)
    index = good.nonzero()[:, 0]
    if len(index) < _MIN_TOKENS:
        raise FitError(
            f'only {len(index)} points could be triangulated from the keyframes: check poses and '
            'calibration, and record with more texture in view and smaller steps between images'
        )
    voxels = (candidates.points3d[index] / (options.voxel * depths.median)).floor().long()
    _, owner, rivals = voxels.unique(dim=0, return_inverse=True, return_counts=True)
    weight = (candidates.score[index] - 0.2).clamp_min(_LEAST_WEIGHT) / rivals[owner].sqrt()
    return index[torch.multinomial(weight, min(count, len(index)), generator=generator)]


def anchored_code(
    candidates: Candidates, chosen: torch.Tensor, depths: SceneDepths, start_sigma: float
) -> AnchoredTensors:
    """A code of the chosen candidates: their features as embeddings, their points as anchors.

    ``start_sigma`` is a part of the median depth.
    """
    count = len(chosen)
    return AnchoredTensors(
        embeddings=candidates.features[chosen].float(),
        anchors=candidates.points3d[chosen].clone(),
        log_sigma=torch.full((count,), math.log(start_sigma * depths.median)),
        log_prior=torch.zeros(count),
    )
