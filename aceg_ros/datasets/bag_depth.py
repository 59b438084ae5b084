"""The depth images in a bag, and what camera took them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.bag_file import BagFile, Entry
from aceg_ros.datasets.bag_poses import frame_in_frame
from aceg_ros.datasets.bag_topics import calibrated, depth_topic, info_topic
from aceg_ros.datasets.camera_info import camera_from_info, is_rectified, rectified_from_optical
from aceg_ros.datasets.encodings import decode_compressed_depth, decode_depth
from aceg_ros.errors import CameraError, DatasetError, ImageError, TransformError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import compose, inverse, make_pose

# Half the distance of two images at 30 Hz, with a little room.
MAX_OFFSET = 0.02  # s


@dataclass(frozen=True)
class BagDepth:
    """Depth images by stamp; `camera` and `color_from_depth` are as in `Frame`."""

    bag: BagFile
    stamps: list[float]  # s, sorted
    entries: list[Entry]
    camera: Camera | None = None
    color_from_depth: NDArray[np.float64] | None = None

    def load(self, stamp: float) -> Callable[[], NDArray[np.float32]] | None:
        """Reads the depth image (H, W) m nearest to `stamp` (s); None without one near."""
        after = bisect_left(self.stamps, stamp)
        near = range(max(after - 1, 0), min(after + 1, len(self.stamps)))
        best = min(near, key=lambda index: abs(self.stamps[index] - stamp), default=None)
        if best is None or abs(self.stamps[best] - stamp) > MAX_OFFSET:
            return None
        return partial(_load, self.bag, self.entries[best])


def find_depth(
    bag: BagFile,
    wanted: str | None,
    color_frame: str,
    images: str,
    color_camera: Camera,
    frame_from_camera: NDArray[np.float64],
    by_receipt: bool,
) -> BagDepth:
    """Depth on the topic `wanted`, as in `BagTopics.depth`, that goes with the topic `images`.

    The images' camera lies in their frame as `frame_from_camera` (4, 4) says. Depth of the same
    frame and size is registered to the images. Other depth needs a camera_info, and TF between the
    two frames: without, a DatasetError or CameraError says so.
    """
    topic = '' if wanted is None else depth_topic(bag, wanted, color_frame)
    if not topic:
        return BagDepth(bag, [], [])
    found = [(e.logged * 1e-9 if by_receipt else e.stamp, e) for e in bag.entries(topic)]
    found.sort(key=lambda pair: pair[0])
    stamps, entries = [stamp for stamp, _ in found], [entry for _, entry in found]
    first = bag.first(topic)
    frame, size = first.header.frame_id.lstrip('/'), _load(bag, entries[0]).shape
    same_frame = not color_frame or frame == color_frame
    if same_frame and size == (color_camera.height, color_camera.width):
        return BagDepth(bag, stamps, entries)
    try:
        info, _ = calibrated(bag, info_topic(bag, '', topic, frame))
        rectified = is_rectified(topic)
        camera = camera_from_info(info, rectified, size[1], size[0])
        mounting = make_pose(rectified_from_optical(info, rectified).T, np.zeros(3))
        if not same_frame:
            mounting = frame_in_frame(bag, color_frame, frame, images, stamps[0]) @ mounting
    except (CameraError, TransformError) as error:
        raise DatasetError(
            f'{bag.path}: depth on {topic} is of another camera than the images ({frame!r}, '
            f'{size[1]}x{size[0]}), and cannot be registered to them: {error}. Record its '
            'camera_info and /tf_static too, or registered depth; or map without depth'
        ) from error
    return BagDepth(bag, stamps, entries, camera, compose(inverse(frame_from_camera), mounting))


def _load(bag: BagFile, entry: Entry) -> NDArray[np.float32]:
    message = bag.message(entry)
    try:
        if not hasattr(message, 'encoding'):
            return decode_compressed_depth(message.format, message.data)
        return decode_depth(
            message.encoding,
            message.height,
            message.width,
            message.step,
            message.is_bigendian,
            message.data,
        )
    except ImageError as error:
        raise ImageError(f'{bag.path}: {entry.topic}: {error}') from error
