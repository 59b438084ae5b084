"""The YAML file of knobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from aceg_ros.errors import ConfigError
from aceg_ros.lab.pretraining.config import PretrainOptions, read_options

SHIPPED = Path(__file__).resolve().parents[2] / 'config' / 'pretrain.yaml'


def read(tmp_path, text, changes=None):
    file = tmp_path / 'pretrain.yaml'
    file.write_text(text)
    return read_options(file, changes)


def test_the_shipped_file_has_every_default():
    assert read_options(SHIPPED) == PretrainOptions()


def test_the_shipped_file_names_every_knob():
    text = SHIPPED.read_text()
    for section, options in vars(PretrainOptions()).items():
        assert f'\n{section}:' in text
        for knob in vars(options):
            assert f'\n  {knob}:' in text


def test_an_empty_file_is_all_defaults(tmp_path):
    assert read(tmp_path, '') == PretrainOptions()


def test_values_are_taken(tmp_path):
    options = read(tmp_path, 'scenes:\n  sequences: [a, b]\nregimen:\n  learning_rate: 1\n')
    assert options.scenes.sequences == ('a', 'b')
    assert options.regimen.learning_rate == 1.0


def test_changes_come_on_top(tmp_path):
    options = read(tmp_path, 'regimen:\n  query: 2\n', ['regimen.query=0', 'reader.dim=32'])
    assert (options.regimen.query, options.reader.dim) == (0, 32)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('regime:\n  query: 1\n', 'regime'),
        ('regimen:\n  querry: 1\n', 'regimen.querry'),
        ('regimen:\n  query: many\n', 'regimen.query'),
        ('regimen:\n  query: 1.5\n', 'regimen.query'),
        ('regimen:\n  anchors: 1\n', 'regimen.anchors'),
        ('regimen:\n  iterations: true\n', 'regimen.iterations'),
        ('regimen:\n  learning_rate: .nan\n', 'learning_rate'),
        ('regimen:\n  learning_rate: 0\n', 'learning_rate'),
        ('regimen:\n  iterations: 0\n', 'iterations'),
        ('regimen:\n  query: -1\n', 'query'),
        ('regimen:\n  pool: 1\n', 'pool'),
        ('regimen:\n  start: somewhere\n', 'swept'),
        ('regimen:\n  mapping_loss: both\n', 'points'),
        ('regimen:\n  query_loss: both\n', 'query_loss'),
        ('regimen:\n  dropout: 2\n', 'dropout'),
        ('scenes:\n  worlds: -1\n', 'worlds'),
        ('scenes: 3\n', 'scenes'),
        ('- a list\n', 'sections'),
        ('a: [', 'YAML'),
    ],
)
def test_what_makes_no_sense(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, text)


@pytest.mark.parametrize('change', ['query=0', 'regimen.query', ''])
def test_changes_that_are_none(tmp_path, change):
    with pytest.raises(ConfigError, match='no change'):
        read(tmp_path, '', [change])


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match='missing'):
        read_options(tmp_path / 'missing.yaml')
