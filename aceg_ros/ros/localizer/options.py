"""Parameters of the localizer, and what they mean to its parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.datasets.rig import read_mounts
from aceg_ros.geometry.motion import MotionLimits
from aceg_ros.geometry.poses import Array, make_pose
from aceg_ros.localization.options import GateOptions as PoseGate
from aceg_ros.ros.common_options import (
    AUTOSTART,
    CAMERA_PARAMETERS,
    DEPTH_TOLERANCE,
    RIG_DEPTH,
    RIG_IMAGES,
    rig_topics,
)
from aceg_ros.ros.middleware.rotations import rotation_from_euler
from aceg_ros.ros.parameter_table import Group, Parameter, ParameterError, parameters_of
from aceg_ros.tracking.gate import GateOptions
from aceg_ros.tracking.modes import TfMode
from aceg_ros.tracking.pose_prior import believable

AUTO = 'auto'

_GATE = GateOptions()

GROUPS = (
    Group('Lifecycle', (AUTOSTART,)),
    Group(
        'Map and networks',
        (
            Parameter(
                'map',
                '',
                'Map to localize in: path, `file://` or `package://` URL of an `.aceg` file, or of '
                'a folder of them. Several are given as a list.',
                list_too=True,
            ),
            Parameter(
                'device',
                'auto',
                'Device that networks run on: `cpu`, `cuda` or `cuda:N`. `auto` takes a GPU where '
                'there is one.',
                read_only=True,
            ),
            Parameter(
                'threads',
                0,
                'Threads that networks and OpenCV compute with. 0: one for `wide` and `compact`, '
                'which is quick; for others and OpenCV one for each core.',
                minimum=0,
                maximum=1024,
                read_only=True,
            ),
            Parameter(
                'encoder',
                '',
                'Image encoder: `wide`, `wide-int8` for small computers, `compact`, `dinov2`, '
                'another DINOv2 by name, or its folder. Empty takes that of each map.',
                read_only=True,
            ),
            Parameter(
                'regressor',
                '',
                'Regressor of scene coordinates: `anchored`, or another by its file or its name '
                'among the models. Empty takes the one that each map needs.',
                read_only=True,
            ),
        ),
    ),
    Group(
        'Camera',
        (
            *CAMERA_PARAMETERS,
            Parameter(
                'use_depth',
                False,
                'Refuses poses that the topic `depth` contradicts. Depth of another camera is '
                'registered to the images by `camera_info` beside it and TF.',
                read_only=True,
            ),
            DEPTH_TOLERANCE,
            Parameter(
                'max_rate',
                0.0,
                'Leaves computing time to other programs: highest rate of localized images. 0 sets '
                'no limit.',
                unit='Hz',
                minimum=0.0,
                maximum=1000.0,
            ),
        ),
    ),
    Group(
        'Rig of cameras',
        (
            RIG_IMAGES,
            RIG_DEPTH,
            Parameter(
                'rig_file',
                '',
                'File that says where each of these cameras is on `base_frame`, in the same order, '
                'as for `aceg map`. Empty: TF says so.',
                read_only=True,
            ),
            Parameter(
                'rig_tolerance',
                0.02,
                'Largest difference between the stamps of images that are localized together.',
                unit='s',
                minimum=0.0,
                maximum=1.0,
                read_only=True,
            ),
        ),
    ),
    Group(
        'Frames and TF',
        (
            Parameter(
                'map_frame',
                'map',
                'Frame that poses are given in. Of several maps each has a frame of its own.',
                read_only=True,
            ),
            Parameter(
                'map_frames',
                'map_{name}',
                'Frame of each map where several are in use. `{name}` stands for the name of its '
                'file, without `.aceg`.',
                read_only=True,
            ),
            Parameter(
                'odom_frame',
                'odom',
                'Frame in which odometry gives the pose of the robot.',
                read_only=True,
            ),
            Parameter(
                'base_frame',
                'base_link',
                'Frame of the robot, whose pose is published unless `tf_mode` is `map_to_camera`. '
                "Empty, with `tf_mode` `none`: the camera's pose.",
                read_only=True,
            ),
            Parameter(
                'tf_mode',
                AUTO,
                'Transform to publish. `auto` chooses by what TF has in the first 3 s of images; '
                'name one where parts of the robot start later.',
                choices=(AUTO, *(mode.value for mode in TfMode)),
                read_only=True,
            ),
            Parameter(
                'tf_rate',
                30.0,
                'Rate at which `map -> odom` is sent while the robot is localized.',
                unit='Hz',
                minimum=0.1,
                maximum=1000.0,
                read_only=True,
            ),
            Parameter(
                'transform_tolerance',
                0.1,
                '`map -> odom` is stamped this far into the future, so that it is valid until it '
                'is sent again.',
                unit='s',
                minimum=0.0,
                maximum=60.0,
            ),
            Parameter(
                'tf_timeout',
                0.1,
                'Odometry comes later than its image: longest wait for transforms at the stamp of '
                'the image.',
                unit='s',
                minimum=0.0,
                maximum=10.0,
            ),
        ),
    ),
    Group(
        'Starting pose',
        (
            Parameter(
                'set_initial_pose',
                False,
                'The search begins near `initial_pose` when the node becomes active, as if it came '
                'on `initialpose`.',
            ),
            *(
                Parameter(
                    f'initial_pose.{name}',
                    0.0,
                    description,
                    unit=unit,
                    minimum=-bound,
                    maximum=bound,
                )
                for name, unit, bound, description in (
                    ('x', 'm', 1e8, 'Where that is in the map, of several in the first.'),
                    ('y', 'm', 1e8, 'The same along y.'),
                    ('z', 'm', 1e8, 'The same along z.'),
                    (
                        'yaw',
                        'rad',
                        6.2832,
                        'Its turn about the z axis of the map, from the x axis.',
                    ),
                )
            ),
        ),
    ),
    Group(
        'Acceptance of poses',
        (
            Parameter(
                'min_confidence',
                PoseGate().min_confidence,
                'Probability of being right that a pose must have to be given out. More refuses '
                'more right poses, less lets more wrong ones through.',
                minimum=0.0,
                maximum=1.0,
            ),
            Parameter(
                'max_mahalanobis',
                _GATE.max_mahalanobis,
                'A pose farther than this from the expected one counts as a jump, and is held back '
                'until `jump_fixes` poses agree.',
                unit='standard deviations',
                minimum=0.1,
                maximum=1e6,
            ),
            Parameter(
                'jump_fixes',
                _GATE.jump_fixes,
                'Consecutive poses that must agree on a jump, or on a change of the map, before it '
                'is accepted. 1 accepts every pose.',
                unit='poses',
                minimum=1,
                maximum=1000,
            ),
            Parameter(
                'odometry_drift',
                _GATE.odometry_drift,
                'Odometry drifts: its standard deviation per distance and per angle turned, by '
                'which the expected pose becomes less certain.',
                unit='m/m, rad/rad and rad/m',
                minimum=0.0001,
                maximum=10.0,
            ),
            Parameter(
                'max_speed',
                _GATE.motion.speed,
                'Highest speed of the robot. Without odometry, a pose that needs more counts as a '
                'jump.',
                unit='m/s',
                minimum=0.0,
                maximum=1000.0,
            ),
            Parameter(
                'max_turn_rate',
                _GATE.motion.turn,
                'Highest turn rate of the robot. Without odometry, a pose that needs more counts '
                'as a jump.',
                unit='deg/s',
                minimum=0.0,
                maximum=100_000.0,
            ),
            Parameter(
                'lost_after',
                2.0,
                'An old pose misleads: after this time of images without an accepted pose, the '
                'robot is lost and nothing is published.',
                unit='s',
                minimum=0.0,
                maximum=3600.0,
            ),
            Parameter(
                'relocalize_timeout',
                5.0,
                'Time that `~/relocalize` waits for an accepted pose.',
                unit='s',
                minimum=0.1,
                maximum=600.0,
            ),
        ),
    ),
    Group(
        'Display',
        (
            Parameter(
                'path_length',
                1000,
                'Poses that `~/path` keeps. 0 keeps none.',
                unit='poses',
                minimum=0,
                maximum=100_000,
            ),
        ),
    ),
)
PARAMETERS = parameters_of(GROUPS)


def rig_of(values: Mapping[str, Any]) -> tuple[tuple[str, ...], Array | None]:
    """Image topics of a rig, none of a single camera, and base_from_cam (C, 4, 4) of its file.

    Without a file that is None. Raises ParameterError for parameters that do not go together,
    DatasetError for a file that cannot be read.
    """
    topics, file = rig_topics(values), values['rig_file']
    if file and not topics:
        raise ParameterError('parameter rig_file is for a rig: give rig_images too')
    if not file:
        return topics, None
    mounts = read_mounts(Path(file).expanduser())
    if len(mounts) != len(topics):
        raise ParameterError(
            f'parameter rig_images names {len(topics)} topics, and {file} {len(mounts)} cameras: '
            'give one for each, in the same order'
        )
    return topics, mounts


def initial_pose(values: Mapping[str, Any]) -> tuple[Array, Array]:
    """map_from_body (4, 4) of a body that looks along its x axis, and a wide covariance (6, 6)."""
    x, y, z, yaw = (values[f'initial_pose.{name}'] for name in ('x', 'y', 'z', 'yaw'))
    pose = make_pose(rotation_from_euler(0.0, 0.0, yaw), [x, y, z])
    return pose, believable(np.zeros((6, 6)))


def gate_options(values: Mapping[str, Any]) -> GateOptions:
    """The gate as parameters describe it."""
    return GateOptions(
        motion=MotionLimits(values['max_speed'], values['max_turn_rate']),
        odometry_drift=values['odometry_drift'],
        max_mahalanobis=values['max_mahalanobis'],
        jump_fixes=values['jump_fixes'],
    )
