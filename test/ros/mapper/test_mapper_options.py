"""What the mapper's parameters mean, and which paths it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from aceg_ros.ros.common_options import depth_topics, rig_topics
from aceg_ros.ros.mapper.options import PARAMETERS, settings_of
from aceg_ros.ros.parameter_table import ParameterError

DEFAULTS = {parameter.name: parameter.default for parameter in PARAMETERS}


def test_settings():
    values = DEFAULTS
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


RIG = {'rig_images': ['/front/image', '/rear/image']}


class TestCameras:
    @pytest.mark.parametrize(
        ('given', 'depths'),
        [
            ({}, ('',)),
            ({'use_depth': True}, ('depth',)),
            (RIG, ('', '')),
            (RIG | {'use_depth': True, 'rig_depth': ['/front/depth', '']}, ('/front/depth', '')),
        ],
    )
    def test_topics_of_depth(self, given, depths):
        assert depth_topics(DEFAULTS | given) == depths

    @pytest.mark.parametrize(
        ('given', 'words'),
        [
            ({'rig_images': ['/a', '/a']}, 'name each camera once'),
            (RIG | {'camera_frame': 'eye'}, 'camera_frame is for a single camera'),
            (RIG | {'use_depth': True}, 'names 2 topics, and rig_depth 0'),
            (RIG | {'rig_depth': ['/d', '/e']}, 'set use_depth to true'),
            ({'rig_depth': ['/d'], 'use_depth': True}, 'give rig_images too'),
        ],
    )
    def test_what_does_not_go_together(self, given, words):
        with pytest.raises(ParameterError, match=words):
            depth_topics(DEFAULTS | given)

    def test_a_single_camera_has_no_list(self):
        assert rig_topics(DEFAULTS) == ()
