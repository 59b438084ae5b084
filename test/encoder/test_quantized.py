"""The wide encoder in 8 bits answers as the exact one does, and says what it needs."""

from __future__ import annotations

import sys

import pytest
import torch

from aceg_ros.encoder.base import image_tensor
from aceg_ros.encoder.quantized import QuantizedWideEncoder
from aceg_ros.encoder.wide import DIM, STRIDE, WideEncoder
from aceg_ros.engine import WIDE_INT8, Engine, Networks
from aceg_ros.errors import ImageError, WeightsError
from aceg_ros.geometry.poses import pose_error
from aceg_ros.localization.localizer import Localizer
from aceg_ros.models import model_path

FILE = model_path('wide-int8.onnx')


@pytest.fixture(scope='module')
def encoder():
    pytest.importorskip('onnxruntime', reason='needs the extra int8')
    return QuantizedWideEncoder.load(FILE)


@pytest.fixture(scope='module')
def exact():
    return WideEncoder.load(model_path('wide.safetensors'))


def test_is_made_of_the_shipped_weights(exact):
    remedy = 'make it again with tools/quantize_encoder.py'
    assert exact.identity.encode() in FILE.read_bytes(), remedy


def test_features_are_near_the_exact_ones(encoder, exact, queries):
    image = image_tensor(queries[2].image())
    found, expected = encoder.encode(image), exact.encode(image)
    cosine = (found.features * expected.features).sum(dim=1)
    assert cosine.median() > 0.995
    assert cosine.flatten().quantile(0.01) > 0.9
    assert (found.reliability - expected.reliability).abs().max() < 0.2


@pytest.mark.parametrize('size', [(64, 64), (127, 200), (250, 333)])
def test_shapes_for_any_size(encoder, size):
    rows, columns = size[0] // STRIDE, size[1] // STRIDE
    encoded = encoder.encode(torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8))
    assert encoded.features.shape == (2, DIM, rows, columns)
    assert encoded.reliability.shape == (2, rows, columns)
    length = encoded.features.norm(dim=1)
    torch.testing.assert_close(length, torch.ones_like(length), atol=1e-5, rtol=0)


def test_images_of_a_bad_shape(encoder):
    with pytest.raises(ImageError):
        encoder.encode(torch.zeros(1, 1, 100, 100))


def test_finds_poses_in_a_map_of_the_exact_encoder(encoder, mapped, queries):
    rough = Localizer(mapped.code, Engine.load('cpu', Networks(encoder=WIDE_INT8)))
    exact = Localizer(mapped.code, Engine.for_map(mapped.code.info, 'cpu'))
    for frame in queries[:4]:
        image = frame.image()
        found, expected = (each.localize(image, frame.camera) for each in (rough, exact))
        assert found
        meters, degrees = pose_error(found.world_from_cam, expected.world_from_cam)
        assert meters < 0.01
        assert degrees < 0.3


def test_file_that_is_damaged(encoder, tmp_path):
    path = tmp_path / 'wide-int8.onnx'
    path.write_bytes(FILE.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match='quantize_encoder'):
        QuantizedWideEncoder.load(path)


def test_without_onnx_runtime(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(WeightsError, match='pip install'):
        QuantizedWideEncoder.load(FILE)
