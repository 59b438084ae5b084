"""Bags of ROS 2 (sqlite3 or mcap) and ROS 1: images with their camera_info, and poses.

Poses come from a topic or from TF. Topics are chosen from the bag where there is one choice only.
Images are decoded on request. The time of an image or a pose is the stamp in its header. If drivers
leave that at zero, it is the time when the recorder received it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.bag_file import (
    CAMERA_INFO_TYPES,
    COMPRESSED_SUFFIX,
    IMAGE_TYPES,
    METADATA_NAME,
    OTHER_IMAGE_TYPES,
    ROS1_SUFFIX,
    BagFile,
    Entry,
    is_storage,
)
from aceg_ros.datasets.bag_poses import PoseChoice, camera_poses
from aceg_ros.datasets.base import Dataset, Frame, FrameCollector
from aceg_ros.datasets.calibration import CALIBRATION_NAMES, find_calibration, read_camera
from aceg_ros.datasets.camera_info import (
    camera_from_info,
    holds_calibration,
    rectified_from_optical,
)
from aceg_ros.datasets.encodings import DEPTH_ENCODINGS, decode, decode_compressed
from aceg_ros.errors import CameraError, DatasetError, ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose

SIGNATURE = 'a rosbag: metadata.yaml with *.db3 or *.mcap, or such a file, or *.bag of ROS 1'

# Images that are looked at for their size and brightness.
PROBED = 5
# 12 bits in the place of 16 reach 16 of 255.
DARK = 24

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
        return is_storage(path)
    if not path.is_dir():
        return False
    metadata = path / METADATA_NAME
    if metadata.is_file():
        with metadata.open('rb') as file:
            return _METADATA_KEY.encode() in file.read(1000)
    found = [file for file in path.iterdir() if is_storage(file)]
    # Benchmarks put a bag of ROS 1 beside the same data in files; the files are easier.
    if all(file.suffix == ROS1_SUFFIX for file in found):
        return bool(found) and not any(file.is_dir() for file in path.iterdir())
    return True


def read(path: Path, topics: BagTopics | None = None, camera: Camera | None = None) -> Dataset:
    """Read a bag; `camera` stands in for its camera_info.

    Without a camera_info, a calibration file in the bag's folder is taken. Raises DatasetError,
    which lists the choices there are, or CameraError.
    """
    topics = topics or BagTopics()
    bag = BagFile(path)
    collector = FrameCollector()
    image_topic = _image_topic(bag, topics.image)
    (width, height), brightest = _probe(bag, image_topic)
    if brightest < DARK:
        collector.note(
            f'{path}: images on {image_topic} are almost black (at most {brightest} of 255); if '
            'they have fewer bits than their encoding says, have them published scaled'
        )
    entries = bag.entries(image_topic)
    if len(entries) < bag.counted(image_topic):
        missing = f'only {len(entries)} of {bag.counted(image_topic)} messages can be found'
        collector.skip(image_topic, f'{missing}; `mcap recover` may find more')
    frame_id = next((entry.frame_id for entry in entries if entry.frame_id), '').lstrip('/')
    turn = np.eye(3)
    if camera is None:
        camera, turn = _find_camera(bag, topics, image_topic, frame_id, (width, height), collector)
    if (camera.width, camera.height) != (width, height):
        raise CameraError(
            f'{path}: images on {image_topic} are {width}x{height}, but the calibration is for '
            f'{camera.width}x{camera.height}; give the calibration of this image size'
        )
    frame_from_camera = make_pose(turn, np.zeros(3))
    by_receipt = not any(entry.stamp for entry in entries)
    if by_receipt:
        collector.note(
            f'{path}: images on {image_topic} have no time stamp; images and poses are paired by '
            'the time when the recorder received them, so delays count as motion'
        )
    pose_at = camera_poses(bag, topics.poses, frame_id, by_receipt)
    for entry in entries:
        stamp = entry.logged * 1e-9 if by_receipt else entry.stamp
        name = f'{stamp:.6f}'
        if not stamp:
            collector.skip(
                f'{image_topic}, received {entry.logged * 1e-9:.6f}', 'has no time stamp'
            )
            continue
        with collector.skipping(name):
            collector.add_frame(
                Frame(
                    name=name,
                    camera=camera,
                    load_image=partial(_load, bag, entry),
                    world_from_cam=pose_at(stamp) @ frame_from_camera,
                    stamp=stamp,
                )
            )
    return collector.dataset(_name(path), metric=True)


def _probe(bag: BagFile, topic: str) -> tuple[tuple[int, int], int]:
    """Width and height of most of the first images, and their brightest value.

    Cameras begin with broken images at times.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    brightest = 0
    problem: ImageError | None = None
    for message in islice(bag.messages(topic), PROBED):
        try:
            image = _decode(message)
            sizes[image.shape[1], image.shape[0]] += 1
            brightest = max(brightest, int(image.max()))
        except ImageError as error:
            problem = problem or error
    if not sizes:
        raise ImageError(f'{bag.path}: {topic}: {problem}') from problem
    return sizes.most_common(1)[0][0], brightest


def _find_camera(
    bag: BagFile,
    topics: BagTopics,
    image_topic: str,
    frame_id: str,
    size: tuple[int, int],
    collector: FrameCollector,
) -> tuple[Camera, NDArray[np.float64]]:
    """The images' camera, and its rotation (3, 3) in the frame that the images name."""
    folder = bag.path if bag.path.is_dir() else bag.path.parent
    file = find_calibration(folder)
    if not bag.topics(CAMERA_INFO_TYPES):
        if file is None:
            raise CameraError(
                f'{bag.path}: has no camera_info; record it with the images, put a '
                f'{CALIBRATION_NAMES[0]} into {folder}, or give the calibration by --camera FILE'
            )
        collector.note(f'{bag.path}: has no camera_info; the camera is that of {file.name}')
        return read_camera(file), np.eye(3)
    info_topic = _info_topic(bag, topics.camera_info, image_topic, frame_id)
    info, passed_over = _calibrated(bag, info_topic)
    if not holds_calibration(info) and file is not None:
        collector.note(f'{bag.path}: {info_topic} is empty; the camera is that of {file.name}')
        return read_camera(file), np.eye(3)
    if passed_over and holds_calibration(info):
        collector.note(
            f'{bag.path}: the calibration is that of message {passed_over + 1} on {info_topic}; '
            'those before it are zeros'
        )
    rectified = _is_rectified(image_topic)
    try:
        camera = camera_from_info(info, rectified, *size)
    except CameraError as error:
        raise CameraError(f'{bag.path}: {info_topic}: {error}; or give --camera FILE') from error
    return camera, rectified_from_optical(info, rectified).T


def _calibrated(bag: BagFile, topic: str) -> tuple[Any, int]:
    """First message that holds a calibration, and how many before it do not; else the first."""
    for index, message in enumerate(bag.messages(topic)):
        if holds_calibration(message):
            return message, index
    return bag.first(topic), 0


def _name(path: Path) -> str:
    name = path.resolve().name
    return name if path.is_dir() else Path(name.removesuffix(COMPRESSED_SUFFIX)).stem


def _load(bag: BagFile, entry: Entry) -> NDArray[np.uint8]:
    try:
        return _decode(bag.message(entry))
    except ImageError as error:
        raise ImageError(f'{bag.path}: {entry.topic}: {error}') from error


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
    return decode_compressed(message.data, message.format)


def _image_topic(bag: BagFile, wanted: str) -> str:
    found = bag.topics(IMAGE_TYPES)
    if wanted:
        return _existing(bag, wanted, found, 'images')
    # A camera's compressed images are the same as its raw ones.
    single = [
        topic
        for topic in found
        if topic.removesuffix(_COMPRESSED) == topic or topic.removesuffix(_COMPRESSED) not in found
    ]
    pixels = {topic: _pixels(topic, bag.first(topic)) for topic in single}
    # Gray of 16 bits is a picture of an infrared camera, or depth.
    color = [topic for topic in single if pixels[topic] == 'picture'] or [
        topic for topic in single if pixels[topic] == 'gray'
    ]
    if len(color) == 1:
        return color[0]
    if not color:
        raise DatasetError(f'{bag.path}: {_no_images(bag, single)}')
    raise DatasetError(
        f'{bag.path}: has several image topics; name one: '
        + '; '.join(f'--image-topic {topic}' for topic in color)
    )


def _no_images(bag: BagFile, depth: list[str]) -> str:
    """What there is instead of images, and what to do."""
    others = bag.topics(OTHER_IMAGE_TYPES)
    found = [f'{topic} is {kind}, which is not read' for topic, kind in others.items()]
    if depth:
        found.append(f'taken for depth: {", ".join(depth)}')
    there = f' ({"; ".join(found)})' if found else ''
    return f'has no images{there}; record a topic of {" or ".join(IMAGE_TYPES)}'


def _is_rectified(topic: str) -> bool:
    """As names say it: image_rect, image_rect_color, ..."""
    name = topic.removesuffix(_COMPRESSED).rpartition('/')[2]
    return any(word.startswith('rect') for word in name.split('_'))


def _pixels(topic: str, message: Any) -> str:
    """'picture', 'depth', or 'gray' of 16 bits, which may be either."""
    if hasattr(message, 'encoding'):
        encoding, depth = message.encoding, message.encoding in DEPTH_ENCODINGS
    else:
        encoding = message.format.partition(';')[0].strip()
        depth = 'compressedDepth' in message.format or encoding in DEPTH_ENCODINGS
    if not depth:
        return 'picture'
    named_depth = 'depth' in topic.lower() or 'compressedDepth' in getattr(message, 'format', '')
    return 'gray' if encoding == 'mono16' and not named_depth else 'depth'


def _info_topic(bag: BagFile, wanted: str, image_topic: str, frame_id: str) -> str:
    found = bag.topics(CAMERA_INFO_TYPES)
    if wanted:
        return _existing(bag, wanted, found, 'camera_info')
    beside = image_topic.removesuffix(_COMPRESSED).rpartition('/')[0] + '/camera_info'
    if beside in found:
        return beside
    frames = {topic: _calibrated(bag, topic)[0].header.frame_id.lstrip('/') for topic in found}
    same_frame = [topic for topic, frame in frames.items() if frame == frame_id]
    if len(same_frame) == 1:
        return same_frame[0]
    raise CameraError(
        f'{bag.path}: it is not clear which camera_info belongs to {image_topic}; name one: '
        + '; '.join(f'--camera-info-topic {topic}' for topic in found)
    )


def _existing(bag: BagFile, wanted: str, found: dict[str, str], what: str) -> str:
    if wanted not in found:
        choices = ', '.join(found) or 'none'
        raise DatasetError(f'{bag.path}: has no {what} on {wanted}; there are: {choices}')
    return wanted
