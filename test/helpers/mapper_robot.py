"""A mapper in a process of its own, and a robot whose camera it records."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from harness import LATCHED, NodeProcess, Ros, wait_until
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool, Trigger

from aceg_ros.datasets import open_dataset
from aceg_ros.errors import AcegError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.ros.messages import camera_info, pose_stamped, to_stamp
from aceg_ros.ros.middleware.bridge import from_rgb
from aceg_ros.ros.status_values import values_of

CAMERA = Camera('plumb_bob', 64, 48, np.array([[60.0, 0, 31], [0, 61.0, 24], [0, 0, 1]]), [0.1, 0])
# Every image is sharp enough, every step of the robot far enough.
EASY = {
    'image_qos': 'reliable',
    'keyframe_translation': 0.05,
    'keyframe_rotation': 5.0,
    'keyframe_sharpness': 0.0,
    'pose_timeout': 0.3,
    'add_keyframe_timeout': 1.0,
    'image_timeout': 0.5,
    'device': 'cpu',
}


def pose_at(index: float) -> np.ndarray:
    """world_from_cam of a robot that drives 0.1 m between two images, and turns a little."""
    return make_pose(so3_exp([-1.5, 0.02 * index, 0.1]), [0.1 * index, 0.3, 1.2])


def picture(index: int, scale: int = 1) -> np.ndarray:
    """RGB (48, 64, 3), or larger, of something; another one for each index."""
    blocks = np.random.default_rng(index).integers(0, 256, (6, 8, 3), np.uint8)
    return blocks.repeat(8 * scale, 0).repeat(8 * scale, 1)


def recorded(folder: Path) -> list[float]:
    """Stamps of the keyframes in a recording; empty while there is none."""
    try:
        return [frame.stamp for frame in open_dataset(folder).frames]
    except AcegError:
        return []


def until_recorded(folder: Path, stamp: float, act: Callable[[], None]) -> None:
    """Act until there is such a keyframe; messages may come late, or get lost."""
    again(act, lambda: stamp in recorded(folder), f'keyframe {stamp}')


def again(act: Callable[[], None], done: Callable[[], bool], what: str) -> None:
    """Act again and again, as nothing says when it is in vain."""

    def acted() -> bool:
        act()
        try:
            wait_until(done, 1.5)
        except AssertionError:
            return False
        return True

    wait_until(acted, what=what)


class Robot:
    """Publishes what a robot does: images, their calibration, and poses."""

    def __init__(self, ros: Ros) -> None:
        self._ros = ros
        self._images = ros.publisher(Image, 'image', QoSProfile(depth=1))
        self._infos = ros.publisher(CameraInfo, 'camera_info')
        self._poses: Any = None
        self._clock = 0.0

    def later(self) -> float:
        """A time (s) long after all before."""
        self._clock += 1000.0
        return self._clock

    def image(
        self,
        stamp: float,
        rgb: np.ndarray | None = None,
        camera: Camera = CAMERA,
        frame: str = 'camera',
        harm: Callable[[Image, CameraInfo], None] = lambda image, info: None,
    ) -> None:
        """Publish an image taken at `stamp`, and its calibration, both after `harm`.

        An image may overtake its calibration: another camera needs another `frame`.
        """
        header = Header(stamp=to_stamp(stamp), frame_id=frame)
        image = from_rgb(picture(round(10 * stamp)) if rgb is None else rgb, header)
        info = camera_info(header, camera)
        harm(image, info)
        self._infos.publish(info)
        time.sleep(0.01)
        self._images.publish(image)

    def pose(self, stamp: float, pose: np.ndarray, frame: str = 'map') -> None:
        """Publish a pose on the topic `pose`."""
        if self._poses is None:
            # The mapper looks for the type before it subscribes.
            self._poses = self._ros.node.create_publisher(PoseStamped, 'pose', 10)
            wait_until(lambda: self._poses.get_subscription_count() > 0, what='subscriber of pose')
        header = Header(stamp=to_stamp(stamp), frame_id=frame)
        self._poses.publish(pose_stamped(header, pose))

    def step(self, stamp: float, pose: np.ndarray, **image: Any) -> None:
        """An image, and poses shortly before and after it."""
        self.pose(stamp - 0.02, pose)
        self.image(stamp, **image)
        self.pose(stamp + 0.02, pose)

    def drive(self, folder: Path, stamps: Sequence[float], first: int = 0) -> None:
        """Step by step, each of which the mapper records in `folder`."""
        for index, stamp in enumerate(stamps, start=first):
            self.stay(folder, stamp, pose_at(index))

    def stay(self, folder: Path, stamp: float, pose: np.ndarray, **image: Any) -> None:
        """Step until that is recorded."""
        until_recorded(folder, stamp, lambda: self.step(stamp, pose, **image))


class Mapper:
    """The mapper's services and topics."""

    def __init__(self, ros: Ros, process: NodeProcess, folder: Path, name: str) -> None:
        self.ros = ros
        self.process = process
        self.folder = folder
        self.name = name
        self.statuses = ros.collect(String, f'{name}/status', LATCHED)
        self.progress = ros.collect(DiagnosticStatus, f'{name}/progress', LATCHED)
        self.diagnostics = ros.collect(DiagnosticArray, '/diagnostics')

    def trigger(self, service: str) -> tuple[bool, str]:
        """Call one of the services without arguments."""
        response = self.ros.call(Trigger, f'/{self.name}/{service}')
        return response.success, response.message

    def switch(self, service: str, on: bool) -> tuple[bool, str]:
        """Call `record` or `record_and_map`."""
        response = self.ros.call(SetBool, f'/{self.name}/{service}', SetBool.Request(data=on))
        return response.success, response.message

    def set(self, **values: object) -> tuple[bool, str]:
        """Set parameters; whether all were accepted, and why not."""
        results = self.ros.set_parameters(f'/{self.name}', **values)
        return all(r.successful for r in results), ' '.join(r.reason for r in results)

    def wait_for_status(self, words: str, act: Callable[[], None]) -> None:
        """Act, again and again, until a status has `words` in it."""
        self.statuses.clear()

        def said() -> bool:
            return any(words in message.data for message in self.statuses.messages)

        again(act, said, f'status {words!r}')

    def reports(self, part: str) -> list[DiagnosticStatus]:
        """What /diagnostics has said of a part of the node, since `diagnostics` was cleared."""
        name = f'{self.name}: {part}'
        arrays = self.diagnostics.messages
        return [each for array in arrays for each in array.status if each.name == name]

    def wait_for_report(self, part: str, words: str) -> DiagnosticStatus:
        """The first of `reports` that has `words` in it."""

        def found() -> list[DiagnosticStatus]:
            return [each for each in self.reports(part) if words in each.message]

        wait_until(lambda: bool(found()), what=f'report {words!r} on {part}')
        return found()[0]

    def stage(self, name: str) -> None:
        """Wait until a fit has come to a stage."""
        self.progress.wait_for(lambda message: values_of(message).get('stage') == name)

    def finished(self) -> DiagnosticStatus:
        """The end of the fit on ~/progress, which begins with the next call."""
        return self.progress.wait_for(
            lambda message: message.values and message.values[0].value != 'running'
        )
