"""Numbers that no fit can work with are refused at once."""

from __future__ import annotations

import math

import pytest

from aceg_ros.errors import FitError
from aceg_ros.mapping.options import FitOptions


@pytest.mark.parametrize(
    ('name', 'value', 'why'),
    [
        ('budget', 0.0, 'greater than 0'),
        ('budget', math.nan, 'greater than 0'),
        ('tokens', -1, 'greater than 0'),
        ('batch', 0, 'greater than 0'),
        ('landmarks', -5, '0 or more'),
        ('augmented', 1.0, 'below 1'),
        ('held_out', -0.1, 'below 1'),
    ],
)
def test_refused(name, value, why):
    with pytest.raises(FitError, match=f'{name} must be .*{why}'):
        FitOptions(**{name: value})


def test_none_of_what_can_be_done_without():
    FitOptions(landmarks=0, augmented=0.0, held_out=0.0)
