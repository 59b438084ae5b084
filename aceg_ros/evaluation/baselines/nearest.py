"""The yardstick of an encoder: every patch of every keyframe stored, with its point from depth.

No fit and no code, so that the figures are those of the features alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from aceg_ros.datasets import Frame
from aceg_ros.encoder.base import Encoder, image_tensor
from aceg_ros.encoder.view import full_size, patch_rays
from aceg_ros.errors import FitError
from aceg_ros.evaluation.baselines.keyframes import posed_images
from aceg_ros.evaluation.baselines.pose import PoseOptions, localize_matches
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import transform_points
from aceg_ros.localization.result import Localization, LocalizationFailure

STORED_PER_KEYFRAME = 1600  # half of which have depth, say
ASKED_PER_QUERY = 1500
BYTES_OF_POINT = 3 * 4


class NearestLocalizer:
    """Matches each patch of an image to the most similar stored one."""

    def __init__(self, features: torch.Tensor, points3d: np.ndarray, encoder: Encoder) -> None:
        self._features = features  # (N, D)
        self._points3d = points3d  # (N, 3) meters
        self._encoder = encoder

    @classmethod
    def fit(cls, frames: Sequence[Frame], encoder: Encoder) -> NearestLocalizer:
        """Store the reliable patches whose depth is known; raises FitError where there is none."""
        features, points3d = [], []
        for frame, image, world_from_cam in posed_images(frames):
            depth = frame.registered_depth()
            if depth is None:
                continue
            found, rays, points2d = _patches(image, frame.camera, encoder, STORED_PER_KEYFRAME)
            columns, rows = points2d.round().astype(int).T
            z = depth[rows, columns]
            known = z > 0
            local = rays[known] / rays[known, 2:] * z[known, None]
            features.append(found[torch.from_numpy(known)])
            points3d.append(transform_points(world_from_cam, local))
        if not features:
            raise FitError('the nearest-neighbor baseline needs depth images, and there are none')
        return cls(torch.cat(features), np.concatenate(points3d), encoder)

    @property
    def map_bytes(self) -> int:
        """Size with features in half precision."""
        return len(self._points3d) * (2 * self._encoder.dim + BYTES_OF_POINT)

    def localize(self, image: np.ndarray, camera: Camera) -> Localization | LocalizationFailure:
        """See `Localizes.localize`."""
        features, _, points2d = _patches(image, camera, self._encoder, ASKED_PER_QUERY)
        nearest = torch.cat([(part @ self._features.T).argmax(1) for part in features.split(256)])
        points3d = self._points3d[nearest.cpu().numpy()]
        return localize_matches(points2d, points3d, camera, PoseOptions())


def _patches(
    image: np.ndarray, camera: Camera, encoder: Encoder, count: int
) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Most reliable patches: features (P, D), rays (P, 3), points2d (P, 2) px in ``image``."""
    view, view_camera = encoder.view(image, camera)
    encoded = encoder.encode(image_tensor(view, encoder.device))
    centers, rays = patch_rays(view_camera, encoded.stride)
    chosen = encoded.reliability[0].flatten().topk(min(count, len(centers))).indices
    index = chosen.cpu().numpy()
    points2d = full_size(centers[index], view_camera, camera)
    return encoded.features[0].flatten(1).T[chosen], rays[index], points2d
