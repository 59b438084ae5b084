"""Values of a status: what is written is what is read."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from aceg_ros.ros.status_values import (
    CameraValues,
    FitValues,
    LocalizationValues,
    key_values,
    read_values,
)


@pytest.mark.parametrize(
    'values',
    [
        FitValues(
            'done', 'fit', 0.125, 3.5, 'loss 1.2, 4 %', 14, 12, 1, 20.1, 'cpu', 700_001, '/a'
        ),
        CameraValues(29.9, 300, 12, 1),
        LocalizationValues(4.2, 10, 2, 3, 250, 0.97, 'front, rear', 'first', 90.5, -1.5),
    ],
)
def test_same_types_on_both_sides(values):
    told = DiagnosticStatus(message='12 of 13', values=key_values(asdict(values)))
    assert read_values(type(values), told) == values


def test_other_values_are_passed_over_and_missing_ones_are_defaults():
    told = DiagnosticStatus(values=key_values({'encode_ms': 12.5, 'accepted': 7}))
    assert read_values(LocalizationValues, told) == LocalizationValues(accepted=7)


def test_words_in_the_place_of_a_number():
    told = DiagnosticStatus(values=[KeyValue(key='accepted', value='many')])
    with pytest.raises(ValueError, match='many'):
        read_values(LocalizationValues, told)
