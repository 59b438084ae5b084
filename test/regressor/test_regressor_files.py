"""The file of a regressor that was pre-trained."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from aceg_ros.errors import WeightsError
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor
from aceg_ros.regressor.files import load_regressor, save_regressor


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    model = AnchoredRegressor(AnchoredConfig(blocks=1, dim=16, tokens_read=12))
    save_regressor(model, tmp_path / 'regressor.safetensors', {'iterations': '3'})
    return model, tmp_path / 'regressor.safetensors'


def test_comes_back_as_it_was(file):
    model, path = file
    assert load_regressor(path).identity() == model.identity()


def test_one_without_weights_too(tmp_path):
    save_regressor(AnchoredRegressor(), tmp_path / 'plain.safetensors')
    assert (
        load_regressor(tmp_path / 'plain.safetensors').identity() == AnchoredRegressor().identity()
    )


@pytest.mark.parametrize('content', [b'', b'not a file of weights', b'\x08' + b'\x00' * 40])
def test_what_is_none(tmp_path, content):
    path = tmp_path / 'regressor.safetensors'
    path.write_bytes(content)
    with pytest.raises(WeightsError, match='aceg pretrain'):
        load_regressor(path)


def test_weights_of_something_else(tmp_path):
    save_file({'weight': torch.zeros(3)}, tmp_path / 'other.safetensors')
    with pytest.raises(WeightsError):
        load_regressor(tmp_path / 'other.safetensors')


def test_weights_that_are_no_numbers(file):
    model, path = file
    with torch.no_grad():
        model.corrector.blocks[0].factor.bias[0] = float('nan')
    save_regressor(model, path)
    with pytest.raises(WeightsError, match='no number'):
        load_regressor(path)
