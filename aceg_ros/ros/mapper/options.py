"""Parameters of the mapper, and what they mean to its parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aceg_ros.geometry.motion import MotionLimits
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.maps.code import SUFFIX
from aceg_ros.recording.keyframes import KeyframeRules
from aceg_ros.recording.session import Settings
from aceg_ros.ros.common_options import CAMERA_PARAMETERS, DEPTH_TOLERANCE, RIG_DEPTH, RIG_IMAGES
from aceg_ros.ros.parameter_table import Group, Parameter, parameters_of

TOPIC, TF = 'topic', 'tf'

_RULES = KeyframeRules()
_LIMITS = MotionLimits()
_FIT = MappingOptions()


def _check_path(value: str) -> str | None:
    if not value.strip():
        return 'is empty: give a path'
    try:
        path = _absolute(value)
    except RuntimeError:
        return 'begins with a user whose home is not known: give an absolute path'
    return None if path.name else 'is the root of the file system: give a path below it'


GROUPS = (
    Group(
        'Recording and map',
        (
            Parameter(
                'recording',
                '~/.ros/aceg/recording',
                'Folder of the recording; one that exists is continued. It cannot be changed '
                'during recording or fitting.',
                check=_check_path,
            ),
            Parameter(
                'map',
                '~/.ros/aceg/map.aceg',
                'File that `~/save` and `~/record_and_map` write.',
                check=_check_path,
            ),
            Parameter(
                'extend',
                '',
                'Map that the keyframes join, without the images it was made of; poses are in '
                'its frame. Empty makes a new map.',
                check=lambda value: _check_path(value) if value else None,
            ),
            Parameter(
                'image_format',
                'jpg',
                'Format of recorded images: `png` is lossless and about four times as large as '
                '`jpg`.',
                choices=('jpg', 'png'),
                read_only=True,
            ),
        ),
    ),
    Group(
        'Poses',
        (
            Parameter(
                'pose_source',
                TF,
                'Source of the camera poses: `tf`, from `map_frame` to the camera, or `topic`, the '
                'topic `pose` of PoseStamped, PoseWithCovarianceStamped or Odometry.',
                choices=(TF, TOPIC),
                read_only=True,
            ),
            Parameter(
                'map_frame',
                'map',
                'Frame of the map with `pose_source` `tf`. Poses of a topic are in the frame of '
                'their messages.',
                read_only=True,
            ),
            Parameter(
                'pose_frame',
                '',
                'Frame whose pose the topic gives; TF tells how the camera is mounted on it. '
                'Empty: child frame of an Odometry, otherwise the camera.',
                read_only=True,
            ),
            Parameter(
                'pose_timeout',
                0.5,
                'Poses come later than images: longest wait for the pose at the stamp of an image.',
                unit='s',
                minimum=0.0,
                maximum=10.0,
            ),
            Parameter(
                'max_pose_gap',
                0.25,
                'Interpolation over long gaps is inexact: images between poses of the topic that '
                'are farther apart in time are not used.',
                unit='s',
                minimum=0.001,
                maximum=10.0,
                read_only=True,
            ),
            Parameter(
                'max_speed',
                _LIMITS.speed,
                'Highest speed of the camera; faster poses are reported as a jump of their source.',
                unit='m/s',
                minimum=0.0,
                maximum=1000.0,
                read_only=True,
            ),
            Parameter(
                'max_turn_rate',
                _LIMITS.turn,
                'Highest turn rate of the camera; faster poses are reported as a jump of their '
                'source.',
                unit='deg/s',
                minimum=0.0,
                maximum=100_000.0,
                read_only=True,
            ),
        ),
    ),
    Group(
        'Camera',
        (
            *CAMERA_PARAMETERS,
            RIG_IMAGES,
            RIG_DEPTH,
            Parameter(
                'use_depth',
                False,
                'Records the topic `depth` too, for the map. Depth of another camera is '
                'registered to the images by `camera_info` beside it and TF.',
                read_only=True,
            ),
            DEPTH_TOLERANCE,
        ),
    ),
    Group(
        'Keyframes',
        (
            Parameter(
                'keyframe_translation',
                _RULES.translation,
                'An image becomes a keyframe if it was taken this far from every other keyframe.',
                unit='m',
                minimum=0.0,
                maximum=100.0,
            ),
            Parameter(
                'keyframe_rotation',
                _RULES.rotation_deg,
                'An image nearer to keyframes than `keyframe_translation` becomes one too if it is '
                'rotated this far from all of those.',
                unit='deg',
                minimum=0.0,
                maximum=180.0,
            ),
            Parameter(
                'keyframe_sharpness',
                _RULES.sharpness,
                'Blurred images make poor maps: least sharpness of a keyframe. Photographs have '
                '0.55 to 0.8, blurred ones less than 0.45; 0 takes all.',
                minimum=0.0,
                maximum=1.0,
            ),
            Parameter(
                'add_keyframe_timeout',
                3.0,
                'Time that `~/add_keyframe` waits for an image with a pose.',
                unit='s',
                minimum=0.1,
                maximum=60.0,
            ),
        ),
    ),
    Group(
        'Fit',
        (
            Parameter(
                'budget',
                _FIT.budget,
                'Time for a fit, which mostly ends earlier. One pass is always finished, so a slow '
                'computer takes longer.',
                unit='s',
                minimum=1.0,
                maximum=86_400.0,
            ),
            Parameter(
                'tokens',
                _FIT.tokens,
                'Size of the map code; a token takes about 120 bytes in the map file. 0 lets it '
                'follow the number of keyframes.',
                unit='tokens',
                minimum=0,
                maximum=100_000,
            ),
            Parameter(
                'device',
                'auto',
                'Device that the fit runs on: `cpu`, `cuda` or `cuda:N`. `auto` takes a GPU where '
                'there is one.',
            ),
            Parameter(
                'encoder',
                '',
                'Image encoder of the map: `wide`, `compact`, `dinov2`, another by name, or its '
                'folder. Empty takes the one that suits the regressor.',
            ),
            Parameter(
                'regressor',
                '',
                'Regressor that the map is made for: `anchored`, or another by its file or its '
                'name among the models. Empty takes `anchored`.',
            ),
            Parameter(
                'localizer_service',
                'aceg_localizer/load_map',
                'Service (nav_msgs/LoadMap) that gives the finished map of `~/record_and_map` to a '
                'localizer: its `load_map`, or `add_map` beside others. Empty calls none.',
                read_only=True,
            ),
        ),
    ),
)
PARAMETERS = parameters_of(GROUPS)


def settings_of(values: Mapping[str, Any]) -> Settings:
    """What the session is told; raises FitError for numbers that no fit can work with."""
    return Settings(
        recording=_absolute(values['recording']),
        map=_map_file(values['map']),
        extend=_map_file(values['extend']) if values['extend'] else None,
        rules=KeyframeRules(
            translation=values['keyframe_translation'],
            rotation_deg=values['keyframe_rotation'],
            sharpness=values['keyframe_sharpness'],
        ),
        options=MappingOptions(
            budget=values['budget'], tokens=values['tokens'], use_depth=values['use_depth']
        ),
        device=values['device'],
        encoder=values['encoder'],
        regressor=values['regressor'],
        image_suffix=f'.{values["image_format"]}',
    )


def limits_of(values: Mapping[str, Any]) -> MotionLimits:
    """How fast a camera can move."""
    return MotionLimits(speed=values['max_speed'], turn=values['max_turn_rate'])


def _absolute(path: str) -> Path:
    return Path(path.strip()).expanduser().absolute()


def _map_file(path: str) -> Path:
    file = _absolute(path)
    return file if file.suffix else file.with_suffix(SUFFIX)
