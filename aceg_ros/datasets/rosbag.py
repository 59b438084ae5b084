"""Bags of ROS 2 (sqlite3 or mcap) and ROS 1: images with their camera_info, poses, and depth.

Poses come from a topic or from TF. Topics are chosen from the bag where there is one choice only.
Images are decoded on request. The time of an image or a pose is the stamp in its header. If drivers
leave that at zero, it is the time when the recorder received it.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.bag_depth import find_depth
from aceg_ros.datasets.bag_file import (
    CAMERA_INFO_TYPES,
    COMPRESSED_SUFFIX,
    METADATA_NAME,
    ROS1_SUFFIX,
    BagFile,
    Entry,
    is_storage,
)
from aceg_ros.datasets.bag_poses import PoseAt, camera_poses
from aceg_ros.datasets.bag_topics import BagTopics, calibrated, image_topic, info_topic
from aceg_ros.datasets.base import Dataset, Frame, FrameCollector
from aceg_ros.datasets.calibration import CALIBRATION_NAMES, find_calibration, read_camera
from aceg_ros.datasets.camera_info import (
    camera_from_info,
    holds_calibration,
    is_rectified,
    rectified_from_optical,
)
from aceg_ros.datasets.encodings import decode, decode_compressed
from aceg_ros.errors import AcegError, CameraError, DatasetError, ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose

SIGNATURE = 'a rosbag: metadata.yaml with *.db3 or *.mcap, or such a file, or *.bag of ROS 1'

# Images that are looked at for their size and brightness.
PROBED = 5
# 12 bits in the place of 16 reach 16 of 255.
DARK = 24

_METADATA_KEY = 'rosbag2_bagfile_information'


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
    images = image_topic(bag, topics.image)
    (width, height), brightest = _probe(bag, images)
    if brightest < DARK:
        collector.note(
            f'{path}: images on {images} are almost black (at most {brightest} of 255); if '
            'they have fewer bits than their encoding says, have them published scaled'
        )
    entries = bag.entries(images)
    if len(entries) < bag.counted(images):
        missing = f'only {len(entries)} of {bag.counted(images)} messages can be found'
        collector.skip(images, f'{missing}; `mcap recover` may find more')
    frame_id = next((entry.frame_id for entry in entries if entry.frame_id), '').lstrip('/')
    turn = np.eye(3)
    if camera is None:
        camera, turn = _find_camera(bag, topics, images, frame_id, (width, height), collector)
    if (camera.width, camera.height) != (width, height):
        raise CameraError(
            f'{path}: images on {images} are {width}x{height}, but the calibration is for '
            f'{camera.width}x{camera.height}; give the calibration of this image size'
        )
    frame_from_camera = make_pose(turn, np.zeros(3))
    by_receipt = not any(entry.stamp for entry in entries)
    if by_receipt:
        collector.note(
            f'{path}: images on {images} have no time stamp; images and poses are paired by '
            'the time when the recorder received them, so delays count as motion'
        )
    pose_at: PoseAt | None = None
    try:
        pose_at = camera_poses(bag, topics.poses, frame_id, images, by_receipt)
    except DatasetError:
        if topics.need_poses:
            raise
    depth = find_depth(bag, topics.depth, frame_id, images, camera, frame_from_camera, by_receipt)
    for entry in entries:
        stamp = entry.logged * 1e-9 if by_receipt else entry.stamp
        name = f'{stamp:.6f}'
        if not stamp:
            collector.skip(f'{images}, received {entry.logged * 1e-9:.6f}', 'has no time stamp')
            continue
        with collector.skipping(name):
            collector.add_frame(
                Frame(
                    name=name,
                    camera=camera,
                    load_image=partial(_load, bag, entry),
                    world_from_cam=_pose(pose_at, stamp, frame_from_camera, topics.need_poses),
                    stamp=stamp,
                    load_depth=depth.load(stamp),
                    depth_camera=depth.camera,
                    color_from_depth=depth.color_from_depth,
                )
            )
    return collector.dataset(_name(path), metric=True)


def _pose(
    pose_at: PoseAt | None, stamp: float, frame_from_camera: NDArray[np.float64], needed: bool
) -> NDArray[np.float64] | None:
    if pose_at is None:
        return None
    try:
        return pose_at(stamp) @ frame_from_camera
    except AcegError:
        if needed:
            raise
        return None


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
    images: str,
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
    infos = info_topic(bag, topics.camera_info, images, frame_id)
    info, passed_over = calibrated(bag, infos)
    if not holds_calibration(info) and file is not None:
        collector.note(f'{bag.path}: {infos} is empty; the camera is that of {file.name}')
        return read_camera(file), np.eye(3)
    if passed_over and holds_calibration(info):
        collector.note(
            f'{bag.path}: the calibration is that of message {passed_over + 1} on {infos}; '
            'those before it are zeros'
        )
    rectified = is_rectified(images)
    try:
        camera = camera_from_info(info, rectified, *size)
    except CameraError as error:
        raise CameraError(f'{bag.path}: {infos}: {error}; or give --camera FILE') from error
    return camera, rectified_from_optical(info, rectified).T


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
