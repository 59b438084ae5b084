"""The table of parameters, and where maps are looked for."""

from __future__ import annotations

import pytest

from aceg_ros.errors import MapNotFoundError
from aceg_ros.localization.options import GateOptions as PoseGateOptions
from aceg_ros.ros.common_options import texts
from aceg_ros.ros.localizer.maps import MapFrames, map_files, map_path
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
    'url',
    [
        *('', '/', '~', 'file:///', 'ftp://somewhere/map.aceg', 'package://'),
        *('~nobody-of-this-name/hall', '//[', 300 * 'long'),
    ],
)
def test_no_map(url, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    with pytest.raises(MapNotFoundError):
        map_files([url])


def test_several_maps_by_name(tmp_path):
    for name in ('first', 'ground'):
        (tmp_path / f'{name}.aceg').touch()
    files = {name: tmp_path / f'{name}.aceg' for name in ('ground', 'first')}
    assert map_files([f'file://{tmp_path}']) == files
    listed = map_files([str(tmp_path / 'ground'), str(tmp_path / 'first.aceg')])
    assert list(listed.items()) == list(files.items())


def test_maps_of_the_parameter():
    assert texts('') == ()
    assert texts('a.aceg') == ('a.aceg',)
    assert texts(('a.aceg', '/floors')) == ('a.aceg', '/floors')


def test_frames_of_maps():
    frames = MapFrames(DEFAULTS['map_frame'], DEFAULTS['map_frames'])
    assert frames.of('ground', 1) == 'map'
    assert [frames.of(name, 2) for name in ('ground', 'first')] == ['map_ground', 'map_first']
    assert MapFrames('map', 'map').of('ground', 2) == 'map'
