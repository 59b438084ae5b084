"""What the mapper's parameters mean, and which paths it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from aceg_ros.ros.mapper.options import PARAMETERS, settings_of
from aceg_ros.ros.parameter_table import ParameterError


def test_settings():
    values = {parameter.name: parameter.default for parameter in PARAMETERS}
    given = {'recording': '~/a', 'map': 'b', 'image_format': 'png', 'encoder': 'dinov2'}
    settings = settings_of(values | given)
    assert settings.recording == Path.home() / 'a'
    assert settings.map == Path.cwd() / 'b.aceg'
    assert settings.image_suffix == '.png'
    assert (settings.encoder, settings.regressor) == ('dinov2', '')
    assert settings_of(values | {'use_depth': True}).options.use_depth


@pytest.mark.parametrize('name', ['recording', 'map'])
@pytest.mark.parametrize(
    ('path', 'remedy'),
    [
        (' ', 'is empty: give a path'),
        ('/', 'is the root of the file system: give a path below it'),
        ('~nobody-of-this-name/a', 'give an absolute path'),
    ],
)
def test_paths_that_cannot_be_used(name, path, remedy):
    (parameter,) = (entry for entry in PARAMETERS if entry.name == name)
    with pytest.raises(ParameterError, match=f'^parameter {name} = {path!r} .*{remedy}$'):
        parameter.validated(path)
