"""The network per scene: what it predicts, that it learns, and when it is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fakes import BENT_CAMERA, CAMERA

from aceg_ros.errors import FitError
from aceg_ros.evaluation.baselines.scene_mlp import (
    PatchImage,
    SceneMlp,
    SceneMlpLocalizer,
    SceneMlpOptions,
    fit_scene_mlp,
)
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp, transform_points
from aceg_ros.localization.result import Localization

SMALL = SceneMlpOptions(width=64, residual_blocks=1, batch=512)


def features_of(points3d: np.ndarray) -> torch.Tensor:
    """A smooth code (N, 32) of places that the network has to invert."""
    directions = np.random.default_rng(5).normal(size=(3, 32))
    waves = torch.from_numpy(np.cos(points3d @ directions + np.arange(32))).float()
    return torch.nn.functional.normalize(waves, dim=1)


def view(points3d: np.ndarray, x: float, camera=CAMERA) -> PatchImage:
    """The points as seen from (x, 0, 0)."""
    world_from_cam = make_pose(so3_exp([0.0, -0.1 * x, 0.0]), [x, 0.0, 0.0])
    points2d = camera.project(transform_points(inverse(world_from_cam), points3d))
    return PatchImage(features_of(points3d), points2d, camera, world_from_cam)


@pytest.fixture(scope='module')
def points3d():
    return np.random.default_rng(1).uniform((-1, -1, 3), (1, 1, 5), size=(600, 3))


@pytest.fixture(scope='module')
def network(points3d):
    cameras = (CAMERA, BENT_CAMERA)
    images = [view(points3d, x, cameras[i % 2]) for i, x in enumerate(np.linspace(-1, 1, 8))]
    return fit_scene_mlp(images, 5.0, SMALL)


class TestFit:
    def test_coordinates_are_learned_from_pixels_and_poses(self, network, points3d):
        with torch.no_grad():
            predicted = network(features_of(points3d)).numpy()
        assert np.median(np.linalg.norm(predicted - points3d, axis=1)) < 0.15

    def test_a_new_view_is_localized(self, network, points3d):
        image = view(points3d, 0.35)
        localizer = SceneMlpLocalizer(network, lambda *_: (image.features, image.points2d))
        answer = localizer.localize(np.zeros((240, 320, 3), dtype=np.uint8), CAMERA)
        assert isinstance(answer, Localization)
        meters, degrees = pose_error(answer.world_from_cam, image.world_from_cam)
        assert meters < 0.1 and degrees < 2.0

    def test_patches_without_ray_are_left_out(self, points3d):
        image = view(points3d, 0.0)
        image.points2d[::2] = np.nan
        network = fit_scene_mlp([image], 0.2, SMALL)
        assert all(torch.isfinite(parameter).all() for parameter in network.parameters())

    def test_no_images_are_refused(self):
        with pytest.raises(FitError, match='no posed images'):
            fit_scene_mlp([], 1.0)

    def test_no_time_is_refused(self, points3d):
        with pytest.raises(FitError, match='budget'):
            fit_scene_mlp([view(points3d, 0.0)], 0.0, SMALL)


class TestNetwork:
    def test_starts_around_the_cameras(self):
        torch.manual_seed(0)
        center = torch.tensor([10.0, -4.0, 2.0])
        predicted = SceneMlp(32, center, SceneMlpOptions())(torch.randn(100, 32))
        assert predicted.shape == (100, 3)
        assert (predicted - center).norm(dim=1).max() < 2.0

    def test_map_bytes_counts_all_weights(self):
        network = SceneMlp(64, torch.zeros(3), SceneMlpOptions())
        layers = 64 * 512 + 512 + 8 * (512 * 512 + 512) + 512 * 4 + 4
        assert network.map_bytes == 2 * layers
