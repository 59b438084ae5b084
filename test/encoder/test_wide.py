"""The wide encoder: what it gives for any image, its trunk, and which weights it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from aceg_ros.encoder.base import image_tensor, similarity
from aceg_ros.encoder.trunk import Trunk, folded_trunk
from aceg_ros.encoder.wide import DIM, STRIDE, WideEncoder, WideNetwork, save_weights
from aceg_ros.engine import WIDE, Engine, Networks
from aceg_ros.errors import ImageError, WeightsError
from aceg_ros.models import model_path


@pytest.fixture(scope='module')
def encoder():
    return WideEncoder.load(model_path('wide.safetensors'))


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

    def test_features_have_unit_length(self, encoder, picture):
        length = encoder.encode(picture).features.norm(dim=1)
        torch.testing.assert_close(length, torch.ones_like(length), atol=1e-5, rtol=0)

    def test_reliability_is_a_probability_that_varies(self, encoder, picture):
        reliability = encoder.encode(picture).reliability
        assert ((reliability >= 0) & (reliability <= 1)).all()
        assert reliability.max() - reliability.min() > 0.2

    def test_images_of_a_batch_do_not_mix(self, encoder, picture):
        batch = torch.cat([picture, 255 - picture, torch.zeros_like(picture)])
        cosine = (encoder.encode(batch).features[:1] * encoder.encode(picture).features).sum(dim=1)
        assert cosine.min() > 0.995

    def test_blank_image_is_finite(self, encoder):
        encoded = encoder.encode(torch.full((1, 3, 64, 96), 128, dtype=torch.uint8))
        assert torch.isfinite(encoded.features).all()
        assert torch.isfinite(encoded.reliability).all()

    @pytest.mark.parametrize('gains', [(0.6, 0.6, 0.6), (1.1, 0.9, 0.6), (0.6, 0.8, 1.1)])
    def test_exposure_and_white_balance_cancel(self, encoder, picture, gains):
        changed = picture * torch.tensor(gains)[:, None, None]
        cosine = (encoder.encode(picture).features * encoder.encode(changed).features).sum(dim=1)
        assert cosine.median() > 0.9

    def test_a_shift_by_one_patch_shifts_the_features(self, encoder, queries):
        image = image_tensor(queries[2].image())
        first = encoder.encode(image[..., :-STRIDE]).features[..., 6:-6, 7:-6]
        second = encoder.encode(image[..., STRIDE:]).features[..., 6:-6, 6:-7]
        assert (first * second).sum(dim=1).median() > 0.85

    def test_blank_and_noisy_images_are_told_from_real_ones(self, encoder, picture):
        noise = torch.randint(0, 256, (1, 3, 240, 320), dtype=torch.uint8)
        blank = torch.full((1, 3, 240, 320), 90, dtype=torch.uint8)
        alike = [
            similarity(encoder.encode(image).features[0].flatten(1).T)
            for image in (picture, noise, blank)
        ]
        assert alike[0] < encoder.max_similarity < min(alike[1:])

    @pytest.mark.parametrize('shape', [(3, 64, 64), (1, 1, 64, 64), (1, 3, 63, 64)])
    def test_refuses_what_is_no_image(self, encoder, shape):
        with pytest.raises(ImageError, match='64x64'):
            encoder.encode(torch.zeros(shape))


class TestTrunk:
    def test_levels(self):
        middle, coarse = Trunk()(torch.zeros(2, 3, 64, 96))
        assert middle.shape == (2, 40, 8, 12)
        assert coarse.shape == (2, 112, 4, 6)

    def test_folding_is_normalization_after_the_convolution(self):
        torch.manual_seed(0)
        state = made_up_state()
        convolution, norm = nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, eps=1e-3)
        convolution.load_state_dict({'weight': state['_conv_stem.weight']})
        norm.load_state_dict(
            {
                part: state[f'_bn0.{part}']
                for part in ('weight', 'bias', 'running_mean', 'running_var')
            },
            strict=False,
        )
        image = torch.rand(1, 3, 9, 9)
        torch.testing.assert_close(
            folded_trunk(state).stem(image), norm.eval()(convolution(image)), atol=1e-4, rtol=1e-4
        )

    def test_state_of_another_network(self):
        with pytest.raises(KeyError):
            folded_trunk({'weight': torch.zeros(3)})


def made_up_state():
    """A state dict with the names and shapes of the published one, at random."""
    trunk, state = Trunk(), {}

    def put(convolution, norm, weight):
        outputs = len(weight)
        state[f'{convolution}.weight'] = torch.randn(weight.shape) * 0.1
        state[f'{norm}.weight'], state[f'{norm}.bias'] = torch.rand(outputs), torch.rand(outputs)
        state[f'{norm}.running_mean'] = torch.randn(outputs) * 0.1
        state[f'{norm}.running_var'] = torch.rand(outputs) + 0.5

    put('_conv_stem', '_bn0', trunk.stem.weight)
    for index, block in enumerate(trunk.blocks):
        prefix = f'_blocks.{index}.'
        if block.expand is not None:
            put(f'{prefix}_expand_conv', f'{prefix}_bn0', block.expand.weight)
        put(f'{prefix}_depthwise_conv', f'{prefix}_bn1', block.filter.weight)
        put(f'{prefix}_project_conv', f'{prefix}_bn2', block.project.weight)
    return state


class TestWeights:
    @pytest.fixture(scope='class')
    def data(self, tmp_path_factory):
        torch.manual_seed(0)
        path = tmp_path_factory.mktemp('weights') / 'wide.safetensors'
        save_weights(WideNetwork(), path, {'steps': '3'})
        return path.read_bytes()

    def test_are_small(self, data):
        assert len(data) < 3_000_000

    def test_identity_follows_the_weights(self, data, tmp_path):
        path = tmp_path / 'wide.safetensors'
        path.write_bytes(data)
        first = WideEncoder.load(path).identity
        assert first.startswith('wide-')
        assert WideEncoder.load(path).identity == first
        torch.manual_seed(1)
        save_weights(WideNetwork(), path, {})
        assert WideEncoder.load(path).identity != first

    def test_missing(self, tmp_path):
        with pytest.raises(WeightsError, match=r'none\.safetensors.*wide encoder'):
            WideEncoder.load(tmp_path / 'none.safetensors')

    @pytest.mark.parametrize('part', [0.0, 0.001, 0.5, 0.999])
    def test_truncated(self, data, tmp_path, part):
        path = tmp_path / 'wide.safetensors'
        path.write_bytes(data[: int(part * len(data))])
        with pytest.raises(WeightsError, match='does not hold the weights'):
            WideEncoder.load(path)

    @pytest.mark.parametrize(
        'change',
        [
            lambda tensors: tensors.pop('lateral16.weight'),
            lambda tensors: tensors.update(stranger=torch.zeros(3)),
            lambda tensors: tensors.update({'lateral16.weight': torch.zeros(64, 95, 1, 1)}),
            lambda tensors: tensors.update({'output.bias': torch.full((DIM,), torch.nan)}),
        ],
        ids=['no layer', 'extra', 'layer', 'nan'],
    )
    def test_of_another_network(self, data, tmp_path, change):
        path = tmp_path / 'wide.safetensors'
        tensors = load(data)
        change(tensors)
        path.write_bytes(save(tensors))
        with pytest.raises(WeightsError):
            WideEncoder.load(path)


def test_can_be_chosen():
    engine = Engine.load('cpu', Networks(encoder=WIDE))
    assert engine.encoder.name == WIDE
    assert engine.encoder.view(np.zeros((64, 64, 3), np.uint8), _camera())[0].shape == (64, 64, 3)
    assert engine.regressor.config.dim_in == DIM


def _camera():
    from aceg_ros.geometry.cameras import Camera

    return Camera.pinhole(64, 64, 60.0, 60.0, 31.5, 31.5)
