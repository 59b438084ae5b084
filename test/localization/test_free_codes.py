"""Localization in a free code, with networks that know the answer but for errors put in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.encoder.view import cropped_view, patch_rays
from aceg_ros.engine import Engine
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.poses import pose_error, transform_points
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.maps.code import FREE, FreeCode, MapInfo
from aceg_ros.regressor.base import SceneCoordinates


class OracleEncoder:
    """Features are the points that the patches of `frame` show, by its depth image."""

    name = identity = 'oracle'
    stride, dim = 14, 3
    device = torch.device('cpu')
    max_similarity = 2.0
    short_steps = False
    frame: Frame

    def view(self, image, camera):
        return cropped_view(image, camera, 480, 14)

    def encode(self, images):
        _, camera = self.view(self.frame.image(), self.frame.camera)
        _, rays = patch_rays(camera, 14)
        depth = self.frame.depth()
        columns, rows = self.frame.camera.project(rays).round().astype(int).T
        rows = rows.clip(0, depth.shape[0] - 1)
        z = depth[rows, columns.clip(0, depth.shape[1] - 1)]
        points = transform_points(self.frame.world_from_cam, rays_at(rays, z))
        shape = (1, camera.height // 14, camera.width // 14)
        features = torch.from_numpy(points).float().T.reshape(1, 3, *shape[1:])
        return PatchFeatures(features, torch.ones(shape), 14)


def rays_at(rays, z):
    return rays / rays[:, 2:] * z[:, None]


@dataclass
class OracleRegressor:
    """Says the feature, with noise; a part of the answers is wrong and says so, or does not."""

    doubtful: float = 0.4  # wrong, and sigma tells
    lies: float = 0.1  # wrong, and sigma does not
    kind: ClassVar[str] = FREE
    unit_features: bool = False
    calls: list[int] = field(default_factory=list)  # patches of each

    def codes(self):
        return 'oracle-1'

    def to(self, device):
        return self

    def eval(self):
        return self

    def __call__(self, features, embeddings, mean):
        self.calls.append(len(features))
        generator = torch.Generator().manual_seed(0)
        count = len(features)
        lot = torch.rand(count, generator=generator)
        wrong = lot < self.doubtful + self.lies
        noise = torch.randn(count, 3, generator=generator)
        points = features + noise * torch.where(wrong, 2.0, 0.01)[:, None]
        return SceneCoordinates(points, torch.where(lot < self.doubtful, 1.0, 0.02))


@pytest.fixture
def encoder(queries):
    oracle = OracleEncoder()
    oracle.frame = queries[2]
    return oracle


def code(views, keyframes=True) -> FreeCode:
    poses = np.stack([frame.world_from_cam for frame in views])
    info = MapInfo('oracle', 'oracle-1', metric=True, cameras=())
    return FreeCode(
        np.zeros((8, 4), np.float32),
        poses[:, :3, 3].mean(axis=0).astype(np.float32),
        poses if keyframes else poses[:0],
        info,
    )


class TestFound:
    @pytest.mark.parametrize('keyframes', [True, False], ids=['mapped', 'imported'])
    def test_pose(self, views, encoder, keyframes):
        query, regressor = encoder.frame, OracleRegressor()
        localizer = Localizer(code(views, keyframes), Engine(encoder, regressor))
        answer = localizer.localize(query.image(), query.camera)
        assert isinstance(answer, Localization)
        meters, degrees = pose_error(answer.world_from_cam, query.world_from_cam)
        assert (meters < 0.03, degrees < 1.0) == (True, True)
        assert (np.linalg.eigvalsh(answer.covariance) > 0).all()
        assert regressor.calls == [34 * 45]  # all patches, once

    def test_only_patches_near_the_surest_are_used(self, views, encoder):
        query = encoder.frame
        localizer = Localizer(code(views), Engine(encoder, OracleRegressor()))
        answer = localizer.localize(query.image(), query.camera)
        assert answer.sigma.max() < 0.04
        assert 0.5 * 34 * 45 < len(answer.sigma) < 0.7 * 34 * 45

    def test_points_are_given_in_the_image(self, views, encoder):
        query = encoder.frame
        localizer = Localizer(code(views), Engine(encoder, OracleRegressor()))
        answer = localizer.localize(query.image(), query.camera)
        in_view = (answer.points2d + 0.5) * 2 - 0.5  # 320x240 is seen at 640x480
        np.testing.assert_allclose((in_view - 6.5) % 14, 0, atol=1e-9)


class TestRefused:
    def test_what_does_not_agree(self, views, encoder):
        query = encoder.frame
        localizer = Localizer(code(views), Engine(encoder, OracleRegressor(0.0, 0.95)))
        answer = localizer.localize(query.image(), query.camera)
        assert isinstance(answer, LocalizationFailure)
        reasons = ('few_inliers', 'unlike_map', 'no_pose', 'uncertain', 'undetermined')
        assert answer.reason in reasons

    def test_a_map_for_another_regressor(self, views, encoder):
        regressor = OracleRegressor()
        regressor.codes = lambda: 'oracle-2'
        with pytest.raises(MapCodeError, match='regressor oracle-1, not with oracle-2'):
            Localizer(code(views), Engine(encoder, regressor))
