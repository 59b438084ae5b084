"""Where the camera was when an image was taken: from a topic of poses, or from TF."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Condition
from typing import Protocol, TypeAlias

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from aceg_ros.errors import PoseError, TransformError
from aceg_ros.geometry.motion import MotionLimits
from aceg_ros.geometry.poses import Array, compose, inverse
from aceg_ros.recording.pose_track import JumpWatch, PoseTrack
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.messages import pose_of, to_seconds
from aceg_ros.ros.middleware.subscriptions import MatchedSubscription
from aceg_ros.ros.middleware.tf import Transforms, senders

PoseMessage: TypeAlias = PoseStamped | PoseWithCovarianceStamped | Odometry

_TYPES: dict[str, type] = {
    'geometry_msgs/msg/PoseStamped': PoseStamped,
    'geometry_msgs/msg/PoseWithCovarianceStamped': PoseWithCovarianceStamped,
    'nav_msgs/msg/Odometry': Odometry,
}
_LOOK_FOR_TYPE = 0.5  # s between looks at what is published
_QUEUE_DEPTH = 100


@dataclass
class Jumps:
    """What went wrong between poses so far."""

    count: int = 0
    last: str = ''

    def note(self, problem: str | None) -> None:
        """Count a problem, if it is one."""
        if problem is not None:
            self.count += 1
            self.last = problem

    def clear(self) -> None:
        """Begin anew."""
        self.count, self.last = 0, ''


class PoseSource(Protocol):
    """Gives poses in the map."""

    name: str  # of the topic, or of the frame in TF
    jumps: Jumps

    @property
    def frame(self) -> str:
        """Frame of the map; empty while it is not known."""

    @property
    def age(self) -> float | None:
        """Seconds that poses have been missing; None before the first."""

    @property
    def senders(self) -> set[str]:
        """Full names of the nodes that may send the poses."""

    def pose(self, image: CameraImage, timeout: float) -> Array:
        """world_from_cam (4, 4) of an image; waits up to `timeout` s for it.

        For another thread than the executor's. Raises PoseError or TransformError.
        """

    def rewind(self, now: float) -> None:
        """Forget poses from before the clock was set back to `now` (s)."""

    def clear(self) -> None:
        """Forget all poses, the map's frame, and jumps."""


class TfPoses:
    """Poses from the map frame to the camera."""

    def __init__(
        self, transforms: Transforms, map_frame: str, camera_frame: str, limits: MotionLimits
    ) -> None:
        """`camera_frame` is empty where images name it."""
        self.name = f'TF from {map_frame}'
        self.frame = map_frame
        self.jumps = Jumps()
        self._transforms = transforms
        self._camera_frame = camera_frame
        self._limits = limits
        self._watches: dict[str, JumpWatch] = {}  # by the frame of the camera
        self._asked = 0.0  # time.monotonic()
        self._found: float | None = None

    @property
    def age(self) -> float | None:
        """Seconds for which poses were asked for in vain; None before the first was found."""
        return None if self._found is None else self._asked - self._found

    @property
    def senders(self) -> set[str]:
        """See `PoseSource`."""
        return self._transforms.senders()

    def pose(self, image: CameraImage, timeout: float) -> Array:
        """See `PoseSource`."""
        camera = image.optical_frame(self._camera_frame)
        try:
            world_from_optical = self._transforms.lookup(self.frame, camera, image.stamp, timeout)
        finally:
            self._asked = time.monotonic()
        self._found = self._asked
        watch = self._watches.setdefault(camera, JumpWatch(self._limits))
        self.jumps.note(watch.check(to_seconds(image.stamp), world_from_optical))
        return world_from_optical @ inverse(image.camera_from_optical())

    def rewind(self, now: float) -> None:
        """See `PoseSource`."""
        self._watches.clear()

    def clear(self) -> None:
        """See `PoseSource`."""
        self._watches.clear()
        self.jumps.clear()


class TopicPoses:
    """Poses of the topic `pose`, of whichever type is published there."""

    def __init__(
        self,
        node: Node,
        transforms: Transforms,
        pose_frame: str,
        camera_frame: str,
        track: PoseTrack,
    ) -> None:
        """`pose_frame` and `camera_frame` are empty where messages name them."""
        self.name = node.resolve_topic_name('pose')
        self.jumps = Jumps()
        self.frame = ''
        self._node = node
        self._transforms = transforms
        self._pose_frame = pose_frame
        self._camera_frame = camera_frame
        self._track = track
        self._changed = Condition()
        self._body = pose_frame
        self._last: float | None = None
        self._problem = f'nothing is published on {self.name} yet'
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._search = node.create_timer(_LOOK_FOR_TYPE, self._subscribe, clock=steady)

    @property
    def age(self) -> float | None:
        """Seconds since the last message; None before the first."""
        return None if self._last is None else time.monotonic() - self._last

    @property
    def senders(self) -> set[str]:
        """See `PoseSource`."""
        return senders(self._node, self.name)

    def pose(self, image: CameraImage, timeout: float) -> Array:
        """See `PoseSource`."""
        stamp = to_seconds(image.stamp)
        with self._changed:
            self._changed.wait_for(lambda: self._track.reaches(stamp), timeout)
            if self._problem:
                raise PoseError(self._problem)
            try:
                world_from_body = self._track.at(stamp)
            except PoseError as error:
                raise PoseError(f'{self.name}: {error}') from error
            body = self._body
        body_from_optical = self._mounting(body, image, timeout)
        optical_from_camera = inverse(image.camera_from_optical())
        return compose(world_from_body, body_from_optical, optical_from_camera)

    def rewind(self, now: float) -> None:
        """See `PoseSource`."""
        with self._changed:
            self._track.rewind(now)

    def clear(self) -> None:
        """See `PoseSource`."""
        with self._changed:
            self._track.clear()
            self.frame = ''
            self.jumps.clear()

    def _mounting(self, body: str, image: CameraImage, timeout: float) -> Array:
        """How the camera lies in the frame whose poses come, (4, 4)."""
        if not body:
            return np.eye(4)
        camera = image.optical_frame(self._camera_frame)
        try:
            return self._transforms.lookup(body, camera, image.stamp, timeout)
        except TransformError as error:
            raise TransformError(
                f'{self.name} has poses of {body}, and how the camera lies in it is not known: '
                f'{error}; publish that transform, or set pose_frame to {camera} if the poses are '
                "the camera's own"
            ) from error

    def _subscribe(self) -> None:
        publishers = self._node.get_publishers_info_by_topic(self.name)
        published = {info.topic_type for info in publishers}
        known = [kind for kind in _TYPES if kind in published]
        if known:
            self._search.cancel()
            self._problem = f'no pose came on {self.name} yet'
            MatchedSubscription(
                self._node, _TYPES[known[0]], self.name, self._on_pose, _QUEUE_DEPTH
            )
        elif published:
            self._problem = (
                f'{self.name} is of type {", ".join(sorted(published))}, which has no stamped '
                f'pose; remap pose to a topic of {", ".join(_TYPES)}'
            )

    def _on_pose(self, message: PoseMessage) -> None:
        frame = message.header.frame_id.lstrip('/')
        with self._changed:
            self._last = time.monotonic()
            try:
                pose = pose_of(message)
                if self.frame not in ('', frame):
                    raise PoseError(
                        f'poses are in frame {frame!r} now, no longer in {self.frame!r}; begin a '
                        'new recording'
                    )
            except PoseError as error:
                self._problem = f'{self.name}: {error}'
                return
            self._problem = ''
            self.frame = frame
            if not self._pose_frame and isinstance(message, Odometry):
                self._body = message.child_frame_id.lstrip('/')
            self.jumps.note(self._track.add(to_seconds(message.header.stamp), pose))
            self._changed.notify_all()
