"""The node's parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aceg_ros.ros.camera_input import CAMERA_PARAMETERS
from aceg_ros.ros.parameters import Parameter
from aceg_ros.tracking.gate import GateOptions
from aceg_ros.tracking.modes import TfMode

AUTO = 'auto'

_GATE = GateOptions()

PARAMETERS = (
    Parameter(
        'map',
        '',
        'Map to localize in: path, file:// or package:// URL of an .aceg file; empty for none. A '
        'new value is checked before it is accepted.',
    ),
    Parameter(
        'device', 'auto', "Where networks run: 'auto', 'cpu', 'cuda' or 'cuda:N'.", read_only=True
    ),
    Parameter(
        'encoder',
        '',
        "Encoder that maps are read with: 'compact', 'dinov2' or another DINOv2 by name, or its "
        'folder; empty for the one each map was made with.',
        read_only=True,
    ),
    Parameter(
        'regressor',
        '',
        "Regressor that maps are read with: 'anchored', or an imported one by its file or its name "
        'among models; empty for the one each map was made with.',
        read_only=True,
    ),
    *CAMERA_PARAMETERS,
    Parameter(
        'max_rate',
        0.0,
        'Images localized per second at most; 0 for as many as can be.',
        minimum=0.0,
        maximum=1000.0,
    ),
    Parameter('map_frame', 'map', 'Frame of the map, in which poses are given.', read_only=True),
    Parameter('odom_frame', 'odom', 'Frame in which odometry moves the robot.', read_only=True),
    Parameter(
        'base_frame',
        'base_link',
        'Frame of the robot, whose pose is given unless tf_mode is map_to_camera.',
        read_only=True,
    ),
    Parameter(
        'tf_mode',
        AUTO,
        'Transform to publish. auto: map_to_odom where TF has odometry with the first images, else '
        'map_to_base where it has the base and the camera, else map_to_camera.',
        choices=(AUTO, *(mode.value for mode in TfMode)),
        read_only=True,
    ),
    Parameter(
        'tf_rate',
        30.0,
        'Times per second that map_to_odom is sent while localized.',
        minimum=0.1,
        maximum=1000.0,
        read_only=True,
    ),
    Parameter(
        'transform_tolerance',
        0.1,
        'Seconds that map_to_odom is dated into the future, where it is to hold as well.',
        minimum=0.0,
        maximum=60.0,
    ),
    Parameter(
        'tf_timeout',
        0.1,
        'Seconds to wait for the transforms of the time an image was taken.',
        minimum=0.0,
        maximum=10.0,
    ),
    Parameter(
        'lost_after',
        2.0,
        'Seconds of images without an accepted fix after which the robot counts as lost.',
        minimum=0.0,
        maximum=3600.0,
    ),
    Parameter(
        'relocalize_timeout',
        5.0,
        'Seconds that ~/relocalize waits for a fix.',
        minimum=0.1,
        maximum=600.0,
    ),
    Parameter(
        'min_inliers',
        60,
        'Points that must agree on a pose for it to be one.',
        minimum=6,
        maximum=10_000,
    ),
    Parameter(
        'max_speed',
        _GATE.max_speed,
        'Speed in m/s of the fastest motion, for want of odometry; what is faster is a jump.',
        minimum=0.0,
        maximum=1000.0,
    ),
    Parameter(
        'max_turn_rate',
        math.degrees(_GATE.max_turn_rate),
        'Speed in deg/s of the fastest turn, for want of odometry; what is faster is a jump.',
        minimum=0.0,
        maximum=100_000.0,
    ),
    Parameter(
        'odometry_drift',
        _GATE.odometry_drift,
        'Standard deviation of odometry as part of the way: meters per meter, and radians per '
        'radian turned or meter driven.',
        minimum=0.0001,
        maximum=10.0,
    ),
    Parameter(
        'max_mahalanobis',
        _GATE.max_mahalanobis,
        'Standard deviations from the expected pose beyond which a fix is a jump.',
        minimum=0.1,
        maximum=1e6,
    ),
    Parameter(
        'jump_fixes',
        _GATE.jump_fixes,
        'Fixes in a row that must agree on a jump before it is believed; 1 believes every fix.',
        minimum=1,
        maximum=1000,
    ),
    Parameter(
        'path_length', 1000, 'Poses that ~/path keeps; 0 for none.', minimum=0, maximum=100_000
    ),
)


def gate_options(values: Mapping[str, Any]) -> GateOptions:
    """The gate as parameters describe it."""
    return GateOptions(
        max_speed=values['max_speed'],
        max_turn_rate=math.radians(values['max_turn_rate']),
        odometry_drift=values['odometry_drift'],
        max_mahalanobis=values['max_mahalanobis'],
        jump_fixes=values['jump_fixes'],
    )
