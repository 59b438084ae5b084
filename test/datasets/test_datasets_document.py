"""docs/datasets.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aceg_ros.datasets.calibration import CALIBRATION_NAMES
from aceg_ros.datasets.detect import LAYOUTS
from aceg_ros.datasets.lens_models import family
from aceg_ros.datasets.times import times_of_names
from aceg_ros.geometry.cameras import COEFFICIENT_COUNTS

TEXT = (Path(__file__).resolve().parents[2] / 'docs/datasets.md').read_text(encoding='utf-8')


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_has_a_row_and_a_line_to_try(layout):
    rows = [line for line in TEXT.splitlines() if line.startswith(f'| {layout} |')]
    assert rows
    assert 'aceg check' in rows[0].split('|')[-2]


def test_every_lens_model_is_named():
    for model in COEFFICIENT_COUNTS:
        assert f'`{model}`' in TEXT
        assert family(model) in ('none', 'perspective', 'fisheye')


@pytest.mark.parametrize('name', ['radial-tangential', 'Brown-Conrady', 'Kannala-Brandt', 'equi'])
def test_names_of_lens_models_are_known(name):
    assert name in TEXT
    assert family(name) in ('perspective', 'fisheye')


def test_names_of_calibration_files():
    for name in CALIBRATION_NAMES:
        stem, suffix = name.split('.')
        assert f'`{stem}`' in TEXT or f'`{name}`' in TEXT
        assert f'.{suffix}' in TEXT


def test_table_of_times():
    table = TEXT.split('## Order and times')[1].split('\n## ')[0]
    names = re.findall(r'^\| `([^`]+)`', table, re.MULTILINE)
    read = {name: times_of_names([name]) for name in names}
    assert read['1305031229.528748'].taken_as == 'seconds'
    assert read['1403636579763555584'].taken_as == 'nanoseconds'
    assert read['frame_1403636579763555584_left'].taken_as == 'nanoseconds'
    assert read['000000'].are_numbers
    assert read['frame_1'] is None
    pair = ['1403636579.963555584', '1403636580.13555584', '1403636580.63555584']
    assert pair[1] in names
    assert times_of_names(pair).taken_as.startswith('seconds.nanoseconds')
    assert times_of_names(['1500000000000', '1500050000000']).taken_as == 'nanoseconds'
