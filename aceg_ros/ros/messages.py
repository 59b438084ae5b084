"""Arrays to messages of geometry, navigation, sensors and visualization, and back."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    PoseWithCovarianceStamped,
    Quaternion,
    Transform,
    Vector3,
)
from nav_msgs.msg import Odometry, Path
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from aceg_ros.errors import PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import Array, make_pose, transform_points
from aceg_ros.ros.middleware.rotations import quaternion_from_rotation, rotation_from_quaternion

NANOSECONDS = 1_000_000_000

# A camera's outline at distance 1: its center, then the corners of its image, clockwise.
_OUTLINE = np.array([[0, 0, 0], [-0.6, -0.45, 1], [0.6, -0.45, 1], [0.6, 0.45, 1], [-0.6, 0.45, 1]])
_EDGES = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])


def to_seconds(stamp: Time) -> float:
    """Seconds of a message's stamp, to a quarter of a microsecond in today's times."""
    return stamp.sec + stamp.nanosec * 1e-9


def to_stamp(seconds: float) -> Time:
    """Stamp of a time in seconds, not negative."""
    whole, nanoseconds = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return Time(sec=whole, nanosec=nanoseconds)


def pose_message(a_from_b: Array) -> Pose:
    """Pose of b in a, from (4, 4)."""
    return Pose(position=_vector(Point, a_from_b[:3, 3]), orientation=_quaternion(a_from_b[:3, :3]))


def pose_from_message(message: Pose) -> Array:
    """a_from_b (4, 4) of a pose of b in a.

    Raises PoseError for numbers that are not finite, or a quaternion that is no rotation, such as
    that of a message nobody filled.
    """
    return _matrix(message.position, message.orientation)


def transform_message(a_from_b: Array) -> Transform:
    """Transform that takes b to a, from (4, 4)."""
    return Transform(
        translation=_vector(Vector3, a_from_b[:3, 3]), rotation=_quaternion(a_from_b[:3, :3])
    )


def transform_from_message(message: Transform) -> Array:
    """a_from_b (4, 4); raises PoseError as `pose_from_message` does."""
    return _matrix(message.translation, message.rotation)


def pose_stamped(header: Header, pose: Array) -> PoseStamped:
    """Message of a pose (4, 4) in the header's frame."""
    return PoseStamped(header=header, pose=pose_message(pose))


def pose_with_covariance(
    header: Header, pose: Array, covariance: Array
) -> PoseWithCovarianceStamped:
    """Message of a pose (4, 4) in the header's frame, and its covariance (6, 6).

    The covariance orders x, y, z (m), then rotations about the fixed axes of that frame (rad).
    """
    message = PoseWithCovarianceStamped(header=header)
    message.pose.pose = pose_message(pose)
    message.pose.covariance = np.ascontiguousarray(covariance, dtype=np.float64).reshape(36)
    return message


def pose_of(message: PoseStamped | PoseWithCovarianceStamped | Odometry) -> Array:
    """Pose (4, 4), in the frame of the header, of any of the messages that bring one; PoseError."""
    pose = message.pose if isinstance(message, PoseStamped) else message.pose.pose
    return pose_from_message(pose)


def path(header: Header, poses: Sequence[tuple[Time, Array]]) -> Path:
    """Message of a path of stamped poses (4, 4) in the header's frame."""
    return Path(
        header=header,
        poses=[
            pose_stamped(Header(stamp=stamp, frame_id=header.frame_id), pose)
            for stamp, pose in poses
        ],
    )


def point_cloud(
    header: Header, points: Array, colors: NDArray[np.uint8] | None = None
) -> PointCloud2:
    """Cloud of points (N, 3) m in the header's frame, with RGB colors (N, 3) uint8 or without.

    Fields are x, y, z and, with colors, rgb, which viewers know.
    """
    names = ['x', 'y', 'z'] if colors is None else ['x', 'y', 'z', 'rgb']
    cloud = np.zeros((len(points), len(names)), dtype='<f4')
    cloud[:, :3] = points
    if colors is not None:
        red, green, blue = colors.astype('<u4').T
        cloud[:, 3] = (red << 16 | green << 8 | blue).astype('<u4').view('<f4')
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=[
            PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
            for index, name in enumerate(names)
        ],
        is_bigendian=False,
        point_step=4 * len(names),
        row_step=cloud.nbytes,
        data=array('B', cloud.tobytes()),
        is_dense=bool(np.isfinite(cloud[:, :3]).all()),
    )


def points_from_cloud(message: PointCloud2) -> tuple[Array, NDArray[np.uint8]]:
    """Points (N, 3) m and RGB (N, 3) uint8 of a cloud that `point_cloud` made with colors.

    A cloud of another form, or one that is cut short, has none.
    """
    names = [field.name for field in message.fields]
    step, count = message.point_step, message.width * message.height
    known = names == ['x', 'y', 'z', 'rgb'] and step == 16 and not message.is_bigendian
    if not known or len(message.data) < step * count:
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    cloud = np.frombuffer(message.data, '<f4', 4 * count).reshape(-1, 4)
    packed = np.ascontiguousarray(cloud[:, 3]).view('<u4')
    colors = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=1)
    return cloud[:, :3].astype(np.float64), colors.astype(np.uint8)


def frusta(
    header: Header,
    world_from_cams: Sequence[Array],
    size: float = 0.1,
    color: tuple[float, float, float] = (0.1, 0.6, 1.0),
) -> MarkerArray:
    """Outlines of cameras at poses (4, 4) in the header's frame, `size` m deep, RGB 0 to 1.

    One marker, which replaces the one sent before.
    """
    marker = Marker(
        header=header,
        ns='cameras',
        type=Marker.LINE_LIST,
        action=Marker.ADD if len(world_from_cams) else Marker.DELETE,
        color=ColorRGBA(r=color[0], g=color[1], b=color[2], a=1.0),
    )
    marker.pose.orientation.w = 1.0
    marker.scale.x = size / 20.0
    for pose in world_from_cams:
        corners = [_vector(Point, corner) for corner in transform_points(pose, size * _OUTLINE)]
        marker.points.extend(corners[index] for index in _EDGES.ravel())
    return MarkerArray(markers=[marker])


def poses_from_frusta(message: MarkerArray) -> Array:
    """Poses (N, 4, 4) of the cameras whose outlines `frusta` made; none of other markers."""
    lines = [
        [(point.x, point.y, point.z) for point in marker.points]
        for marker in message.markers
        if marker.action == Marker.ADD and len(marker.points) % _EDGES.size == 0
    ]
    outlines = np.array([point for line in lines for point in line]).reshape(-1, _EDGES.size, 3)
    # The first edges go from the center to the corners.
    center, corners = outlines[:, 0], outlines[:, 1:8:2]
    axes = np.stack(
        [
            corners[:, 1] - corners[:, 0],
            corners[:, 3] - corners[:, 0],
            corners.mean(axis=1) - center,
        ],
        axis=2,
    )
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    usable = np.isfinite(axes).all(axis=(1, 2)) & (lengths > 0.0).all(axis=(1, 2))
    poses = np.tile(np.eye(4), (int(usable.sum()), 1, 1))
    poses[:, :3, :3] = axes[usable] / lengths[usable]
    poses[:, :3, 3] = center[usable]
    return poses


def camera_info(header: Header, camera: Camera) -> CameraInfo:
    """Calibration of raw images of `camera`; P is that of an image without distortion."""
    K = camera.K
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model='plumb_bob' if camera.model == 'pinhole' else camera.model,
        d=camera.distortion.tolist() or [0.0] * 5,
        k=K.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([K, np.zeros((3, 1))]).ravel(),
    )


def _matrix(position: Point | Vector3, rotation: Quaternion) -> Array:
    translation = np.array([position.x, position.y, position.z])
    if not np.isfinite(translation).all():
        raise PoseError('position has nan or infinite numbers; its sender has to fix that')
    quaternion = rotation.x, rotation.y, rotation.z, rotation.w
    return make_pose(rotation_from_quaternion(quaternion), translation)


def _vector(kind: type[Point] | type[Vector3], xyz: Array) -> Point | Vector3:
    x, y, z = (float(value) for value in xyz)
    return kind(x=x, y=y, z=z)


def _quaternion(rotation: Array) -> Quaternion:
    x, y, z, w = quaternion_from_rotation(rotation)
    return Quaternion(x=x, y=y, z=z, w=w)
