"""A bag of ROS 2 (sqlite3 or mcap) or ROS 1, read without ROS through the library `rosbags`."""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aceg_ros.datasets.zstandard import MAGIC, decompress, decompress_file
from aceg_ros.errors import DatasetError

STORAGE_SUFFIXES = ('.mcap', '.db3')
ROS1_SUFFIX = '.bag'
COMPRESSED_SUFFIX = '.zstd'
METADATA_NAME = 'metadata.yaml'

_IMAGE = 'sensor_msgs/msg/Image'
_COMPRESSED = 'sensor_msgs/msg/CompressedImage'
IMAGE_TYPES = (_IMAGE, _COMPRESSED)
CAMERA_INFO_TYPES = ('sensor_msgs/msg/CameraInfo',)
# Streams of video, and what Foxglove's tools record, which are not read.
OTHER_IMAGE_TYPES = (
    'ffmpeg_image_transport_msgs/msg/FFMPEGPacket',
    'foxglove_msgs/msg/CompressedImage',
    'foxglove_msgs/msg/CompressedVideo',
    'foxglove_msgs/msg/RawImage',
    'theora_image_transport/msg/Packet',
)
TF_TYPES = ('tf2_msgs/msg/TFMessage', 'tf/msg/tfMessage')
POSE_TYPES = (
    'geometry_msgs/msg/PoseStamped',
    'geometry_msgs/msg/PoseWithCovarianceStamped',
    'nav_msgs/msg/Odometry',
)
# What motion capture sends. Other things send it too, so it counts only where nothing else does.
TRANSFORM_TYPES = ('geometry_msgs/msg/TransformStamped',)


@dataclass(frozen=True)
class Entry:
    """Where a message lies in the bag, and the stamp (s) and frame in its header."""

    topic: str
    logged: int  # ns, when the recorder received it
    stamp: float  # 0 where nobody filled it
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
                f'{path} is a rosbag; to read it install the library rosbags: pip install '
                'rosbags-image'
            ) from error
        self.path = path
        self._lock = threading.Lock()
        self._unpacked: TemporaryDirectory[str] | None = None
        files = [self._plain(file) for file in storage_files(path)]
        self._ros1 = files[0].suffix == ROS1_SUFFIX
        store = Stores.ROS1_NOETIC if self._ros1 else Stores.ROS2_HUMBLE
        try:
            # Bags of older distributions do not describe their message types.
            self._reader = AnyReader(files, default_typestore=get_typestore(store))
            self._reader.open()
        except Exception as error:  # rosbags lets through what its parsers meet in a damaged file
            repair = '`rosbag reindex`' if self._ros1 else '`ros2 bag reindex` or `mcap recover`'
            raise DatasetError(
                f'{path}: cannot be read as a rosbag ({in_words(error)}). If its recording broke '
                f'off, {repair} may repair it'
            ) from error

        # The library takes what metadata.yaml says as it is.
        for connection in self._reader.connections:
            named = isinstance(connection.topic, str) and isinstance(connection.msgtype, str)
            if not (named and isinstance(connection.msgcount, int)):
                raise DatasetError(
                    f'{path}: {METADATA_NAME} names a topic {connection.topic!r} with '
                    f'{connection.msgcount!r} messages; `ros2 bag reindex` writes it anew'
                )

    def topics(self, types: tuple[str, ...]) -> dict[str, str]:
        """Topics that have messages of one of `types`, sorted, with their type.

        Raises DatasetError for a bag that counts no messages at all.
        """
        connections = self._reader.connections
        if not any(connection.msgcount for connection in connections):
            raise DatasetError(
                f'{self.path}: counts no messages on any of its {len(connections)} topics; it is '
                'empty, or an mcap file without index, which `mcap recover IN.mcap -o OUT.mcap` '
                'writes anew'
            )
        found = {
            connection.topic: connection.msgtype
            for connection in connections
            if connection.msgtype in types and connection.msgcount
        }
        return dict(sorted(found.items()))

    def counted(self, topic: str) -> int:
        """How many messages of a topic there are by the bag's own account."""
        return sum(c.msgcount for c in self._reader.connections if c.topic == topic)

    def entries(self, topic: str) -> list[Entry]:
        """All messages of a topic whose type begins with a header, not decoded."""
        return [
            Entry(topic, logged, *self._header(raw))
            for _, logged, raw in self._raw(topic, None, None)
        ]

    def messages(self, topic: str) -> Iterator[Any]:
        """All messages of a topic in the order they were recorded."""
        return (message for _, message in self.timed_messages(topic))

    def timed_messages(self, topic: str) -> Iterator[tuple[int, Any]]:
        """All messages of a topic, each with the time (ns) when the recorder received it."""
        for type_name, logged, raw in self._raw(topic, None, None):
            yield logged, self._decode(raw, type_name)

    def first(self, topic: str) -> Any:
        """First message of a topic; raises DatasetError when there is none."""
        message = next(self.messages(topic), None)
        if message is not None:
            return message
        counted = self.counted(topic)
        if not counted:
            raise DatasetError(f'{self.path}: there is no message on {topic}')
        raise DatasetError(
            f'{self.path}: it counts {counted} messages on {topic}, but none can be found: the '
            'file lacks its message index. `mcap recover IN.mcap -o OUT.mcap` writes it anew; give '
            'the new file'
        )

    def message(self, entry: Entry) -> Any:
        """The message that an entry stands for."""
        for type_name, _, raw in self._raw(entry.topic, entry.logged, entry.logged + 1):
            if self._header(raw)[0] == entry.stamp:
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
                    raise DatasetError(f'{self.path}: is damaged ({in_words(error)})') from error
                # Compressed one by one, which only metadata.yaml says.
                if raw[:4] == MAGIC:
                    raw = decompress(raw, self.path)
                yield connection.msgtype, logged, raw

    def _decode(self, raw: bytes, type_name: str) -> Any:
        try:
            return self._reader.deserialize(raw, type_name)
        except Exception as error:
            raise DatasetError(
                f'{self.path}: a {type_name} cannot be decoded ({in_words(error)})'
            ) from error

    def _header(self, raw: bytes) -> tuple[float, str]:
        """Stamp (s) and frame of a serialized message that begins with a std_msgs/Header."""
        # ROS 1 has a counter where CDR has four bytes of its own.
        order = '<' if self._ros1 or (len(raw) > 1 and raw[1] & 1) else '>'
        try:
            seconds, nanoseconds, length = struct.unpack_from(f'{order}iII', raw, 4)
        except struct.error as error:
            raise DatasetError(
                f'{self.path}: is damaged (a message of {len(raw)} bytes has no header)'
            ) from error
        frame_id = bytes(raw[16 : 16 + length]).rstrip(b'\0').decode('utf-8', 'replace')
        return seconds + nanoseconds * 1e-9, frame_id

    def _plain(self, file: Path) -> Path:
        """The file itself, or where it was unpacked for as long as the bag is open."""
        misnamed = file.suffix == ROS1_SUFFIX and file.is_dir()
        if file.suffix != COMPRESSED_SUFFIX and not misnamed:
            return file
        if self._unpacked is None:
            self._unpacked = TemporaryDirectory(prefix='aceg_bag_')
        plain = Path(self._unpacked.name) / file.stem
        if misnamed:
            # `ros2 bag record -o drive.bag` makes such a folder; rosbags expects a bag of ROS 1.
            plain.symlink_to(file.resolve(), target_is_directory=True)
        else:
            decompress_file(file, plain)
        return plain


def is_storage(file: Path) -> bool:
    """Whether a file's name is that of a bag, or of a part of one."""
    name = file.name.removesuffix(COMPRESSED_SUFFIX)
    return name.endswith(STORAGE_SUFFIXES) or file.suffix == ROS1_SUFFIX


def storage_files(path: Path) -> list[Path]:
    """What to open of a bag: the folder with its metadata, or else its storage files.

    Raises DatasetError for a folder with several bags of ROS 1.
    """
    if path.is_file() or (path / METADATA_NAME).is_file():
        return [path]
    found = sorted(file for file in path.iterdir() if is_storage(file))
    plain = {file.name for file in found}
    # Where both are there, the compressed file is the same once more.
    found = [
        file
        for file in found
        if file.name.removesuffix(COMPRESSED_SUFFIX) not in plain - {file.name}
    ]
    ros1 = [file for file in found if file.suffix == ROS1_SUFFIX]
    if ros1 and len(found) > 1:
        names = ', '.join(file.name for file in found)
        raise DatasetError(f'{path}: holds several bags; give one of them: {names}')
    return found


def in_words(error: Exception) -> str:
    """What an exception of a library says, for those who do not know Python."""
    if isinstance(error, UnicodeError):
        return 'a text in it is not UTF-8'
    if isinstance(error, KeyError):
        return f'the entry {error} is missing'
    text = ' '.join(str(error).split()).rstrip('.')
    text = re.sub(r'KeyError\((.*?)\)', r'\1', text)
    plain = isinstance(error, OSError) or type(error).__module__.startswith('rosbags')
    if 'Invalid bag metadata' in text or 'Could not load YAML' in text:
        return 'its metadata.yaml makes no sense'
    if not (text and plain):
        return 'its contents make no sense'
    return text
