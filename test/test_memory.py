"""A GPU whose memory runs out: smaller pieces, then the CPU, and a word about it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aceg_ros.encoder.wide import WideEncoder
from aceg_ros.engine import Engine
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.several import MapSet
from aceg_ros.mapping.extension import extend_map
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import FitOptions, MappingOptions, ValidationOptions
from aceg_ros.memory import ON_THE_CPU, in_pieces
from aceg_ros.models import model_path
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor


class Gpu:
    """Memory for so many rows at a time."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.asked: list[int] = []

    def double(self, piece: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(piece))
        if len(piece) > self.rows:
            raise torch.cuda.OutOfMemoryError('CUDA out of memory')
        return 2 * piece


class FullGpuEncoder(WideEncoder):
    """Has no memory for any image before it is moved to the CPU."""

    moved = False

    def to(self, device):
        super().to(device)
        self.moved = device.type == 'cpu'

    def encode(self, images):
        if not self.moved:
            raise torch.cuda.OutOfMemoryError('CUDA out of memory')
        return super().encode(images)


@pytest.fixture
def starved() -> Engine:
    """An engine on a GPU that other programs have filled."""
    encoder = FullGpuEncoder.load(model_path('wide.safetensors'))
    return Engine(encoder, AnchoredRegressor(AnchoredConfig(dim_in=encoder.dim)))


@pytest.mark.parametrize('rows', [1000, 300, 64])
def test_pieces_get_smaller_until_they_fit(rows):
    gpu = Gpu(rows)
    given = torch.arange(1000)
    assert torch.equal(in_pieces(gpu.double, given, 800), 2 * given)
    assert sum(asked for asked in gpu.asked if asked <= rows) == 1000


def test_pieces_that_never_fit():
    with pytest.raises(torch.cuda.OutOfMemoryError):
        in_pieces(Gpu(10).double, torch.arange(1000), 800)


def test_no_rows():
    assert in_pieces(Gpu(10).double, torch.arange(0), 800).shape == (0,)


def test_mapping_goes_on_on_the_cpu(starved, views, caplog):
    options = MappingOptions(
        budget=600.0, tokens=256, fit=FitOptions(epochs=1, buffer_patches=2000)
    )
    result = map_scene(views[::3], starved, options)
    assert result.notes[0] == ON_THE_CPU
    assert ON_THE_CPU in caplog.text


def test_extending_goes_on_on_the_cpu(starved, mapped, views):
    options = MappingOptions(
        budget=600.0,
        tokens=200,
        fit=FitOptions(epochs=1, buffer_patches=2000),
        validation=ValidationOptions(held_out=0.0),
    )
    result = extend_map(mapped.code, views[:12], starved, options, session='later')
    assert result.notes[0] == ON_THE_CPU
    assert [session.name for session in result.code.info.sessions][1:] == ['later']


def test_localizing_goes_on_on_the_cpu(starved, engine, mapped, queries):
    localizer = Localizer(mapped.code, starved)
    assert localizer.note == ''
    found = localizer.localize(queries[0].image(), queries[0].camera)
    assert localizer.note == ON_THE_CPU
    assert localizer.device.type == 'cpu'
    expected = Localizer(mapped.code, engine).localize(queries[0].image(), queries[0].camera)
    np.testing.assert_allclose(found.world_from_cam, expected.world_from_cam, atol=1e-6)


def test_several_maps_go_on_on_the_cpu(starved, engine, mapped, queries, caplog):
    """Both have the same networks, which leave the GPU for both."""
    maps = MapSet(
        {'room': Localizer(mapped.code, starved), 'copy': Localizer(mapped.code, starved)}
    )
    assert maps.note == ''
    image, camera = queries[0].image(), queries[0].camera
    found = maps.localize(image, camera)
    assert maps.note == ON_THE_CPU
    assert caplog.text.count(ON_THE_CPU) == 1
    assert {each.device.type for each in maps.localizers.values()} == {'cpu'}
    expected = Localizer(mapped.code, engine).localize(image, camera)
    np.testing.assert_allclose(found.world_from_cam, expected.world_from_cam, atol=1e-6)
    assert maps.localize(image, camera)


def test_memory_that_runs_out_on_the_cpu_too(starved, mapped, queries, monkeypatch):
    """The error is told, for each image anew, and nothing goes round in circles."""
    monkeypatch.setattr(FullGpuEncoder, 'to', lambda self, device: None)
    localizer = Localizer(mapped.code, starved)
    for localizes in (localizer, localizer, MapSet({'room': localizer})):
        with pytest.raises(torch.cuda.OutOfMemoryError):
            localizes.localize(queries[0].image(), queries[0].camera)
