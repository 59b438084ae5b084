"""The compact encoder: what it gives for any image, and which weights it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from aceg_ros.encoder import view
from aceg_ros.encoder.base import PatchFeatures, image_tensor
from aceg_ros.encoder.compact import (
    DIM,
    STRIDE,
    CompactEncoder,
    CompactNetwork,
    Whitening,
    save_weights,
)
from aceg_ros.encoder.view import bounded_view, patch_rays
from aceg_ros.errors import ImageError, WeightsError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.models import model_path
from aceg_ros.precision import half_precision


@pytest.fixture(scope='module')
def encoder():
    return CompactEncoder.load(model_path('compact.safetensors'))


@pytest.fixture(scope='module')
def picture(queries):
    """(1, 3, 240, 320), floating point."""
    return image_tensor(queries[2].image()).float()


class TestOutput:
    @pytest.mark.parametrize('size', [(64, 64), (65, 71), (127, 200), (240, 320), (250, 333)])
    def test_shapes_for_any_size(self, encoder, size):
        rows, columns = size[0] // STRIDE, size[1] // STRIDE
        encoded = encoder.encode(torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8))
        assert encoded.features.shape == (2, DIM, rows, columns)
        assert encoded.reliability.shape == (2, rows, columns)
        assert encoded.features.dtype == torch.float32
        assert encoded.centers().shape == (rows * columns, 2)

    def test_features_have_unit_length(self, encoder, picture):
        length = encoder.encode(picture).features.norm(dim=1)
        torch.testing.assert_close(length, torch.ones_like(length), atol=1e-5, rtol=0)

    def test_reliability_is_a_probability_that_varies(self, encoder, picture):
        reliability = encoder.encode(picture).reliability
        assert ((reliability >= 0) & (reliability <= 1)).all()
        assert reliability.max() - reliability.min() > 0.2

    def test_integers_and_floats_alike(self, encoder, picture):
        first, second = encoder.encode(picture), encoder.encode(picture.to(torch.uint8))
        torch.testing.assert_close(first.features, second.features)

    def test_images_of_a_batch_do_not_mix(self, encoder, picture):
        batch = torch.cat([picture, 255 - picture, torch.zeros_like(picture)])
        together = encoder.encode(batch).features[:1]
        torch.testing.assert_close(together, encoder.encode(picture).features, atol=1e-4, rtol=0)

    def test_blank_image_is_finite(self, encoder):
        encoded = encoder.encode(torch.full((1, 3, 64, 96), 128, dtype=torch.uint8))
        assert torch.isfinite(encoded.features).all()
        assert torch.isfinite(encoded.reliability).all()

    @pytest.mark.parametrize(
        ('gain', 'offset'), [(0.5, 0.0), (1.0, 40.0), (0.7, 60.0), (2.0, -30.0)]
    )
    def test_gain_and_offset_of_the_exposure_cancel(self, encoder, picture, gain, offset):
        first, second = encoder.encode(picture), encoder.encode(picture * gain + offset)
        cosine = (first.features * second.features).sum(dim=1)
        assert cosine.min() > 0.999

    def test_color_alone_is_not_seen(self, encoder, picture):
        first, second = encoder.encode(picture), encoder.encode(picture.flip(1))
        torch.testing.assert_close(first.features, second.features, atol=1e-3, rtol=0)

    def test_a_shift_by_one_patch_shifts_the_features(self, encoder, queries):
        image = image_tensor(queries[2].image())
        first = encoder.encode(image[..., :-STRIDE]).features[..., 6:-6, 7:-6]
        second = encoder.encode(image[..., STRIDE:]).features[..., 6:-6, 6:-7]
        cosine = (first * second).sum(dim=1)
        assert cosine.median() > 0.9

    def test_different_places_look_different(self, encoder, picture):
        features = encoder.encode(picture).features[0].flatten(1).T
        similar = features @ features.T
        assert similar.median() < 0.5

    @pytest.mark.parametrize(
        'shape', [(3, 64, 64), (1, 1, 64, 64), (1, 4, 64, 64), (1, 3, 63, 64), (1, 3, 64, 40)]
    )
    def test_refuses_what_is_no_image(self, encoder, shape):
        with pytest.raises(ImageError, match='64x64'):
            encoder.encode(torch.zeros(shape))


class TestNetwork:
    def test_below_a_million_parameters(self):
        assert sum(p.numel() for p in CompactNetwork().parameters()) < 1_000_000

    def test_gradients_reach_every_weight(self):
        network = CompactNetwork()
        features, reliability = network(torch.rand(2, 3, 64, 96))
        (features[:, 0].sum() + reliability.sum()).backward()
        assert not [name for name, p in network.named_parameters() if p.grad is None]


class TestWhitening:
    def test_full_strength_takes_correlations_out(self):
        mixing = torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(0))
        features = torch.randn(5000, DIM, generator=torch.Generator().manual_seed(1)) @ mixing + 3
        whitening = Whitening.of(features, strength=1.0)
        white = (features - whitening.mean) @ whitening.matrix.T
        torch.testing.assert_close(torch.cov(white.T), torch.eye(DIM), atol=2e-2, rtol=0)
        torch.testing.assert_close(white.mean(dim=0), torch.zeros(DIM), atol=1e-2, rtol=0)

    def test_no_strength_changes_nothing(self):
        features = torch.randn(500, DIM, generator=torch.Generator().manual_seed(1))
        matrix = Whitening.of(features, strength=0.0).matrix
        torch.testing.assert_close(matrix, torch.eye(DIM), atol=1e-4, rtol=0)


class TestWeights:
    @pytest.fixture
    def path(self, tmp_path):
        torch.manual_seed(0)
        path = tmp_path / 'weights.safetensors'
        whitening = Whitening(torch.zeros(DIM), torch.eye(DIM))
        save_weights(CompactNetwork(), whitening, path, {'steps': '3'})
        return path

    def test_round_trip(self, path):
        network = CompactNetwork()
        whitening = Whitening(torch.full((DIM,), 0.1), torch.eye(DIM) * 2)
        save_weights(network, whitening, path, {})
        image = torch.rand(1, 3, 64, 64) * 255
        with half_precision(torch.device('cpu')):
            features = network.eval()(image)[0].detach() - 0.1
        features = features / features.norm(dim=1, keepdim=True)
        encoded = CompactEncoder.load(path).encode(image)
        torch.testing.assert_close(encoded.features, features, atol=1e-4, rtol=0)

    def test_identity_follows_the_weights(self, path):
        first = CompactEncoder.load(path).identity
        assert CompactEncoder.load(path).identity == first
        torch.manual_seed(1)
        save_weights(CompactNetwork(), Whitening(torch.zeros(DIM), torch.eye(DIM)), path, {})
        assert CompactEncoder.load(path).identity != first

    def test_missing(self, tmp_path):
        with pytest.raises(WeightsError, match=r'none\.safetensors'):
            CompactEncoder.load(tmp_path / 'none.safetensors')

    @pytest.mark.parametrize('part', [0.0, 0.001, 0.5, 0.999])
    def test_truncated(self, path, part):
        data = path.read_bytes()
        path.write_bytes(data[: int(part * len(data))])
        with pytest.raises(WeightsError, match='does not hold the weights'):
            CompactEncoder.load(path)

    def test_random_bytes(self, path):
        path.write_bytes(np.random.default_rng(0).bytes(5000))
        with pytest.raises(WeightsError):
            CompactEncoder.load(path)

    @pytest.mark.parametrize(
        'change',
        [
            lambda tensors: tensors.pop('mean'),
            lambda tensors: tensors.pop('network.lateral16.weight'),
            lambda tensors: tensors.update(stranger=torch.zeros(3)),
            lambda tensors: tensors.update({'network.lateral16.weight': torch.zeros(64, 95, 1, 1)}),
            lambda tensors: tensors.update(matrix=torch.zeros(DIM, 3)),
            lambda tensors: tensors.update(mean=torch.zeros(3)),
            lambda tensors: tensors.update(mean=torch.full((DIM,), torch.nan)),
        ],
        ids=['no mean', 'no layer', 'extra', 'layer', 'matrix', 'mean', 'nan'],
    )
    def test_of_another_network(self, path, change):
        tensors = load(path.read_bytes())
        change(tensors)
        path.write_bytes(save(tensors))
        with pytest.raises(WeightsError):
            CompactEncoder.load(path)


class TestView:
    CAMERA = Camera.pinhole(1600, 1200, 1300.0, 1310.0, 790.0, 610.0)

    def test_small_images_stay(self):
        camera = Camera.pinhole(640, 480, 525.0, 525.0, 320.0, 240.0)
        image = np.zeros((480, 640, 3), np.uint8)
        assert bounded_view(image, camera)[0] is image
        assert bounded_view(image, camera)[1] is camera

    def test_large_images_are_shrunk_with_their_camera(self):
        image = np.zeros((1200, 1600, 3), np.uint8)
        image[592:608, 792:808] = 255  # around the pixel (799.5, 599.5)
        smaller, camera = bounded_view(image, self.CAMERA)
        assert smaller.shape == (camera.height, camera.width, 3)
        assert smaller.shape[0] * smaller.shape[1] <= view.MAX_PIXELS * 1.01
        bright = np.argwhere(smaller[..., 0] > 128)[:, ::-1].mean(axis=0)
        ray = camera.rays(bright[None])
        np.testing.assert_allclose(ray, self.CAMERA.rays(np.array([[799.5, 599.5]])), atol=1e-3)

    @pytest.mark.parametrize(
        ('shape', 'kind'),
        [((1200, 1600), np.uint8), ((1200, 1600, 4), np.uint8), ((1200, 1600, 3), np.float64)],
    )
    def test_no_rgb_image(self, shape, kind):
        with pytest.raises(ImageError, match='uint8 RGB'):
            bounded_view(np.zeros(shape, kind), self.CAMERA)

    def test_another_size(self):
        with pytest.raises(ImageError, match='calibrated for 1600x1200'):
            bounded_view(np.zeros((480, 640, 3), np.uint8), self.CAMERA)

    def test_rays_go_through_the_middle_of_each_patch(self):
        camera = Camera.pinhole(67, 70, 50.0, 51.0, 33.0, 30.0)
        centers, rays = patch_rays(camera, 8)
        assert centers.shape == (8 * 8, 2)
        np.testing.assert_allclose(centers[[0, 1, 8]], [[3.5, 3.5], [11.5, 3.5], [3.5, 11.5]])
        np.testing.assert_allclose(camera.project(rays), centers, atol=1e-9)

    def test_grid_is_that_of_the_features(self):
        features = PatchFeatures(torch.zeros(1, 4, 3, 5), torch.zeros(1, 3, 5), 8)
        np.testing.assert_array_equal(features.centers(), PatchFeatures.grid(5, 3, 8))
