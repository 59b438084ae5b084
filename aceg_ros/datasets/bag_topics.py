"""Which topics of a bag have images, their calibration and their depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aceg_ros.datasets.bag_file import CAMERA_INFO_TYPES, IMAGE_TYPES, OTHER_IMAGE_TYPES, BagFile
from aceg_ros.datasets.bag_poses import PoseChoice
from aceg_ros.datasets.camera_info import holds_calibration, raw_topic
from aceg_ros.datasets.encodings import DEPTH_ENCODINGS
from aceg_ros.errors import CameraError, DatasetError


@dataclass(frozen=True)
class BagTopics:
    """What to take from a bag; empty: chosen from it, where that is unambiguous."""

    image: str = ''
    camera_info: str = ''
    poses: PoseChoice = field(default_factory=PoseChoice)
    depth: str | None = None  # None: depth is not read
    need_poses: bool = True  # False: images without one are taken too


def calibrated(bag: BagFile, topic: str) -> tuple[Any, int]:
    """First message that holds a calibration, and how many before it do not; else the first."""
    for index, message in enumerate(bag.messages(topic)):
        if holds_calibration(message):
            return message, index
    return bag.first(topic), 0


def image_topic(bag: BagFile, wanted: str) -> str:
    """The topic of images: the one wanted, or the only one; raises DatasetError."""
    if wanted:
        return _existing(bag, wanted, bag.topics(IMAGE_TYPES), 'images')
    pixels = _pixels_of_topics(bag)
    single = list(pixels)
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


def depth_topic(bag: BagFile, wanted: str, frame_id: str) -> str:
    """The topic of depth: the one wanted, or the only one, first of those of the images' frame.

    Empty where there is no depth. Raises DatasetError when there is a choice.
    """
    if wanted:
        return _existing(bag, wanted, bag.topics(IMAGE_TYPES), 'depth')
    found = [topic for topic, pixels in _pixels_of_topics(bag).items() if pixels == 'depth']
    registered = [
        topic for topic in found if bag.first(topic).header.frame_id.lstrip('/') == frame_id
    ]
    chosen = registered or found
    if len(chosen) > 1:
        raise DatasetError(
            f'{bag.path}: has several topics of depth; name one: '
            + '; '.join(f'--depth-topic {topic}' for topic in chosen)
        )
    return chosen[0] if chosen else ''


def _no_images(bag: BagFile, depth: list[str]) -> str:
    """What there is instead of images, and what to do."""
    others = bag.topics(OTHER_IMAGE_TYPES)
    found = [f'{topic} is {kind}, which is not read' for topic, kind in others.items()]
    if depth:
        found.append(f'taken for depth: {", ".join(depth)}')
    there = f' ({"; ".join(found)})' if found else ''
    return f'has no images{there}; record a topic of {" or ".join(IMAGE_TYPES)}'


def _pixels_of_topics(bag: BagFile) -> dict[str, str]:
    """What images are, by topic; where there are raw ones, compressed ones are the same again."""
    found = bag.topics(IMAGE_TYPES)
    single = [t for t in found if raw_topic(t) == t or raw_topic(t) not in found]
    return {topic: _pixels(topic, bag.first(topic)) for topic in single}


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


def info_topic(bag: BagFile, wanted: str, image_topic: str, frame_id: str) -> str:
    """The topic of the images' calibration: the one wanted, that beside, or of the same frame.

    Raises DatasetError when the one wanted is missing, CameraError when there is a choice.
    """
    found = bag.topics(CAMERA_INFO_TYPES)
    if wanted:
        return _existing(bag, wanted, found, 'camera_info')
    beside = raw_topic(image_topic).rpartition('/')[0] + '/camera_info'
    if beside in found:
        return beside
    frames = {topic: calibrated(bag, topic)[0].header.frame_id.lstrip('/') for topic in found}
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
