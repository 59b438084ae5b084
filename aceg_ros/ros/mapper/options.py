"""The node's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aceg_ros.mapping.options import MappingOptions
from aceg_ros.recording.keyframes import KeyframeRules
from aceg_ros.recording.pose_track import MotionLimits
from aceg_ros.recording.session import Settings
from aceg_ros.ros.camera_input import CAMERA_PARAMETERS
from aceg_ros.ros.parameters import Parameter

TOPIC, TF = 'topic', 'tf'

_RULES = KeyframeRules()
_LIMITS = MotionLimits()
_FIT = MappingOptions()


def _check_path(value: str) -> str | None:
    if not value.strip():
        return 'a path is needed'
    try:
        path = _absolute(value)
    except RuntimeError as error:
        return f'{value}: {error}'
    return None if path.name else f'{value} is no path to write to'


PARAMETERS = (
    Parameter(
        'recording',
        '~/.ros/aceg/recording',
        'Folder of the recording, which is continued if there is one. It cannot be changed while '
        'recording or fitting.',
        check=_check_path,
    ),
    Parameter('map', '~/.ros/aceg/map.aceg', 'File that maps are saved as.', check=_check_path),
    Parameter(
        'pose_source',
        TF,
        'Where the poses come from: tf, from map_frame to the camera, or topic, the topic pose '
        '(PoseStamped, PoseWithCovarianceStamped or Odometry).',
        choices=(TF, TOPIC),
        read_only=True,
    ),
    Parameter(
        'map_frame',
        'map',
        "Frame of the map, whose poses TF gives; those of a topic are in their message's frame.",
        read_only=True,
    ),
    Parameter(
        'pose_frame',
        '',
        'Frame whose pose the topic has; empty for the child frame of an Odometry, and otherwise '
        'for the camera itself. How the camera lies in it comes from TF.',
        read_only=True,
    ),
    Parameter(
        'pose_timeout',
        0.5,
        'Seconds to wait for the pose at the time an image was taken.',
        minimum=0.0,
        maximum=10.0,
    ),
    Parameter(
        'max_pose_gap',
        0.25,
        'Seconds between two poses of the topic at most, if an image between them is to be used.',
        minimum=0.001,
        maximum=10.0,
        read_only=True,
    ),
    Parameter(
        'max_speed',
        _LIMITS.speed,
        'Speed in m/s of the fastest motion; poses that are faster have jumped.',
        minimum=0.0,
        maximum=1000.0,
        read_only=True,
    ),
    Parameter(
        'max_turn_rate',
        _LIMITS.turn,
        'Speed in deg/s of the fastest turn; poses that are faster have jumped.',
        minimum=0.0,
        maximum=100_000.0,
        read_only=True,
    ),
    *CAMERA_PARAMETERS,
    Parameter(
        'use_depth',
        False,
        'Record depth images too, from the topic depth, and take the depth of points from them. '
        'They have to be aligned with the images and of the same size.',
        read_only=True,
    ),
    Parameter(
        'depth_tolerance',
        0.02,
        'Seconds between an image and its depth image at most.',
        minimum=0.0,
        maximum=1.0,
        read_only=True,
    ),
    Parameter(
        'keyframe_translation',
        _RULES.translation,
        'Meters to every other keyframe that make a view a new one.',
        minimum=0.0,
        maximum=100.0,
    ),
    Parameter(
        'keyframe_rotation',
        _RULES.rotation_deg,
        'Degrees to keyframes nearer than that, which make a view a new one as well.',
        minimum=0.0,
        maximum=180.0,
    ),
    Parameter(
        'keyframe_sharpness',
        _RULES.sharpness,
        'Least sharpness of a keyframe: photographs have 0.55 to 0.8, blurred ones less than 0.45; '
        '0 takes all.',
        minimum=0.0,
        maximum=1.0,
    ),
    Parameter(
        'image_format',
        'jpg',
        'How images are recorded: jpg, or png, which is without loss and four times as large.',
        choices=('jpg', 'png'),
        read_only=True,
    ),
    Parameter(
        'add_keyframe_timeout',
        3.0,
        'Seconds that ~/add_keyframe waits for an image with a pose.',
        minimum=0.1,
        maximum=60.0,
    ),
    Parameter('budget', _FIT.budget, 'Seconds for a fit at most.', minimum=1.0, maximum=86_400.0),
    Parameter('tokens', _FIT.tokens, 'Size of the map code.', minimum=64, maximum=100_000),
    Parameter('device', 'auto', "Where the fit runs: 'auto', 'cpu', 'cuda' or 'cuda:N'."),
    Parameter(
        'localizer_service',
        'aceg_localizer/load_map',
        'Service (nav_msgs/LoadMap) that ~/record_and_map tells to load the map; empty for none.',
        read_only=True,
    ),
)


def settings_of(values: Mapping[str, Any]) -> Settings:
    """What the session is told; raises FitError for numbers that no fit can work with."""
    return Settings(
        recording=_absolute(values['recording']),
        map=_map_file(values['map']),
        rules=KeyframeRules(
            translation=values['keyframe_translation'],
            rotation_deg=values['keyframe_rotation'],
            sharpness=values['keyframe_sharpness'],
        ),
        options=MappingOptions(
            budget=values['budget'], tokens=values['tokens'], use_depth=values['use_depth']
        ),
        device=values['device'],
        image_suffix=f'.{values["image_format"]}',
    )


def limits_of(values: Mapping[str, Any]) -> MotionLimits:
    """How fast a camera can move."""
    return MotionLimits(speed=values['max_speed'], turn=values['max_turn_rate'])


def _absolute(path: str) -> Path:
    return Path(path.strip()).expanduser().absolute()


def _map_file(path: str) -> Path:
    file = _absolute(path)
    return file if file.suffix else file.with_suffix('.aceg')
