"""The map code: all that differs between scenes, and what is worth knowing about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from aceg_ros.geometry.cameras import Camera
from aceg_ros.landmarks.landmarks import Landmarks
from aceg_ros.regressor.anchored import CodeTensors


@dataclass(frozen=True)
class MapInfo:
    """What a map was made from and for."""

    encoder: str  # Encoder.identity
    regressor: str  # SceneRegressor.codes()
    metric: bool  # whether the unit of length is the meter
    cameras: tuple[Camera, ...]  # those seen, each once
    frame_id: str = 'map'
    created: str = ''  # ISO 8601, UTC
    quality: dict[str, Any] = field(default_factory=dict)  # the fit's report on itself
    angular_error: float = 0.0  # rad, of the map as a whole view shows it; see `mapping.validation`


@dataclass(frozen=True)
class MapCode:
    """n tokens that say where things are, and landmarks, in the frame of the mapping poses.

    A token of an *anchored* code is an embedding to be found by and an anchor in the scene; anchors
    with their colors also serve for display. A *free* code (see `CodeTensors`) is embeddings and
    the scene's mean; it has no anchors, colors or landmarks, and an imported one no keyframes.
    """

    embeddings: np.ndarray  # (n, D) float32
    anchors: np.ndarray  # (n, 3) float32, meters; (0, 3) of a free code, and so on
    log_sigma: np.ndarray  # (n,) float32, log meters
    log_prior: np.ndarray  # (n,) float32
    colors: np.ndarray  # (n, 3) uint8 RGB
    keyframes: np.ndarray  # (K, 4, 4) float64, world_from_cam
    info: MapInfo
    landmarks: Landmarks = field(default_factory=Landmarks.none)
    free_mean: np.ndarray | None = None  # (3,) float32, meters; of a free code only

    @classmethod
    def free_code(
        cls, embeddings: np.ndarray, mean: np.ndarray, keyframes: np.ndarray, info: MapInfo
    ) -> MapCode:
        """A free code: ``embeddings`` (n, D) float32, ``mean`` (3,) float32 meters."""
        return cls(
            embeddings=embeddings,
            anchors=np.zeros((0, 3), np.float32),
            log_sigma=np.zeros(0, np.float32),
            log_prior=np.zeros(0, np.float32),
            colors=np.zeros((0, 3), np.uint8),
            keyframes=keyframes,
            info=info,
            free_mean=mean,
        )

    @property
    def free(self) -> bool:
        """Whether it is a free code."""
        return self.free_mean is not None

    @property
    def mean(self) -> np.ndarray:
        """Mean of the mapping cameras' centers, (3,) meters."""
        if self.free_mean is not None:
            return self.free_mean.astype(np.float64)
        return self.keyframes[:, :3, 3].mean(axis=0)

    @property
    def extent(self) -> np.ndarray:
        """Least and greatest corner (2, 3) of the anchors less the outermost hundredth, meters.

        Of a free code it is that of the mapping cameras.
        """
        if self.free_mean is not None:
            places = np.vstack([self.keyframes[:, :3, 3], self.mean])
            return np.stack([places.min(axis=0), places.max(axis=0)])
        return np.percentile(self.anchors, [1, 99], axis=0)

    def tensors(self, device: torch.device | str = 'cpu') -> CodeTensors:
        """The code as the regressor reads it."""
        if self.free_mean is not None:
            count = len(self.embeddings)
            mean = torch.as_tensor(self.free_mean, dtype=torch.float32, device=device)
            none = torch.zeros(count, device=device)
            embeddings = torch.as_tensor(self.embeddings, device=device)
            return CodeTensors(embeddings, mean.expand(count, 3), none, none)
        parts = (self.embeddings, self.anchors, self.log_sigma, self.log_prior)
        return CodeTensors(*(torch.as_tensor(part, device=device) for part in parts))
