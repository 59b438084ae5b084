"""The map code: all that differs between scenes, and what is worth knowing about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from aceg_ros.geometry.cameras import Camera
from aceg_ros.map_code.landmarks import Landmarks
from aceg_ros.regressor.regressor import CodeTensors


@dataclass(frozen=True)
class MapInfo:
    """What a map was made from and for."""

    encoder: str  # Encoder.identity
    regressor: str  # Regressor.identity()
    metric: bool  # whether the unit of length is the metre
    cameras: tuple[Camera, ...]  # those seen, each once
    frame_id: str = 'map'
    created: str = ''  # ISO 8601, UTC
    quality: dict[str, Any] = field(default_factory=dict)  # the fit's report on itself
    angular_error: float = 0.0  # rad, of the map as a whole view shows it; see `mapping.judge`


@dataclass(frozen=True)
class MapCode:
    """n tokens, each an embedding to be found by and an anchor in the scene; and landmarks.

    The map frame is that of the mapping poses. Anchors with their colours also serve for display.
    """

    embeddings: np.ndarray  # (n, D) float32
    anchors: np.ndarray  # (n, 3) float32, metres
    log_sigma: np.ndarray  # (n,) float32, log metres
    log_prior: np.ndarray  # (n,) float32
    colors: np.ndarray  # (n, 3) uint8 RGB
    keyframes: np.ndarray  # (K, 4, 4) float64, world_from_cam
    info: MapInfo
    landmarks: Landmarks = field(default_factory=Landmarks.none)

    @property
    def mean(self) -> np.ndarray:
        """Mean of the mapping cameras' centres, (3,) metres."""
        return self.keyframes[:, :3, 3].mean(axis=0)

    @property
    def extent(self) -> np.ndarray:
        """Least and greatest corner (2, 3) of the anchors less the outermost hundredth, metres."""
        return np.percentile(self.anchors, [1, 99], axis=0)

    def tensors(self, device: torch.device | str = 'cpu') -> CodeTensors:
        """The code as the regressor reads it."""
        parts = (self.embeddings, self.anchors, self.log_sigma, self.log_prior)
        return CodeTensors(*(torch.as_tensor(part, device=device) for part in parts))
