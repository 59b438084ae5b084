"""The YAML file of knobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from aceg_ros.errors import ConfigError
from aceg_ros.lab.pretraining.config import PretrainOptions, read_options

SHIPPED = Path(__file__).resolve().parents[3] / 'config' / 'pretrain.yaml'


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
    options = read(tmp_path, 'scenes:\n  sequences: [a, b]\nschedule:\n  learning_rate: 1\n')
    assert options.scenes.sequences == ('a', 'b')
    assert options.schedule.learning_rate == 1.0


def test_changes_come_on_top(tmp_path):
    options = read(tmp_path, 'schedule:\n  query: 2\n', ['schedule.query=0', 'reader.dim=32'])
    assert (options.schedule.query, options.reader.dim) == (0, 32)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('regime:\n  query: 1\n', 'regime'),
        ('schedule:\n  querry: 1\n', 'schedule.querry'),
        ('schedule:\n  query: many\n', 'schedule.query'),
        ('schedule:\n  query: 1.5\n', 'schedule.query'),
        ('schedule:\n  anchors: 1\n', 'schedule.anchors'),
        ('schedule:\n  iterations: true\n', 'schedule.iterations'),
        ('schedule:\n  learning_rate: .nan\n', 'learning_rate'),
        ('schedule:\n  learning_rate: 0\n', 'learning_rate'),
        ('schedule:\n  iterations: 0\n', 'iterations'),
        ('schedule:\n  query: -1\n', 'query'),
        ('schedule:\n  pool: 1\n', 'pool'),
        ('schedule:\n  start: somewhere\n', 'swept'),
        ('schedule:\n  mapping_loss: both\n', 'points'),
        ('schedule:\n  query_loss: both\n', 'query_loss'),
        ('schedule:\n  dropout: 2\n', 'dropout'),
        ('scenes:\n  worlds: -1\n', 'worlds'),
        ('scenes: 3\n', 'scenes'),
        ('- a list\n', 'sections'),
        ('a: [', 'YAML'),
    ],
)
def test_what_makes_no_sense(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, text)


@pytest.mark.parametrize('change', ['query=0', 'schedule.query', ''])
def test_changes_that_are_none(tmp_path, change):
    with pytest.raises(ConfigError, match='no change'):
        read(tmp_path, '', [change])


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match='missing'):
        read_options(tmp_path / 'missing.yaml')
