"""A free code, read by a network that says what it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from map_codes import free_code

from aceg_ros.engine import Engine
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.maps.code import FREE
from aceg_ros.readers.base import ImagePatches
from aceg_ros.readers.free import FreeReader
from aceg_ros.readers.options import FreeOptions, ReaderOptions
from aceg_ros.readers.registry import reader_of
from aceg_ros.regressor.base import SceneCoordinates

COUNT = 50


@dataclass
class Network:
    """Takes a feature (x, y, z, sigma) at its word."""

    kind: ClassVar[str] = FREE
    calls: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)  # codes it got

    def codes(self) -> str:
        return 'echo-1'

    def to(self, device):
        return self

    def eval(self):
        return self

    def __call__(self, features, embeddings, mean):
        self.calls.append((embeddings, mean))
        return SceneCoordinates(features[:, :3], features[:, 3])


def engine_of(network) -> Engine:
    return Engine(SimpleNamespace(identity='encoder-1', device=torch.device('cpu')), network)


@pytest.fixture
def code():
    made = free_code()
    return replace(made, info=replace(made.info, regressor='echo-1'))


@pytest.fixture
def patches() -> ImagePatches:
    """Sigma goes from 0.01 to 0.5 m, in mixed order."""
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(COUNT, 4))).float()
    features[:, 3] = 0.01 * (1 + torch.from_numpy(rng.permutation(COUNT)))
    rays = rng.normal(size=(COUNT, 3))
    camera = Camera.pinhole(320, 240, 300.0, 300.0, 160.0, 120.0)
    centers, grid = rng.normal(size=(COUNT, 2)), torch.zeros(4, 17, 22)
    return ImagePatches(features, rays, centers, camera, grid, 14)


def reader(code, network=None, **options) -> FreeReader:
    return reader_of(
        code, engine_of(network or Network()), ReaderOptions(free=FreeOptions(**options))
    )


class TestMade:
    def test_of_its_kind_with_its_options(self, code):
        made = reader(code, threshold_px=7.0)
        assert isinstance(made, FreeReader)
        assert made.threshold_px == 7.0
        assert made.max_patches is None
        assert made.code is code

    @pytest.mark.parametrize('name', ['encoder', 'regressor'])
    def test_not_for_other_networks(self, code, name):
        other = replace(code, info=replace(code.info, **{name: 'other-1'}))
        with pytest.raises(MapCodeError, match=f'made with {name} other-1, not with'):
            reader(other)


class TestPredict:
    def test_the_network_reads_the_code(self, code, patches):
        network = Network()
        reader(code, network).predict(patches)
        ((embeddings, mean),) = network.calls
        np.testing.assert_array_equal(embeddings.numpy(), code.embeddings)
        np.testing.assert_array_equal(mean.numpy(), code.mean)
        assert mean.dtype == torch.float32

    @pytest.mark.parametrize(('quantile', 'factor'), [(0.1, 2.0), (0.5, 1.5), (0.0, 3.0)])
    def test_kept_are_those_certain_for_this_image(self, code, patches, quantile, factor):
        sigma = patches.features[:, 3].double().numpy()
        kept = reader(code, quantile=quantile, factor=factor).predict(patches).matches
        expected = np.sort(sigma[sigma < factor * np.quantile(sigma, quantile)])
        assert 0 < len(expected) < COUNT
        np.testing.assert_array_equal(kept.sigma, expected)

    def test_rows_stay_together(self, code, patches):
        matches = reader(code).predict(patches).matches
        row = [int(np.flatnonzero((patches.rays == ray).all(axis=1))[0]) for ray in matches.rays]
        np.testing.assert_array_equal(matches.points2d, patches.centers[row])
        np.testing.assert_allclose(matches.points3d, patches.features[row, :3].numpy())

    def test_knows_neither_similarity_nor_support(self, code, patches):
        said = reader(code).predict(patches)
        assert said.similarity is None
        assert said.support_ratio is None


def test_near_a_pose_there_is_nothing_to_add(code, patches):
    network = Network()
    made = reader(code, network)
    first = made.predict(patches)
    assert made.predict_near(patches, np.eye(4), first) is None
    assert made.alternatives(patches, first) is None
    assert made.expected_ratio(patches, np.eye(4)) is None
    assert len(network.calls) == 1
