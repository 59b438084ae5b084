"""A rosbag2, sqlite3 or mcap, read without ROS through the library `rosbags`."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aceg_ros.errors import DatasetError

STORAGE_SUFFIXES = ('.mcap', '.db3')
METADATA_NAME = 'metadata.yaml'

_IMAGE = 'sensor_msgs/msg/Image'
_COMPRESSED = 'sensor_msgs/msg/CompressedImage'
IMAGE_TYPES = (_IMAGE, _COMPRESSED)
CAMERA_INFO_TYPES = ('sensor_msgs/msg/CameraInfo',)
TF_TYPES = ('tf2_msgs/msg/TFMessage',)
POSE_TYPES = (
    'geometry_msgs/msg/PoseStamped',
    'geometry_msgs/msg/PoseWithCovarianceStamped',
    'nav_msgs/msg/Odometry',
)


@dataclass(frozen=True)
class Entry:
    """Where a message lies in the bag, and the stamp (s) and frame in its header."""

    topic: str
    logged: int  # ns
    stamp: float
    frame_id: str


class BagFile:
    """An open bag; may be used from several threads."""

    def __init__(self, path: Path) -> None:
        """Open it; raises DatasetError when it is damaged, or `rosbags` is not installed."""
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise DatasetError(
                f'{path} is a rosbag; to read it install the library rosbags: pip install rosbags'
            ) from error
        self.path = path
        self._lock = threading.Lock()
        try:
            # Bags of older distributions do not describe their message types.
            self._reader = AnyReader(
                storage_files(path), default_typestore=get_typestore(Stores.ROS2_HUMBLE)
            )
            self._reader.open()
        except Exception as error:  # rosbags lets through what its parsers meet in a damaged file
            raise DatasetError(
                f'{path}: cannot be read as a rosbag ({error}). If its recording broke off, '
                '`ros2 bag reindex` or `mcap recover` may repair it'
            ) from error

    def topics(self, types: tuple[str, ...]) -> dict[str, str]:
        """Topics that have messages of one of `types`, sorted, with their type."""
        found = {
            connection.topic: connection.msgtype
            for connection in self._reader.connections
            if connection.msgtype in types and connection.msgcount
        }
        return dict(sorted(found.items()))

    def entries(self, topic: str) -> list[Entry]:
        """All messages of a topic whose type begins with a header, not decoded."""
        return [
            Entry(topic, logged, *_header(raw)) for _, logged, raw in self._raw(topic, None, None)
        ]

    def messages(self, topic: str) -> Iterator[Any]:
        """All messages of a topic in the order they were recorded."""
        for type_name, _, raw in self._raw(topic, None, None):
            yield self._decode(raw, type_name)

    def first(self, topic: str) -> Any:
        """First message of a topic; raises DatasetError when there is none."""
        message = next(self.messages(topic), None)
        if message is None:
            raise DatasetError(f'{self.path}: there is no message on {topic}')
        return message

    def message(self, entry: Entry) -> Any:
        """The message that an entry stands for."""
        for type_name, _, raw in self._raw(entry.topic, entry.logged, entry.logged + 1):
            if _header(raw)[0] == entry.stamp:
                return self._decode(raw, type_name)
        raise DatasetError(f'{self.path}: message {entry.stamp:.6f} of {entry.topic} is gone')

    def _raw(
        self, topic: str, start: int | None, stop: int | None
    ) -> Iterator[tuple[str, int, bytes]]:
        with self._lock:
            chosen = [c for c in self._reader.connections if c.topic == topic]
            messages = self._reader.messages(chosen, start, stop) if chosen else iter(())
            while True:
                try:
                    connection, logged, raw = next(messages)
                except StopIteration:
                    return
                except Exception as error:  # damage met half-way
                    raise DatasetError(f'{self.path}: is damaged ({error})') from error
                yield connection.msgtype, logged, raw

    def _decode(self, raw: bytes, type_name: str) -> Any:
        try:
            return self._reader.deserialize(raw, type_name)
        except Exception as error:
            raise DatasetError(f'{self.path}: a {type_name} cannot be decoded ({error})') from error


def storage_files(path: Path) -> list[Path]:
    """What to open of a bag: the folder with its metadata, or else its storage files."""
    if path.is_file() or (path / METADATA_NAME).is_file():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in STORAGE_SUFFIXES)


def _header(raw: bytes) -> tuple[float, str]:
    """Stamp (s) and frame of a serialized message that begins with a std_msgs/Header."""
    order = '<' if raw[1] & 1 else '>'
    seconds, nanoseconds, length = struct.unpack_from(f'{order}iII', raw, 4)
    frame_id = bytes(raw[16 : 16 + length]).rstrip(b'\0').decode('utf-8', 'replace')
    return seconds + nanoseconds * 1e-9, frame_id
