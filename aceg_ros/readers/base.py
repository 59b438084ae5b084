"""What a reader is: a map code and its regressor, which tell where an image's patches are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from aceg_ros.geometry.cameras import Camera
from aceg_ros.maps.code import MapCode
from aceg_ros.pose.matches import Matches


@dataclass(frozen=True)
class ImagePatches:
    """The P patches of one image that ask the map, and the features of all its patches."""

    features: torch.Tensor  # (P, D)
    rays: np.ndarray  # (P, 3) unit, camera frame
    centers: np.ndarray  # (P, 2) px in the working image
    camera: Camera  # of the working image
    grid: torch.Tensor  # (D, H', W') of all patches
    stride: int  # px between patches of the grid

    @property
    def focal(self) -> float:
        """Focal length of the working image, px."""
        return self.camera.focal


@dataclass(frozen=True)
class Prediction:
    """Where the map says that patches are."""

    matches: Matches  # those sure enough, the most certain first
    # (P,) of each patch to the most similar token of the map; None where codes have no tokens.
    similarity: torch.Tensor | None = None
    # (P, k) the most similar tokens of each patch, the first the most; None where there are none.
    tokens: torch.Tensor | None = None
    # How much of the image a pose explains, 0 to 1: the similarity of each patch to what the map
    # has near its ray, as a part of that to the most similar token of all, on average. None where
    # a prediction was not made near a pose.
    support_ratio: float | None = None
    near_count: int = 1  # patches that have any of the map near their rays


class CodeReader(Protocol):
    """A map code, the regressor that reads it and the thresholds that go with them."""

    code: MapCode
    max_patches: int | None  # most reliable patches that are worth asking; None: all
    threshold_px: float  # reprojection error of an inlier

    def predict(self, patches: ImagePatches) -> Prediction:
        """Where the patches are, whatever the pose."""

    def predict_near(
        self, patches: ImagePatches, world_from_cam: np.ndarray, first: Prediction
    ) -> Prediction | None:
        """Where the patches are if the camera is near a pose; None where that adds nothing.

        ``first`` is what `predict` said of the same patches.
        """

    def mean_similarity(self, patches: ImagePatches) -> float | None:
        """Mean similarity of patches to the most similar of the map; None where unknown."""

    def alternatives(self, patches: ImagePatches, first: Prediction) -> Matches | None:
        """Other places where the patches could be, several for a patch; None where unknown."""

    def expected_ratio(self, patches: ImagePatches, world_from_cam: np.ndarray) -> float | None:
        """How much of what the map shows at a pose the image has, 0 to 1; None where unknown.

        The counterpart of `Prediction.support_ratio`, from map to image. For each token that should
        be in view it takes the similarity to the patches around its projection. This is divided by
        the similarity to the most similar patch of the image, and averaged.
        """
