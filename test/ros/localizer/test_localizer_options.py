"""The table of parameters, and where maps are looked for."""

from __future__ import annotations

import pytest

from aceg_ros.localization.options import GateOptions as PoseGateOptions
from aceg_ros.ros.localizer.maps import MapNotFoundError, map_path
from aceg_ros.ros.localizer.options import PARAMETERS, gate_options
from aceg_ros.tracking.gate import GateOptions

DEFAULTS = {entry.name: entry.default for entry in PARAMETERS}


def test_defaults_are_those_of_the_parts():
    assert DEFAULTS['min_confidence'] == PoseGateOptions().min_confidence
    made = gate_options(DEFAULTS)
    assert made == GateOptions()


def test_map_path(tmp_path, monkeypatch):
    path = tmp_path / 'room one.aceg'
    path.touch()
    monkeypatch.setenv('HOME', str(tmp_path))
    quoted = f'file://{tmp_path}/room%20one'
    for url in (str(path), str(path.with_suffix('')), f'file://{path}', quoted, '~/room one'):
        assert map_path(url) == path


@pytest.mark.parametrize(
    'url', ['', '/', '~', 'file:///', 'ftp://somewhere/map.aceg', 'package://']
)
def test_no_map_path(url):
    with pytest.raises(MapNotFoundError):
        map_path(url)
