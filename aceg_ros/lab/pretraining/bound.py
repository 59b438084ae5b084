"""What a regressor could reach that always chooses the right one of a patch's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.evaluation.metrics import Evaluation, evaluate
from aceg_ros.geometry.cameras import Camera
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor, AnchoredTensors
from aceg_ros.regressor.base import SceneCoordinates
from aceg_ros.regressor.blocks import Surroundings


class PerfectChoice(AnchoredRegressor):
    """Knows the true pose, and reads of a patch's most similar tokens the one nearest to its ray.

    A patch none of whose tokens is near its ray has an infinite sigma, so that it makes no match.
    """

    def __init__(self, config: AnchoredConfig):
        super().__init__(config)
        self._rays = self._center = torch.zeros(0, 3)
        self._reach = 0.0

    def told(self, rays: torch.Tensor, center: torch.Tensor, reach: float) -> None:
        """What is true of the next image: unit rays (P, 3) and camera center (3,) in the map.

        Tokens are near a ray up to ``reach``, rad.
        """
        self._rays, self._center, self._reach = rays, center, reach

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
        towards = offsets / offsets.norm(dim=2, keepdim=True).clamp_min(1e-6)
        off = (towards - self._rays[:, None]).norm(dim=2)
        off = off.masked_fill(torch.isinf(given.logits), torch.inf)
        least, chosen = off.min(dim=1)
        rows = torch.arange(len(chosen))
        sigma = given.log_sigma[rows, chosen].exp().masked_fill(least > self._reach, torch.inf)
        return SceneCoordinates(given.anchors[rows, chosen], sigma, given.similarity)


def best_evaluation(
    localizer: Localizer, choice: PerfectChoice, frames: Sequence[Frame], reach_px: float
) -> Evaluation:
    """What ``localizer``, whose regressor is ``choice``, finds when that knows the true poses.

    All ``frames`` need one. Tokens are near a ray up to ``reach_px``.
    """
    found = [evaluate(_Told(localizer, choice, frame, reach_px), [frame]) for frame in frames]
    return reduce(Evaluation.joined, found)


class _Told:
    """Localizes one frame, and tells the regressor the truth before."""

    def __init__(self, localizer: Localizer, choice: PerfectChoice, frame: Frame, reach_px: float):
        self._localizer, self._choice, self._reach_px = localizer, choice, reach_px
        self._pose = np.array(frame.world_from_cam)

    def localize(self, image: np.ndarray, camera: Camera) -> Localization | LocalizationFailure:
        """See `Localizes`."""
        encoded = self._localizer.encode(image, camera)
        patches = encoded.patches
        center = self._pose[:3, 3] - np.array(self._localizer.code.info.origin)
        rays = patches.rays @ self._pose[:3, :3].T
        self._choice.told(
            torch.from_numpy(rays).to(patches.features),
            torch.from_numpy(center).to(patches.features),
            self._reach_px / patches.focal,
        )
        return self._localizer.localize_encoded(encoded)
