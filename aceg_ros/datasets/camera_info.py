"""The calibration in a sensor_msgs/CameraInfo, of whatever library read the message."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.calibration_keys import camera_from_mapping
from aceg_ros.datasets.plausibility import check_calibration
from aceg_ros.errors import CameraError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix
from aceg_ros.geometry.poses import project_rotation

# Sides of an image may be rounded when it is resized; more than this is another crop.
_SAME_SHAPE = 0.02


def camera_from_info(info: Any, rectified: bool, width: int, height: int) -> Camera:
    """Camera of an image (width, height) that goes with the message `info`.

    Raw images have K and D, `rectified` ones P. Size, K, D and P are of the whole sensor: the
    region of interest is cut out, binning applied, and what remains scaled to the image's size.
    Raises CameraError when the message holds no calibration (zeros), one that cannot be used, or
    one of an image of another shape.
    """
    if not (info.width and info.height):
        raise CameraError(
            f'camera_info has size {info.width}x{info.height}: the camera is not calibrated, or '
            'its driver does not fill the message; calibrate it, and have the driver publish that'
        )
    full = _rectified(info) if rectified else _raw(info)
    roi = info.roi
    whole = not (roi.width and roi.height)
    left, top = (0, 0) if whole else (roi.x_offset, roi.y_offset)
    cut_width, cut_height = (full.width, full.height) if whole else (roi.width, roi.height)
    if left + cut_width > full.width or top + cut_height > full.height:
        raise CameraError(
            f'camera_info: region of interest {cut_width}x{cut_height} at {left}, {top} is not '
            f'within the sensor, {full.width}x{full.height}'
        )
    K = full.K
    cut = Camera(
        full.model,
        cut_width,
        cut_height,
        intrinsic_matrix(K[0, 0], K[1, 1], K[0, 2] - left, K[1, 2] - top),
        full.distortion,
    )
    expected = cut_width / max(info.binning_x, 1), cut_height / max(info.binning_y, 1)
    stretch = (width / expected[0]) / (height / expected[1]) if height else 0.0
    if abs(stretch - 1.0) > _SAME_SHAPE:
        raise CameraError(
            f'image is {width}x{height}, but its camera_info is for {expected[0]:g}x'
            f'{expected[1]:g}, which has another shape; publish the camera_info of this image'
        )
    return cut.scaled(width, height)


def raw_topic(topic: str) -> str:
    """Topic of the raw images whose compressed ones are on `topic`."""
    return topic.removesuffix('/compressed').removesuffix('/compressedDepth')


def is_rectified(topic: str) -> bool:
    """Whether images are rectified, as names say it: image_rect, image_rect_color, ..."""
    name = raw_topic(topic).rpartition('/')[2]
    return any(word.startswith('rect') for word in name.split('_'))


def holds_calibration(info: Any) -> bool:
    """Whether the message was filled: drivers send zeros until they know their camera."""
    matrices = np.concatenate([np.ravel(_field(info, 'k')), np.ravel(_field(info, 'p'))])
    return bool(info.width and info.height and np.nan_to_num(matrices[[0, 9]]).any())


def rectified_from_optical(info: Any, rectified: bool) -> NDArray[np.float64]:
    """Rotation (3, 3) from the frame in the message's header to that of the image's camera.

    The identity for raw images; rectification turns the cameras of a stereo pair.
    """
    rotation = np.array(_field(info, 'r'), dtype=np.float64).reshape(3, 3)
    if not rectified or not rotation.any():
        return np.eye(3)
    return project_rotation(rotation)


def _raw(info: Any) -> Camera:
    return camera_from_mapping(
        {
            'width': info.width,
            'height': info.height,
            'k': list(_field(info, 'k')),
            'd': list(_field(info, 'd')),
            'distortion_model': info.distortion_model,
        }
    )


def _rectified(info: Any) -> Camera:
    P = np.array(_field(info, 'p'), dtype=np.float64).reshape(3, 4)
    if not P.any():
        raise CameraError(
            'camera_info has no P, the calibration of rectified images; say that images are raw, '
            'or calibrate the camera'
        )
    camera = Camera('pinhole', info.width, info.height, P[:, :3])
    check_calibration(camera)
    return camera


def _field(info: Any, name: str) -> Any:
    """`k`, `d`, `r` or `p`, which ROS 1 writes in capitals."""
    return getattr(info, name) if hasattr(info, name) else getattr(info, name.upper())
