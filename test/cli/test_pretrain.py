"""The command `aceg pretrain`."""

from __future__ import annotations

import json
import shutil

import pytest
from made_up_scenes import make_scene

from aceg_ros.lab.pretraining.shards import write_scene
from aceg_ros.regressor.files import load_regressor

CONFIG = """
reader: {blocks: 1, dim: 16, tokens_read: 8}
schedule: {iterations: 4, network_every: 2, pool: 2, patches: 30}
scenes: {worlds: 0}
"""


@pytest.fixture
def setting(tmp_path):
    (tmp_path / 'pretrain.yaml').write_text(CONFIG)
    for seed in range(2):
        write_scene(make_scene(seed), tmp_path / 'scenes' / f'{seed}.safetensors')
    output = tmp_path / 'regressor.safetensors'
    return tmp_path / 'pretrain.yaml', '-o', output, '--scenes', tmp_path / 'scenes'


def test_trains_then_evaluates(aceg, setting, tmp_path):
    assert aceg('pretrain', *setting, '--device', 'cpu').status == 0
    assert load_regressor(setting[2]).config.blocks == 1
    figures, picture = tmp_path / 'figures.json', tmp_path / 'coverage.png'
    other = shutil.copy(setting[2], tmp_path / 'other.safetensors')
    options = ('--json', figures, '--picture', picture, '--beside', other)
    done = aceg('pretrain', *setting, '--evaluate', *options)
    assert done.status == 0 and 'pre-trained, far: median_cm' in done.out
    summaries = json.loads(figures.read_text())
    assert summaries['anchored']['all']['patches'] == 720
    assert summaries['other'] == summaries['pre-trained']
    assert picture.stat().st_size > 5000


def test_weights_for_another_encoder(aceg, setting, tmp_path):
    for seed in range(2):
        other = make_scene(seed, length=64)
        write_scene(other, tmp_path / 'compact' / f'{seed}.safetensors')
    assert aceg('pretrain', *setting, '--device', 'cpu').status == 0
    done = aceg('pretrain', *setting[:-1], tmp_path / 'compact', '--evaluate')
    assert done.status == 1 and 'features of 96 numbers, not of 64' in done.err


def test_a_knob_that_does_not_exist(aceg, setting):
    done = aceg('pretrain', *setting, '--set', 'schedule.querry=0')
    assert done.status == 1 and 'schedule.querry' in done.err


def test_no_scenes(aceg, setting, tmp_path):
    done = aceg('pretrain', *setting[:-1], tmp_path / 'none')
    assert done.status == 1 and '--make' in done.err
