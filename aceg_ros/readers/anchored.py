"""Reads anchored codes: patches find similar tokens, or at a pose the tokens near their rays."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from aceg_ros.engine import Engine
from aceg_ros.maps.code import AnchoredCode
from aceg_ros.pose.matches import Matches
from aceg_ros.readers.base import ImagePatches, Prediction
from aceg_ros.readers.options import AnchoredOptions
from aceg_ros.regressor.anchored import AnchoredRegressor, AnchoredTensors
from aceg_ros.regressor.base import SceneCoordinates
from aceg_ros.regressor.blocks import Surroundings

_MIN_SIMILARITY = 0.1  # cosine; keeps the support ratio finite


class AnchoredReader:
    """An anchored code and its regressor."""

    def __init__(self, code: AnchoredCode, engine: Engine, options: AnchoredOptions):
        self.code = code
        self.max_patches: int | None = options.patches
        self.threshold_px = options.threshold_px
        self._options = options
        self._device = engine.encoder.device
        self._regressor: AnchoredRegressor = engine.regressor  # type: ignore[assignment]
        self._tensors = anchored_tensors(code, self._device)
        self._center = code.mean

    @torch.inference_mode()
    def predict(self, patches: ImagePatches) -> Prediction:
        """See `CodeReader.predict`."""
        around = None
        if self._regressor.corrector is not None:
            around = Surroundings.of(torch.from_numpy(patches.rays).to(patches.features))
        read = self._regressor(patches.features, self._tensors, around)
        return Prediction(self._surest(patches, read), read.similarity)

    @torch.inference_mode()
    def predict_near(
        self, patches: ImagePatches, world_from_cam: np.ndarray, first: Prediction
    ) -> Prediction | None:
        """See `CodeReader.predict_near`."""
        tokens = self._tokens_near(patches, world_from_cam)
        some = (tokens >= 0).any(axis=1)
        subset = ImagePatches(
            patches.features[torch.from_numpy(some)],
            patches.rays[some],
            patches.centers[some],
            patches.focal,
        )
        kept = torch.from_numpy(tokens[some]).to(self._device)
        read = self._regressor.among(subset.features, self._tensors, kept)
        matches = self._surest(subset, read)
        if read.similarity is None or first.similarity is None or not some.any():
            return Prediction(matches, support_ratio=0.0)
        best = first.similarity[torch.from_numpy(some)].clamp_min(_MIN_SIMILARITY)
        return Prediction(matches, support_ratio=float((read.similarity / best).mean()))

    def _surest(self, patches: ImagePatches, read: SceneCoordinates) -> Matches:
        sigma = read.sigma.cpu().double().numpy()
        points3d = read.points3d.cpu().double().numpy()
        best = np.argsort(sigma)[: self._options.matches]
        distance = np.linalg.norm(points3d[best] - self._center, axis=1)
        best = best[sigma[best] * patches.focal < self._options.max_sigma_px * distance]
        return Matches(patches.rays[best], patches.centers[best], points3d[best], sigma[best])

    def _tokens_near(self, patches: ImagePatches, world_from_cam: np.ndarray) -> np.ndarray:
        """The tokens (P, k) nearest to each patch's ray, -1 in the place of farther ones."""
        offsets = self.code.anchors - world_from_cam[:3, 3]
        towards = offsets / np.linalg.norm(offsets, axis=1, keepdims=True)
        tree = cKDTree(towards, balanced_tree=False, compact_nodes=False)
        _, tokens = tree.query(
            patches.rays @ world_from_cam[:3, :3].T,
            k=[*range(1, self._options.near_tokens + 1)],
            distance_upper_bound=self._options.near_radius_px / patches.focal,
        )
        tokens[tokens == len(towards)] = -1
        return np.asarray(tokens)


def anchored_tensors(code: AnchoredCode, device: torch.device | str = 'cpu') -> AnchoredTensors:
    """The code as its regressor reads it."""
    parts = (code.embeddings, code.anchors, code.log_sigma, code.log_prior)
    return AnchoredTensors(*(torch.as_tensor(part, device=device) for part in parts))
