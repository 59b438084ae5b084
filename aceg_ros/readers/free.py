"""Reads free codes: the published ACE-G's regressor says where all patches of an image are."""

from __future__ import annotations

import numpy as np
import torch

from aceg_ros.engine import Engine
from aceg_ros.maps.code import FreeCode
from aceg_ros.pose.matches import Matches
from aceg_ros.readers.base import ImagePatches, Prediction
from aceg_ros.readers.options import FreeOptions
from aceg_ros.regressor.ace_g import AceGRegressor


class FreeReader:
    """A free code and its regressor."""

    max_patches: int | None = None

    def __init__(self, code: FreeCode, engine: Engine, options: FreeOptions):
        self.code = code
        self.threshold_px = options.threshold_px
        self._options = options
        device = engine.encoder.device
        self._regressor: AceGRegressor = engine.regressor  # type: ignore[assignment]
        self._embeddings = torch.as_tensor(code.embeddings, device=device)
        self._mean = torch.as_tensor(code.mean, dtype=torch.float32, device=device)

    @torch.inference_mode()
    def predict(self, patches: ImagePatches) -> Prediction:
        """See `CodeReader.predict`; kept are patches whose sigma is small for this image."""
        read = self._regressor(patches.features, self._embeddings, self._mean)
        sigma = read.sigma.cpu().double().numpy()
        points3d = read.points3d.cpu().double().numpy()
        limit = self._options.factor * np.quantile(sigma, self._options.quantile)
        best = np.argsort(sigma)
        best = best[sigma[best] < limit]
        return Prediction(
            Matches(patches.rays[best], patches.centers[best], points3d[best], sigma[best])
        )

    def predict_near(
        self, patches: ImagePatches, world_from_cam: np.ndarray, first: Prediction
    ) -> Prediction | None:
        """None: without anchors there is nothing to read near a pose."""
        return None

    def mean_similarity(self, patches: ImagePatches) -> float | None:
        """None: these codes have no tokens."""
        return None

    def alternatives(self, patches: ImagePatches, first: Prediction) -> Matches | None:
        """None: the regressor gives one place for a patch."""
        return None

    def expected_ratio(self, patches: ImagePatches, world_from_cam: np.ndarray) -> float | None:
        """None: the code does not say what should be in view."""
        return None
