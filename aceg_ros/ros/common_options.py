"""Parameters that nodes share."""

from __future__ import annotations

from aceg_ros.ros.parameter_table import Parameter

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
