"""What a regressor could reach that always chooses the right one of a patch's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.evaluation.metrics import Evaluation, evaluate
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.pretraining.buffers import depth_at
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor, AnchoredTensors
from aceg_ros.regressor.base import SceneCoordinates
from aceg_ros.regressor.blocks import Surroundings


class PerfectChoice(AnchoredRegressor):
    """Knows the truth, and reads of a patch's most similar tokens the one nearest to its point.

    Where the point is not known, the one nearest to the ray. A patch without a token near either
    has an infinite sigma, so that it makes no match.
    """

    def __init__(self, config: AnchoredConfig):
        super().__init__(config)
        self._rays = self._center = torch.zeros(0, 3)
        self._distance = torch.zeros(0)
        self._reach = 0.0

    def told(
        self, rays: torch.Tensor, distance: torch.Tensor, center: torch.Tensor, reach: float
    ) -> None:
        """What is true of the next image: unit rays (P, 3) and camera center (3,) in the map.

        ``distance`` (P,) is that of the points, nan where it is unknown. Tokens are near up to
        ``reach``, a part of their distance.
        """
        self._rays, self._distance = rays, distance
        self._center, self._reach = center, reach

    def forward(
        self,
        features: torch.Tensor,
        code: AnchoredTensors,
        around: Surroundings | None = None,
        tokens: torch.Tensor | None = None,
    ) -> SceneCoordinates:
        """See `AnchoredRegressor.forward`."""
        given = self.candidates(features, code, tokens)
        offsets = given.anchors - self._center
        length = offsets.norm(dim=2).clamp_min(1e-6)
        # Where a point is unknown it may be anywhere on the ray.
        distance = self._distance[:, None].where(self._distance[:, None].isfinite(), length)
        off = (offsets - distance[:, :, None] * self._rays[:, None]).norm(dim=2) / length
        off = off.masked_fill(torch.isinf(given.logits), torch.inf)
        least, chosen = off.min(dim=1)
        rows = torch.arange(len(chosen))
        sigma = given.log_sigma[rows, chosen].exp().masked_fill(least > self._reach, torch.inf)
        return SceneCoordinates(given.anchors[rows, chosen], sigma, given.similarity)


def best_evaluation(
    localizer: Localizer, choice: PerfectChoice, frames: Sequence[Frame], reach_px: float
) -> Evaluation:
    """What ``localizer``, whose regressor is ``choice``, finds when that knows the true poses.

    All ``frames`` need one. ``reach_px`` is how far off a token may be, as the camera sees it.
    """
    found = [evaluate(_Told(localizer, choice, frame, reach_px), [frame]) for frame in frames]
    return reduce(Evaluation.joined, found)


class _Told:
    """Localizes one frame, and tells the regressor the truth before."""

    def __init__(self, localizer: Localizer, choice: PerfectChoice, frame: Frame, reach_px: float):
        self._localizer, self._choice, self._reach_px = localizer, choice, reach_px
        self._frame, self._pose = frame, np.array(frame.world_from_cam)

    def localize(self, image: np.ndarray, camera: Camera) -> Localization | LocalizationFailure:
        """See `Localizes`."""
        encoded = self._localizer.encode(image, camera)
        patches = encoded.patches
        center = self._pose[:3, 3] - np.array(self._localizer.code.info.origin)
        rays = patches.rays @ self._pose[:3, :3].T
        distance = depth_at(self._frame, patches.camera, patches.rays) / patches.rays[:, 2]

        def as_features(part: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(part).to(patches.features)

        reach = self._reach_px / patches.focal
        self._choice.told(as_features(rays), as_features(distance), as_features(center), reach)
        return self._localizer.localize_encoded(encoded)
