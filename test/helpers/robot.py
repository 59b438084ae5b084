"""A robot in the procedural room, and what a localizer says of it.

The robot stands at known places and shows what its camera sees there. The camera is mounted
crooked, and odometry began anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovarianceStamped
from harness import LATCHED, TIMEOUT, NodeProcess, Ros
from nav_msgs.srv import LoadMap
from processes import repeating
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool, Trigger

from aceg_ros.datasets import Frame
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp
from aceg_ros.ros.messages import camera_info, to_stamp
from aceg_ros.ros.middleware.bridge import from_rgb

BASE_FROM_CAMERA = make_pose(so3_exp([-1.7, 0.4, -1.1]), [0.35, -0.2, 0.9])
MAP_FROM_ODOM = make_pose(so3_exp([0.02, -0.01, 2.3]), [3.0, -1.5, 0.1])
# Places are shown in any order, which is no motion that a gate should let pass.
ANY_MOTION = {'max_mahalanobis': 1e6}
# How right the quick map is at the places shown.
METERS, DEGREES = 0.15, 5.0


class Robot:
    """Plays the robot."""

    def __init__(
        self,
        ros: Ros,
        frames: Sequence[Frame],
        listeners: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``frames``: where it can stand; ``listeners``: localizers that look through its eyes."""
        self.ros = ros
        self.frames = list(frames)
        self.camera = self.frames[0].camera
        self.listeners = listeners
        self._clock = clock
        self._last = 0.0

    def map_from_camera(self, index: int) -> np.ndarray:
        """(4, 4) at a place."""
        pose = self.frames[index].world_from_cam
        assert pose is not None
        return pose

    def map_from_base(self, index: int) -> np.ndarray:
        """(4, 4) at a place."""
        return self.map_from_camera(index) @ inverse(BASE_FROM_CAMERA)

    def odom_from_base(self, index: int) -> np.ndarray:
        """(4, 4) at a place."""
        return inverse(MAP_FROM_ODOM) @ self.map_from_base(index)

    def image(self, index: int, stamp: Time | None = None) -> Image:
        """What is seen at a place."""
        header = Header(stamp=stamp or self.stamp(), frame_id='camera')
        return from_rgb(self.frames[index].image(), header)

    def blank(self) -> Image:
        """What is seen in the dark."""
        dark = np.zeros_like(self.frames[0].image())
        return from_rgb(dark, Header(stamp=self.stamp(), frame_id='camera'))

    def publish(self, image: Image, calibration: CameraInfo | None = None) -> Time:
        """Publish an image after its calibration; gives the image's stamp."""
        self.calibrate(calibration or camera_info(image.header, self.camera))
        publisher = self.ros.publisher(Image, 'image', QoSProfile(depth=1), self.listeners)
        publisher.publish(image)
        return image.header.stamp

    def calibrate(self, calibration: CameraInfo) -> None:
        """Publish a calibration alone."""
        publisher = self.ros.publisher(
            CameraInfo, 'camera_info', QoSProfile(depth=1), self.listeners
        )
        publisher.publish(calibration)

    def wake(self, *localizers: Localizer) -> None:
        """Show darkness until all of them have seen it: first messages may get lost."""
        for localizer in localizers:
            localizer.wait_for('waiting_for_images')
            localizer.statuses.clear()
        with self.repeating(self.blank):
            for localizer in localizers:
                localizer.wait_for('searching')

    def show(self, index: int, stamp: Time | None = None) -> Time:
        """Stand at a place; gives the image's stamp."""
        return self.publish(self.image(index, stamp))

    def stamp(self) -> Time:
        """The present, but never the same twice."""
        self._last = max(self._clock(), self._last + 0.001)
        return to_stamp(self._last)

    def repeating(self, make: Callable[[], Image], rate: float = 5.0):
        """Publish images meanwhile."""
        return repeating(lambda: self.publish(make()), rate)

    def standing(self, index: int, rate: float = 5.0):
        """Show the same place again and again meanwhile."""
        return self.repeating(lambda: self.image(index), rate)


class Localizer:
    """A localizer process, and what it says."""

    def __init__(
        self,
        ros: Ros,
        namespace: str = '',
        environment: Mapping[str, str] | None = None,
        **parameters: object,
    ) -> None:
        self.ros = ros
        self.name = f'{namespace}/aceg_localizer'
        self.poses = ros.collect(PoseWithCovarianceStamped, f'{self.name}/pose_with_covariance')
        self.statuses = ros.collect(String, f'{self.name}/status', LATCHED)
        # Inputs are shared between namespaces.
        inputs = {name: f'/{name}' for name in ('image', 'camera_info', 'initialpose')}
        self.process: NodeProcess = ros.start(
            'aceg_ros.ros.localizer',
            # Best effort may lose an image that a test waits for.
            parameters={'image_qos': 'reliable', **parameters},
            remap={'__ns': namespace or '/', **inputs},
            environment=environment,
        )

    def wait_for(self, state: str, words: str = '', timeout: float = TIMEOUT) -> str:
        """Wait for a status that begins and goes on like this."""

        def fits(message: String) -> bool:
            return message.data.startswith(f'{state}: ') and words in message.data

        with self._telling():
            return self.statuses.wait_for(fits, timeout).data

    @property
    def status(self) -> str:
        """The last one heard."""
        heard = self.statuses.messages
        return heard[-1].data if heard else ''

    def pose_at(self, stamp: Time, timeout: float = TIMEOUT) -> PoseWithCovarianceStamped:
        """Wait for the pose of an image."""
        with self._telling():
            return self.poses.wait_for(lambda message: message.header.stamp == stamp, timeout)

    def load(self, url: Path | str) -> int:
        """Result of loading a map."""
        return self.ros.call(
            LoadMap, f'{self.name}/load_map', LoadMap.Request(map_url=str(url))
        ).result

    def enable(self, enabled: bool) -> SetBool.Response:
        """Switch localization."""
        return self.ros.call(SetBool, f'{self.name}/enable', SetBool.Request(data=enabled))

    def relocalize(self) -> Trigger.Response:
        """Have it forget and find again."""
        return self.ros.call(Trigger, f'{self.name}/relocalize')

    def set(self, **values: object) -> list[Any]:
        """Set parameters at run time."""
        return self.ros.set_parameters(self.name, **values)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Have a failure show what the process wrote."""
        try:
            yield
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.process.output}') from None


def near(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether a pose is as right as the quick map allows."""
    distance, angle = pose_error(found, expected)
    return bool(distance < METERS and angle < DEGREES)
