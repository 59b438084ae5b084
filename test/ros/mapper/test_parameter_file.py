"""The parameter file names every parameter, with its default."""

from __future__ import annotations

from pathlib import Path

import yaml

from aceg_ros.ros.mapper.options import PARAMETERS, settings_of

FILE = Path(__file__).parents[3] / 'config' / 'mapper.yaml'


def test_agrees_with_the_node():
    written = yaml.safe_load(FILE.read_text())['/**']['ros__parameters']
    assert written == {parameter.name: parameter.default for parameter in PARAMETERS}


def test_says_what_can_be_changed():
    lines = FILE.read_text().splitlines()
    for parameter in PARAMETERS:
        index = next(i for i, line in enumerate(lines) if line.startswith(f'    {parameter.name}:'))
        first = max(i for i in range(index) if not lines[i - 1].startswith('    #'))
        assert lines[first].startswith('    # ')
        assert lines[first].startswith('    # * ') is parameter.read_only, parameter.name


def test_settings():
    values = {parameter.name: parameter.default for parameter in PARAMETERS}
    settings = settings_of(values | {'recording': '~/a', 'map': 'b', 'image_format': 'png'})
    assert settings.recording == Path.home() / 'a'
    assert settings.map == Path.cwd() / 'b.aceg'
    assert settings.image_suffix == '.png'
