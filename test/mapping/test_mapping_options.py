"""Numbers that no fit can work with are refused at once."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from aceg_ros.errors import ConfigError
from aceg_ros.mapping.options import (
    FitOptions,
    FreeOptions,
    LandmarkOptions,
    MappingOptions,
    ValidationOptions,
)
from aceg_ros.options import configured


@pytest.mark.parametrize(
    ('name', 'value', 'why'),
    [
        ('budget', 0.0, 'at least 0.001 s'),
        ('budget', math.nan, 'at least 0.001 s'),
        ('budget', math.inf, 'at least 0.001 s'),
        ('max_keyframes', 0, 'at least 1'),
        ('tokens', -1, 'at least 0'),
        ('landmarks.count', -5, 'at least 0'),
        ('validation.held_out', -0.1, 'from 0 to 0.999'),
        ('validation.held_out', 1.0, 'from 0 to 0.999'),
        ('fit.epochs', 0, 'at least 1'),
        ('fit.batch', 0, 'at least 1'),
        ('fit.buffer_patches', 0, 'at least 1'),
        ('fit.augmented', 1.0, 'from 0 to 0.999'),
        ('free.memory', -1.0, 'at least 0 GB'),
        ('free.schedule.steps', 0, 'at least 1'),
        ('free.schedule.zoom', (0.0, 1.5), 'at least 0.01'),
    ],
)
def test_refused(name, value, why):
    with pytest.raises(ConfigError, match=f'{name.rpartition(".")[2]} must be {why}, not'):
        configured(MappingOptions(), {name: value})


def test_refused_where_they_are_made():
    with pytest.raises(ConfigError, match='epochs must be at least 1, not 0'):
        FitOptions(epochs=0)
    with pytest.raises(ConfigError, match='tokens must be at least 0, not -1'):
        replace(MappingOptions(), tokens=-1)


def test_none_of_what_can_be_done_without():
    LandmarkOptions(count=0)
    ValidationOptions(held_out=0.0)
    FitOptions(augmented=0.0)
    assert FreeOptions().memory == 0.0


def test_more_keyframes_never_share_fewer_tokens():
    sizes = [MappingOptions().code_size(count) for count in (5, 100, 200, 300, 400)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]
    assert MappingOptions(tokens=700).code_size(400) == 700
