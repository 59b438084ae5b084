"""Bags of ROS 2 (sqlite3 or mcap): images with their camera_info, and poses from a topic or TF.

Topics are chosen from the bag where there is one choice only. Images are decoded when they are
asked for; the time of an image, and of a pose, is the stamp in its header.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.bag_file import (
    CAMERA_INFO_TYPES,
    IMAGE_TYPES,
    METADATA_NAME,
    STORAGE_SUFFIXES,
    BagFile,
    Entry,
)
from aceg_ros.datasets.bag_poses import PoseChoice, camera_poses
from aceg_ros.datasets.base import Dataset, Frame, FrameCollector
from aceg_ros.datasets.camera_info import camera_from_info, rectified_from_optical
from aceg_ros.datasets.encodings import DEPTH_ENCODINGS, decode, decode_compressed
from aceg_ros.errors import CameraError, DatasetError
from aceg_ros.geometry.poses import make_pose

SIGNATURE = 'a rosbag: metadata.yaml with *.db3 or *.mcap, or such a file'

_METADATA_KEY = 'rosbag2_bagfile_information'
_COMPRESSED = '/compressed'


@dataclass(frozen=True)
class BagTopics:
    """What to take from a bag; empty: chosen from it, where that is unambiguous."""

    image: str = ''
    camera_info: str = ''
    poses: PoseChoice = field(default_factory=PoseChoice)


def recognize(path: Path) -> bool:
    """Whether `path` is a bag, or a file of one."""
    if path.is_file():
        return path.suffix in STORAGE_SUFFIXES
    if not path.is_dir():
        return False
    metadata = path / METADATA_NAME
    if metadata.is_file():
        with metadata.open('rb') as file:
            return _METADATA_KEY.encode() in file.read(1000)
    return any(file.suffix in STORAGE_SUFFIXES for file in path.iterdir())


def read(path: Path, topics: BagTopics | None = None) -> Dataset:
    """Read a bag. Raises DatasetError, which lists the choices there are, or CameraError."""
    topics = topics or BagTopics()
    bag = BagFile(path)
    image_topic = _image_topic(bag, topics.image)
    image = _decode(bag.first(image_topic))
    entries = bag.entries(image_topic)
    frame_id = entries[0].frame_id.lstrip('/')
    info = bag.first(_info_topic(bag, topics.camera_info, image_topic, frame_id))
    rectified = _is_rectified(image_topic)
    try:
        camera = camera_from_info(info, rectified, image.shape[1], image.shape[0])
    except CameraError as error:
        raise CameraError(f'{path}: {error}') from error
    frame_from_camera = make_pose(rectified_from_optical(info, rectified).T, np.zeros(3))
    pose_at = camera_poses(bag, topics.poses, frame_id)
    collector = FrameCollector()
    for entry in entries:
        name = f'{entry.stamp:.6f}'
        with collector.skipping(name):
            collector.add_frame(
                Frame(
                    name=name,
                    camera=camera,
                    load_image=partial(_load, bag, entry),
                    world_from_cam=pose_at(entry.stamp) @ frame_from_camera,
                    stamp=entry.stamp,
                )
            )
    return collector.dataset(path.resolve().stem, metric=True)


def _load(bag: BagFile, entry: Entry) -> NDArray[np.uint8]:
    return _decode(bag.message(entry))


def _decode(message: Any) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of an Image or CompressedImage; raises ImageError."""
    if hasattr(message, 'encoding'):
        return decode(
            message.encoding,
            message.height,
            message.width,
            message.step,
            message.is_bigendian,
            message.data,
        )
    return decode_compressed(message.data)


def _image_topic(bag: BagFile, wanted: str) -> str:
    found = bag.topics(IMAGE_TYPES)
    if wanted:
        return _existing(bag, wanted, found, 'images')
    # A camera's compressed images are the same as its raw ones.
    color = [
        topic
        for topic in found
        if topic.removesuffix(_COMPRESSED) == topic or topic.removesuffix(_COMPRESSED) not in found
        if not _is_depth(bag.first(topic))
    ]
    if len(color) == 1:
        return color[0]
    if not color:
        raise DatasetError(f'{bag.path}: has no images; record a topic of {IMAGE_TYPES[0]}')
    raise DatasetError(
        f'{bag.path}: has several image topics; name one: '
        + '; '.join(f'--image-topic {topic}' for topic in color)
    )


def _is_rectified(topic: str) -> bool:
    """As names say it: image_rect, image_rect_color, ..."""
    name = topic.removesuffix(_COMPRESSED).rpartition('/')[2]
    return any(word.startswith('rect') for word in name.split('_'))


def _is_depth(message: Any) -> bool:
    if hasattr(message, 'encoding'):
        return message.encoding in DEPTH_ENCODINGS
    return 'compressedDepth' in message.format or message.format.startswith('16UC1')


def _info_topic(bag: BagFile, wanted: str, image_topic: str, frame_id: str) -> str:
    found = bag.topics(CAMERA_INFO_TYPES)
    if wanted:
        return _existing(bag, wanted, found, 'camera_info')
    beside = image_topic.removesuffix(_COMPRESSED).rpartition('/')[0] + '/camera_info'
    if beside in found:
        return beside
    same_frame = [t for t in found if bag.first(t).header.frame_id.lstrip('/') == frame_id]
    if len(same_frame) == 1:
        return same_frame[0]
    if not found:
        raise CameraError(
            f'{bag.path}: has no camera_info; record it with the images, or name another bag'
        )
    raise CameraError(
        f'{bag.path}: it is not clear which camera_info belongs to {image_topic}; name one: '
        + '; '.join(f'--camera-info-topic {topic}' for topic in found)
    )


def _existing(bag: BagFile, wanted: str, found: dict[str, str], what: str) -> str:
    if wanted not in found:
        choices = ', '.join(found) or 'none'
        raise DatasetError(f'{bag.path}: has no {what} on {wanted}; there are: {choices}')
    return wanted
