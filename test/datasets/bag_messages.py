"""Makers of messages and of tiny bags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aceg_ros.geometry.cameras import intrinsic_matrix
from aceg_ros.geometry.poses import compose, inverse, make_pose, pose_to_tum, so3_exp

pytest.importorskip('rosbags', reason='reading bags needs rosbags')

from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
K = intrinsic_matrix(60.0, 61.0, 31.5, 23.5)
D = np.array([0.1, -0.05, 0.001, 0.002, 0.0])
BEGIN = 1_700_000_000
IMAGE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
BASE_FROM_CAMERA = make_pose(so3_exp([-1.2, 0.3, -1.1]), [0.2, -0.1, 0.5])


def world_from_cam(seconds: float) -> np.ndarray:
    """Where the camera is: turning and moving steadily, so interpolation is exact."""
    return make_pose(so3_exp([0.0, 0.0, 0.3 * seconds]), [0.5 * seconds, 0.1, 1.0])


def make(kind: str, **fields: Any) -> Any:
    return STORE.types[kind](**fields)


def header(seconds: float, frame: str) -> Any:
    nanoseconds = round((BEGIN + seconds) * 1e9)
    stamp = make(
        'builtin_interfaces/msg/Time', sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9
    )
    return make('std_msgs/msg/Header', stamp=stamp, frame_id=frame)


def parts(pose: np.ndarray) -> tuple[Any, Any]:
    """Translation and rotation of messages."""
    tx, ty, tz, *quaternion = pose_to_tum(pose)
    return (tx, ty, tz), make(
        'geometry_msgs/msg/Quaternion', **dict(zip('xyzw', quaternion, strict=True))
    )


def image(seconds: float, rgb: np.ndarray = IMAGE, frame: str = 'camera') -> Any:
    return make(
        'sensor_msgs/msg/Image',
        header=header(seconds, frame),
        height=rgb.shape[0],
        width=rgb.shape[1],
        encoding='bgr8',
        is_bigendian=0,
        step=3 * rgb.shape[1],
        data=np.ascontiguousarray(rgb[..., ::-1]).reshape(-1),
    )


def compressed(seconds: float) -> Any:
    file = BytesIO()
    Image.fromarray(IMAGE).save(file, 'PNG')
    data = np.frombuffer(file.getvalue(), np.uint8)
    return make(
        'sensor_msgs/msg/CompressedImage',
        header=header(seconds, 'camera'),
        format='rgb8; png compressed bgr8',
        data=data,
    )


def depth(seconds: float) -> Any:
    message = image(seconds)
    message.encoding, message.step = '16UC1', 128
    message.data = np.zeros(48 * 128, np.uint8)
    return message


def info(frame: str = 'camera', turn: np.ndarray | None = None, k: np.ndarray = K) -> Any:
    roi = make(
        'sensor_msgs/msg/RegionOfInterest',
        x_offset=0,
        y_offset=0,
        height=0,
        width=0,
        do_rectify=False,
    )
    return make(
        'sensor_msgs/msg/CameraInfo',
        header=header(0.0, frame),
        height=48,
        width=64,
        distortion_model='plumb_bob',
        d=D,
        k=k.ravel(),
        r=(np.eye(3) if turn is None else turn).ravel(),
        p=np.hstack([k, np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def pose_message(pose: np.ndarray) -> Any:
    (x, y, z), orientation = parts(pose)
    position = make('geometry_msgs/msg/Point', x=x, y=y, z=z)
    return make('geometry_msgs/msg/Pose', position=position, orientation=orientation)


def pose_stamped(seconds: float, pose: np.ndarray) -> Any:
    return make(
        'geometry_msgs/msg/PoseStamped', header=header(seconds, 'map'), pose=pose_message(pose)
    )


def with_covariance(pose: np.ndarray) -> Any:
    return make(
        'geometry_msgs/msg/PoseWithCovariance', pose=pose_message(pose), covariance=np.zeros(36)
    )


def pose_with_covariance(seconds: float, pose: np.ndarray) -> Any:
    return make(
        'geometry_msgs/msg/PoseWithCovarianceStamped',
        header=header(seconds, 'map'),
        pose=with_covariance(pose),
    )


def odometry(seconds: float, pose: np.ndarray, child: str) -> Any:
    zero = make('geometry_msgs/msg/Vector3', x=0.0, y=0.0, z=0.0)
    twist = make('geometry_msgs/msg/Twist', linear=zero, angular=zero)
    return make(
        'nav_msgs/msg/Odometry',
        header=header(seconds, 'odom'),
        child_frame_id=child,
        pose=with_covariance(pose),
        twist=make('geometry_msgs/msg/TwistWithCovariance', twist=twist, covariance=np.zeros(36)),
    )


def transform_stamped(seconds: float, pose: np.ndarray, child: str = 'camera') -> Any:
    return transform(seconds, 'map', child, pose).transforms[0]


def transform(seconds: float, parent: str, child: str, pose: np.ndarray) -> Any:
    (x, y, z), rotation = parts(pose)
    return make(
        'tf2_msgs/msg/TFMessage',
        transforms=[
            make(
                'geometry_msgs/msg/TransformStamped',
                header=header(seconds, parent),
                child_frame_id=child,
                transform=make(
                    'geometry_msgs/msg/Transform',
                    translation=make('geometry_msgs/msg/Vector3', x=x, y=y, z=z),
                    rotation=rotation,
                ),
            )
        ],
    )


@dataclass
class Messages:
    """What to put into a bag: topic, seconds when it was logged, message."""

    entries: list[tuple[str, float, Any]]

    def __add__(self, other: Messages) -> Messages:
        return Messages(self.entries + other.entries)


def camera(topic: str = '/cam/image_raw', of: Callable[[float], Any] = image) -> Messages:
    """Five images, 0.1 s apart, logged 50 ms late, and their calibration."""
    stamps = [0.1 * i for i in range(5)]
    return Messages([(topic, s + 0.05, of(s)) for s in stamps] + [('/cam/camera_info', 0, info())])


def poses(topic: str = '/pose', of: Callable[..., Any] = pose_stamped, *more: Any) -> Messages:
    """Poses every 0.15 s, for all images but the last; so none has an image's stamp but one."""
    stamps = [-0.05, 0.1, 0.25, 0.4 - 1e-3]
    return Messages([(topic, s + 0.01, of(s, world_from_cam(s), *more)) for s in stamps])


def tf() -> Messages:
    """Map to odometry, which moves the other way, to the base, and the camera bolted to that."""
    found = []
    for s in (-0.05, 0.1, 0.25, 0.399):
        odom = make_pose(np.eye(3), [-0.2 * s, 3.0, 0.0])
        base = compose(inverse(odom), world_from_cam(s), inverse(BASE_FROM_CAMERA))
        found.append(('/tf', s, transform(s, 'map', 'odom', odom)))
        found.append(('/tf', s, transform(s, 'odom', 'base', base)))
    found.append(('/tf_static', 0, transform(0.0, 'base', 'camera', BASE_FROM_CAMERA)))
    return Messages(found)


def write_bag(
    path: Path, messages: Messages, plugin: StoragePlugin = StoragePlugin.SQLITE3, **options: Any
) -> Path:
    """Write a bag of ROS 2; `options` are the writer's, such as `compress`."""
    connections: dict[str, Any] = {}
    bag = Writer(path, version=9, storage_plugin=plugin)
    if options:
        bag.set_compression(**options)
    with bag as writer:
        for topic, seconds, message in sorted(messages.entries, key=lambda entry: entry[1]):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            raw = STORE.serialize_cdr(message, kind)
            writer.write(connections[topic], round((BEGIN + seconds) * 1e9), raw)
    return path


def write_ros1_bag(path: Path, messages: Messages) -> Path:
    """Write the same messages as a bag of ROS 1."""
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register({kind: STORE.fielddefs[kind] for kind in ['tf2_msgs/msg/TFMessage']})
    connections: dict[str, Any] = {}
    with Ros1Writer(path) as writer:
        for topic, seconds, message in sorted(messages.entries, key=lambda entry: entry[1]):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            raw = store.serialize_ros1(to_ros1(message, store), kind)
            writer.write(connections[topic], round((BEGIN + seconds) * 1e9), raw)
    return path


def to_ros1(value: Any, store: Any) -> Any:
    """The same message of ROS 1, whose headers count and whose calibrations are in capitals."""
    if isinstance(value, list):
        return [to_ros1(item, store) for item in value]
    if not hasattr(value, '__msgtype__'):
        return value
    kind = value.__msgtype__
    fields = {name: to_ros1(item, store) for name, item in vars(value).items()}
    fields.pop('__msgtype__', None)
    if kind == 'std_msgs/msg/Header':
        fields['seq'] = 7
    if kind == 'sensor_msgs/msg/CameraInfo':
        fields = {name.upper() if len(name) == 1 else name: item for name, item in fields.items()}
    return store.types[kind](**fields)


def check_poses(dataset: Any, accuracy: float = 1e-6) -> None:
    """All images but the last, which is later than any pose, with their poses."""
    assert [round(frame.stamp - BEGIN, 6) for frame in dataset.frames] == [0.0, 0.1, 0.2, 0.3]
    for frame in dataset.frames:
        expected = world_from_cam(frame.stamp - BEGIN)
        np.testing.assert_allclose(frame.world_from_cam, expected, atol=accuracy)
    (skipped,) = dataset.skipped
    assert skipped.startswith(f'{BEGIN}.400000: ')
