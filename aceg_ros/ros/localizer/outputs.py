"""Publishers of poses and maps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Path
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from aceg_ros.errors import TransformError
from aceg_ros.geometry.poses import Array, pose_error
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.maps.code import world_keyframes, world_points
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.debug_image import DebugImage, side_by_side
from aceg_ros.ros.localizer.drawing import draw
from aceg_ros.ros.localizer.maps import LoadedMap
from aceg_ros.ros.localizer.tracked_frame import Placement
from aceg_ros.ros.localizer.views import CameraView
from aceg_ros.ros.messages import frusta, point_cloud, pose_stamped, pose_with_covariance
from aceg_ros.ros.middleware.publishers import (
    RetractablePublisher,
    create_publisher,
    destroy_publisher,
)
from aceg_ros.ros.middleware.tf import Transforms, TransformSender
from aceg_ros.ros.parameters import LATCHED
from aceg_ros.tracking.gate import Fix
from aceg_ros.tracking.modes import TfMode

_POSES = QoSProfile(depth=10)
_NEWEST = QoSProfile(depth=1)
# A body that moved less than this since the last pose of the path adds nothing to it.
_STEP, _TURN = 0.02, 2.0  # m, degrees
_FRUSTUM = 0.15  # m


class Outputs:
    """Publishers and TF; may be used from several threads."""

    def __init__(
        self,
        node: Node,
        transforms: Transforms,
        sender: TransformSender | None,
        map_frame: str,
        odom_frame: str,
        path_length: Callable[[], int],
    ) -> None:
        """``sender`` None: no transform is sent; ``path_length``: poses the path keeps at most.

        ``map_frame`` is for what is empty, where no map is shown.
        """
        self._node = node
        self._clock = node.get_clock()
        self._transforms = transforms
        self._sender = sender
        self._map_frames: set[str] = set()  # that were given a child
        self._map_frame = map_frame
        self._odom_frame = odom_frame
        self._path_length = path_length
        self._path: deque[PoseStamped] = deque()
        self._last_of_path: Array | None = None
        self._path_lock = Lock()
        self._shown: LoadedMap | None = None
        create = partial(create_publisher, node)
        self._pose = create(PoseStamped, '~/pose', _POSES)
        self._covariance = RetractablePublisher(
            node, PoseWithCovarianceStamped, '~/pose_with_covariance', LATCHED
        )
        self._trace = create(Path, '~/path', _NEWEST)
        self._scene_points = create(PointCloud2, '~/scene_points', _NEWEST)
        self._pictures = create(Image, '~/debug_image', _NEWEST)
        self._debug_image = DebugImage(self._pictures)
        self._map_points = create(PointCloud2, '~/map_points', LATCHED)
        self._keyframes = create(MarkerArray, '~/keyframes', LATCHED)

    def close(self) -> None:
        """Remove the publishers."""
        for publisher in (
            self._pose,
            self._trace,
            self._scene_points,
            self._pictures,
            self._map_points,
            self._keyframes,
        ):
            destroy_publisher(self._node, publisher)
        self._covariance.close()

    def retract_pose_unless(self, holds: Callable[[], bool]) -> None:
        """Leave the last pose to those who come later only while it holds."""
        self._covariance.retract_unless(holds)

    def publish_fix(
        self, image: CameraImage, placement: Placement, fix: Fix, loaded: LoadedMap
    ) -> None:
        """Publish an accepted fix in a map: pose, path and, in modes that have it at once, TF.

        Another map than the one shown is shown first, and its path begins.
        """
        self.follow_map(loaded)
        header = Header(stamp=image.stamp, frame_id=loaded.frame)
        pose = pose_stamped(header, fix.map_from_body)
        self._pose.publish(pose)
        self._covariance.publish(pose_with_covariance(header, fix.map_from_body, fix.covariance))
        if placement.mode in (TfMode.MAP_TO_BASE, TfMode.MAP_TO_CAMERA):
            self._send_body(loaded.frame, placement.frame, fix.map_from_body, image.stamp)
        self._extend_path(pose, fix.map_from_body)

    def publish_inliers(self, views: Sequence[CameraView], found: Localization, frame: str) -> None:
        """Publish the inliers of a pose in the images' colors, if there is a subscriber.

        ``frame`` is that of the map.
        """
        if not self._scene_points.get_subscription_count():
            return
        points, colors = [], []
        for number, view in enumerate(views):
            seen = found.of_camera(number, view.rig_from_cam)
            height, width = view.rgb.shape[:2]
            pixels = np.rint(seen.points2d[seen.inliers]).astype(int)
            pixels = pixels.clip(0, (width - 1, height - 1))
            points.append(seen.points3d[seen.inliers])
            colors.append(view.rgb[pixels[:, 1], pixels[:, 0]])
        header = Header(stamp=views[0].image.stamp, frame_id=frame)
        cloud = point_cloud(header, np.concatenate(points), np.concatenate(colors))
        self._scene_points.publish(cloud)

    def publish_debug_image(
        self,
        views: Sequence[CameraView],
        answer: Localization | LocalizationFailure | None,
        words: str,
        good: bool,
    ) -> None:
        """Publish the images with words and the answer drawn in, if there is a subscriber."""
        if not self._debug_image.wanted:
            return
        drawn = [
            draw(view.rgb, view.camera, answer.of_camera(number, view.rig_from_cam), good)
            if isinstance(answer, Localization)
            else view.rgb
            for number, view in enumerate(views)
        ]
        self._debug_image.show(side_by_side(drawn), views[0].image.header, words, good)

    def say(self, words: str) -> None:
        """Publish words over the last debug image, when no image comes that could have them."""
        self._debug_image.say(Header(stamp=self._clock.now().to_msg()), words)

    def follow_map(self, loaded: LoadedMap | None) -> None:
        """Show a map unless it is the one shown."""
        shown = self._shown
        if not (shown is None if loaded is None else loaded.looks_like(shown)):
            self.show_map(loaded)

    def show_map(self, loaded: LoadedMap | None) -> None:
        """Publish points and keyframes of a map, None empty ones, and begin another path.

        The path goes on from one part of a place to another.
        """
        before, self._shown = self._shown, loaded
        self.show_map_again()
        if loaded is not None and loaded.goes_on_from(before):
            return
        self.forget_path()
        if before is not None:
            # Viewers would go on to show them beside the new map.
            header = Header(stamp=self._clock.now().to_msg(), frame_id=before.frame)
            self._scene_points.publish(_empty(header))
            self._trace.publish(Path(header=header))

    def show_map_again(self) -> None:
        """Publish the map once more, for viewers that forgot it."""
        stamp, loaded = self._clock.now().to_msg(), self._shown
        if loaded is None:
            header = Header(stamp=stamp, frame_id=self._map_frame)
            self._map_points.publish(_empty(header))
            self._keyframes.publish(frusta(header, []))
        else:
            header = Header(stamp=stamp, frame_id=loaded.frame)
            code = loaded.localizer.code
            self._map_points.publish(point_cloud(header, world_points(code), code.colors))
            self._keyframes.publish(frusta(header, list(world_keyframes(code)), _FRUSTUM))

    def publish_odometry(self, frame: str, map_from_odom: Array, tolerance: float) -> None:
        """Send where odometry is in a map's frame, dated ``tolerance`` seconds into the future."""
        now = self._clock.now()
        # Simulated time that has not begun yet is 0, a stamp that TF takes for "the latest".
        if now.nanoseconds:
            stamp = (now + Duration(seconds=tolerance)).to_msg()
            self._send(frame, self._odom_frame, map_from_odom, stamp)

    def forget_path(self) -> None:
        """Begin another path with the next fix."""
        with self._path_lock:
            self._path.clear()
            self._last_of_path = None

    def _send_body(self, frame: str, body: str, map_from_body: Array, stamp: Time) -> None:
        """Send where the body is, or what it hangs on, because a frame has one parent only."""
        self._map_frames.add(frame)
        top = self._transforms.top(body, self._map_frames)
        try:
            body_from_top = self._transforms.lookup(body, top, stamp)
        except TransformError:  # such as one that is late; the next fix has another
            return
        self._send(frame, top, map_from_body @ body_from_top, stamp)

    def _send(self, frame: str, child: str, map_from_child: Array, stamp: Time) -> None:
        if self._sender is not None:
            self._sender.send(frame, child, map_from_child, stamp)

    def _extend_path(self, pose: PoseStamped, map_from_body: Array) -> None:
        with self._path_lock:
            if self._last_of_path is not None:
                meters, degrees = pose_error(map_from_body, self._last_of_path)
                if meters < _STEP and degrees < _TURN:
                    return
            self._last_of_path = map_from_body
            self._path.append(pose)
            while len(self._path) > self._path_length():
                self._path.popleft()
            poses = list(self._path)
        if self._trace.get_subscription_count():
            self._trace.publish(Path(header=pose.header, poses=poses))


def _empty(header: Header) -> PointCloud2:
    none = np.zeros((0, 3))
    return point_cloud(header, none, none.astype(np.uint8))
