"""Parameters that nodes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aceg_ros.ros.parameter_table import Parameter, ParameterError

MATCHED, BEST_EFFORT, RELIABLE = 'auto', 'sensor_data', 'reliable'

AUTOSTART = Parameter(
    'autostart',
    True,
    'The node configures and activates itself. Set false where a lifecycle manager does that.',
    read_only=True,
)

COMPRESSED = Parameter(
    'compressed',
    False,
    'Spares the network: subscribe to sensor_msgs/CompressedImage on `<image>/compressed`. '
    'Where raw images do not arrive, these are taken all the same if there are some.',
    read_only=True,
)

IMAGE_QOS = Parameter(
    'image_qos',
    MATCHED,
    'Reliability of images: `auto` is that of their publishers. `sensor_data` (best effort) '
    'loses large images, `reliable` hears reliable publishers only.',
    choices=(MATCHED, BEST_EFFORT, RELIABLE),
    read_only=True,
)

IMAGE_TIMEOUT = Parameter(
    'image_timeout',
    1.0,
    'The camera counts as stopped after this time without a usable image.',
    unit='s',
    minimum=0.1,
    maximum=3600.0,
)

DEPTH_TOLERANCE = Parameter(
    'depth_tolerance',
    0.02,
    'Largest difference between the stamps of an image and of its depth image.',
    unit='s',
    minimum=0.0,
    maximum=1.0,
    read_only=True,
)

RIG_IMAGES = Parameter(
    'rig_images',
    '',
    'Image topics of cameras that are fixed to each other, as a list, in place of the topic '
    '`image`. `camera_info` is beside each.',
    read_only=True,
    list_too=True,
)

RIG_DEPTH = Parameter(
    'rig_depth',
    '',
    'Depth topics of the cameras of `rig_images`, in the same order, with `use_depth`. An empty '
    'one is of a camera without depth.',
    read_only=True,
    list_too=True,
)

# What every node that works on images of a camera has.
CAMERA_PARAMETERS = (
    COMPRESSED,
    Parameter(
        'rectified',
        False,
        'Images are rectified already: P of the camera info describes them, not K and D.',
        read_only=True,
    ),
    IMAGE_QOS,
    IMAGE_TIMEOUT,
    Parameter(
        'camera_frame',
        '',
        'Optical frame of the camera, for drivers that publish a wrong `frame_id`. Empty takes '
        'that of the images.',
        read_only=True,
    ),
)


def texts(value: str | Sequence[str]) -> tuple[str, ...]:
    """A text or a list of them, as a list; none for an empty text."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(value)


def rig_topics(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Image topics of a rig, none of a single camera.

    Raises ParameterError for parameters that do not go together.
    """
    topics = texts(values['rig_images'])
    if len(set(topics)) < len(topics) or '' in topics:
        raise ParameterError(f'parameter rig_images = {list(topics)}: name each camera once')
    if topics and values['camera_frame']:
        file = ', or set rig_file' if 'rig_file' in values else ''  # the mapper has none
        raise ParameterError(
            'parameter camera_frame is for a single camera: have the drivers of a rig name their '
            f'frames{file}'
        )
    return topics


def depth_topics(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Topic of the depth images of each camera; empty for one without.

    Raises ParameterError for parameters that do not go together.
    """
    images, depths = rig_topics(values), texts(values['rig_depth'])
    if not images and depths:
        raise ParameterError('parameter rig_depth is for a rig: give rig_images too')
    if not values['use_depth'] and depths:
        raise ParameterError('parameter rig_depth is not used: set use_depth to true')
    if not images:
        return ('depth' if values['use_depth'] else '',)
    if values['use_depth'] and len(depths) != len(images):
        raise ParameterError(
            f'parameter rig_images names {len(images)} topics, and rig_depth {len(depths)}: with '
            "use_depth give one for each, '' for a camera without depth"
        )
    return depths or ('',) * len(images)
