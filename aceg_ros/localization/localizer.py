"""Where am I? One image, its camera and a map code in; a pose with covariance, or a reason, out."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from aceg_ros.encoder.base import Encoder, image_tensor
from aceg_ros.encoder.view import patch_rays, working_view
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.localization.ransac import ransac_pose
from aceg_ros.localization.refine import refine_pose
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.map_code.code import MapCode
from aceg_ros.regressor.regressor import Regressor


@dataclass(frozen=True)
class LocalizerOptions:
    """Pixels are those of the working image."""

    patches: int = 2000  # most reliable patches that read the map
    correspondences: int = 1000  # most certain of those that pose estimation gets
    max_sigma_px: float = 40.0  # patches less certain than this are not used
    threshold_px: float = 12.0  # reprojection error of an inlier
    min_inliers: int = 60
    min_inlier_ratio: float = 0.2  # of the correspondences
    max_position_std: float = 0.12  # of the distance to the scene; a vaguer pose is no pose
    max_rotation_std_deg: float = 5.0


class Localizer:
    """Localises images in one map."""

    def __init__(
        self,
        code: MapCode,
        encoder: Encoder,
        regressor: Regressor,
        options: LocalizerOptions | None = None,
    ):
        """Raises MapCodeError when the map was made with another encoder or regressor."""
        check_identity(code, encoder, regressor)
        self.code = code
        self.options = options or LocalizerOptions()
        self._encoder = encoder
        self._regressor = regressor.to(encoder.device).eval()
        self._tensors = code.tensors(encoder.device)

    def localize(
        self, image: np.ndarray, camera: Camera, prior: np.ndarray | None = None
    ) -> Localization | LocalizationFailure:
        """``image`` (H, W, 3) uint8 RGB; ``prior`` a guess of world_from_cam (4, 4), only a hint.

        Raises ImageError when the image is none or not of the camera's size.
        """
        clock = _Clock()
        view, view_camera = working_view(image, camera)
        rays, points2d, points3d, sigma = self._read(view, view_camera, clock)
        if len(rays) < self.options.min_inliers:
            return LocalizationFailure(
                'unknown_view',
                f'the map knows only {len(rays)} patches of this image',
                clock.seconds,
            )
        focal = view_camera.focal
        found = ransac_pose(rays, points3d, focal, self.options.threshold_px, prior)
        clock.lap('ransac')
        if found is None:
            return LocalizationFailure('no_pose', 'no pose agrees with the map', clock.seconds)
        distance = np.linalg.norm(points3d - found[0][:3, 3], axis=1)
        sigma_px = sigma * focal / np.maximum(distance, 1e-6)
        refined = refine_pose(found[0], rays, points3d, sigma_px, focal, self.options.threshold_px)
        clock.lap('refine')
        if refined is None:
            return LocalizationFailure(
                'undetermined', 'the matches found do not determine a pose', clock.seconds
            )
        scene_distance = float(np.median(distance[refined.inliers]))
        doubt = self._doubt(refined.inliers, refined.covariance, scene_distance)
        if doubt is not None:
            return LocalizationFailure(*doubt, clock.seconds)
        scale = camera.width / view_camera.width
        return Localization(
            world_from_cam=refined.world_from_cam,
            covariance=refined.covariance,
            points2d=(points2d + 0.5) * scale - 0.5,
            points3d=points3d,
            sigma=sigma,
            inliers=refined.inliers,
            seconds=clock.seconds,
        )

    @torch.inference_mode()
    def _read(
        self, view: np.ndarray, camera: Camera, clock: _Clock
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The most certain correspondences: rays (N, 3), points2d (N, 2), points3d (N, 3), sigma (N,)."""
        encoded = self._encoder.encode(image_tensor(view, self._encoder.device))
        centres, rays = patch_rays(camera, encoded.stride)
        reliability = encoded.reliability[0].flatten()
        usable = torch.from_numpy(np.isfinite(rays).all(axis=1)).to(reliability.device)
        reliability = reliability.masked_fill(~usable, -1.0)
        count = min(self.options.patches, int(usable.sum()))
        chosen = reliability.topk(count).indices
        features = encoded.features[0].flatten(1).T[chosen]
        clock.lap('encode')

        read = self._regressor(features, self._tensors)
        keep, index = read.sigma.cpu().double().numpy(), chosen.cpu().numpy()
        order = np.argsort(keep)[: self.options.correspondences]
        points3d = read.points3d.cpu().double().numpy()[order]
        nearest = np.linalg.norm(self.code.mean - points3d, axis=1)
        certain = keep[order] * camera.focal / np.maximum(nearest, 1e-6) < self.options.max_sigma_px
        order, points3d = order[certain], points3d[certain]
        clock.lap('read')
        return rays[index[order]], centres[index[order]], points3d, keep[order]

    def _doubt(
        self, inliers: np.ndarray, covariance: np.ndarray, distance: float
    ) -> tuple[str, str] | None:
        """Why the pose must not be given out: a short code and a sentence; None when it may."""
        options, count = self.options, int(inliers.sum())
        if count < options.min_inliers or count < options.min_inlier_ratio * len(inliers):
            return 'few_inliers', f'only {count} of {len(inliers)} patches agree on a pose'
        position = float(np.sqrt(np.linalg.eigvalsh(covariance[:3, :3])[-1]))
        rotation = float(np.degrees(np.sqrt(np.linalg.eigvalsh(covariance[3:, 3:])[-1])))
        if (
            position > options.max_position_std * distance
            or rotation > options.max_rotation_std_deg
        ):
            return (
                'uncertain',
                f'the pose is too uncertain: {position:.2f} in position, {rotation:.1f} degrees',
            )
        return None


def check_identity(code: MapCode, encoder: Encoder, regressor: Regressor) -> None:
    """Raise MapCodeError when ``code`` was made with another encoder or regressor."""
    for what, made_with, given in (
        ('encoder', code.info.encoder, encoder.identity),
        ('regressor', code.info.regressor, regressor.identity()),
    ):
        if made_with != given:
            raise MapCodeError(
                f'the map was made with {what} {made_with}, not with {given}: make the map again, or '
                f'use the {what} it was made with'
            )


class _Clock:
    """Seconds since the last lap, by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now
