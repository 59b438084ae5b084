"""What the camera is mounted on, and where that is according to odometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Time

from aceg_ros.errors import TransformError
from aceg_ros.geometry.poses import Array, inverse
from aceg_ros.geometry.timeline import SAME_INSTANT
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.localizer.rig_mounting import RigMounting
from aceg_ros.ros.messages import to_seconds
from aceg_ros.ros.middleware.tf import Transforms
from aceg_ros.tracking.modes import PATIENCE, ModeChoice, TfMode


@dataclass(frozen=True)
class Placement:
    """The body that a pose is given of, at the time of one image."""

    mode: TfMode
    frame: str
    camera_from_body: Array  # (4, 4); of a rig, whose pose is that of the body, the identity
    odom_from_body: Array | None = None  # (4, 4)
    odometry_problem: str = ''  # why there is no odometry where there should be

    @property
    def complete(self) -> bool:
        """Whether nothing would be gained by waiting."""
        return not self.odometry_problem


@dataclass(frozen=True)
class FrameNames:
    """Frames in TF; the camera's is empty where images name it, the base's where there is none."""

    odom: str
    base: str
    camera: str


class TrackedFrames:
    """Finds the body in TF, as the mode asks."""

    def __init__(
        self,
        transforms: Transforms,
        mode: TfMode | None,
        names: FrameNames,
        mounting: RigMounting | None = None,
    ) -> None:
        """``mode`` None: whichever suits what TF has with the first images.

        ``mounting`` is that of a rig, None of a single camera.
        """
        self._mounting = mounting
        self._transforms = transforms
        self._fixed = mode
        self._names = names
        self._choice = ModeChoice()

    @property
    def mode(self) -> TfMode | None:
        """The mode; None while it is not decided."""
        return self._fixed or self._choice.mode

    @property
    def of_camera(self) -> bool:
        """Whether the body is the camera; False while that is not decided."""
        mode = self.mode
        return mode is TfMode.MAP_TO_CAMERA or (mode is TfMode.NONE and not self._names.base)

    def decide(self, image: CameraImage, timeout: float) -> bool:
        """Whether the mode is known, after a look at what TF has with an image.

        Waits up to ``timeout`` seconds for transforms. Raises TransformError where images name no
        frame.
        """
        if self.mode is None:
            base = self._knows_base(image, timeout)
            odom = base and self._has(self._names.odom, self._names.base, image.stamp, timeout)
            # How a camera is mounted mostly does not move, and odometry always does.
            topics = ('/tf',) if base else ('/tf', '/tf_static')
            senders = any(self._transforms.senders(topic) for topic in topics)
            self._choice.observe(to_seconds(image.stamp), base, odom, more_to_come=senders)
        return self.mode is not None

    @property
    def wait(self) -> str:
        """What `decide` waits for, in words."""
        return f'waiting up to {PATIENCE:g} s for TF to place {self._names.base} and the camera'

    def locate(self, image: CameraImage, timeout: float) -> Placement:
        """The body at the image's stamp; waits up to ``timeout`` seconds for transforms.

        The mode has to be known. Raises TransformError when TF does not say how the camera is
        mounted.
        """
        return self._placement(image, timeout)

    def locate_now(self, image: CameraImage) -> Placement | None:
        """As `locate`, without waiting; None where TF does not have it yet."""
        try:
            return self._placement(image, 0.0)
        except TransformError:
            return None

    def see(self, number: int, image: CameraImage) -> None:
        """A usable image of a camera came."""
        if self._mounting is not None:
            self._mounting.see(number, image)

    def rig_from_cam(self, number: int, image: CameraImage, timeout: float) -> Array:
        """Where a camera of a rig is on the body, (4, 4); a single one is asked for itself.

        The mode has to be known. Waits up to ``timeout`` seconds for TF. Raises TransformError when
        nothing says so.
        """
        if self._mounting is None:
            return np.eye(4)
        return self._mounting.rig_from_cam(number, image, self.of_camera, timeout)

    def now_from_then(self, now: CameraImage, then: CameraImage, timeout: float) -> Array:
        """How the body moved between two images, (4, 4); as if it stood still without odometry."""
        apart = abs(now.seconds - then.seconds)
        if self.of_camera or self.mode is TfMode.MAP_TO_BASE or apart <= SAME_INSTANT:
            return np.eye(4)
        wait = timeout if self.mode is TfMode.MAP_TO_ODOM else 0.0
        odom_from_now, _ = self._odometry(now.stamp, wait)
        odom_from_then, _ = self._odometry(then.stamp, wait)
        if odom_from_now is None or odom_from_then is None:
            return np.eye(4)
        return inverse(odom_from_now) @ odom_from_then

    def _knows_base(self, image: CameraImage, timeout: float) -> bool:
        if self._mounting is not None and self._mounting.in_file:
            return True
        return self._has(self._names.base, self._camera_frame(image), image.stamp, timeout)

    def _placement(self, image: CameraImage, timeout: float) -> Placement:
        mode = self.mode
        if mode is None:
            raise TransformError(self.wait)
        if self._mounting is not None:
            body, camera_from_body = self._mounting.body(self.of_camera), np.eye(4)
        elif self.of_camera:
            body, camera_from_body = self._camera_frame(image), image.camera_from_optical()
        else:
            body, camera_from_body = self._names.base, self._camera_from_base(image, timeout)
        if self.of_camera or mode is TfMode.MAP_TO_BASE:
            return Placement(mode, body, camera_from_body)
        wait = timeout if mode is TfMode.MAP_TO_ODOM else 0.0
        odom_from_base, problem = self._odometry(image.stamp, wait)
        if mode is TfMode.NONE:
            problem = ''
        return Placement(mode, body, camera_from_body, odom_from_base, problem)

    def _camera_from_base(self, image: CameraImage, timeout: float) -> Array:
        camera = self._camera_frame(image)
        try:
            optical_from_base = self._transforms.lookup(
                camera, self._names.base, image.stamp, timeout
            )
        except TransformError as error:
            raise TransformError(
                f'how the camera is mounted is not known: {error}; publish that transform, or set '
                f'tf_mode to {TfMode.MAP_TO_CAMERA.value}'
            ) from error
        return image.camera_from_optical() @ optical_from_base

    def _has(self, target: str, source: str, stamp: Time, timeout: float) -> bool:
        try:
            self._transforms.lookup(target, source, stamp, timeout)
        except TransformError:
            return False
        return True

    def _odometry(self, stamp: Time, timeout: float) -> tuple[Array | None, str]:
        try:
            found = self._transforms.lookup(self._names.odom, self._names.base, stamp, timeout)
        except TransformError as error:
            return None, str(error)
        return found, ''

    def _camera_frame(self, image: CameraImage) -> str:
        frame = (self._names.camera or image.frame_id).lstrip('/')
        if not frame:
            raise TransformError(
                'images name no frame in their header; have the driver do so, or set camera_frame'
            )
        return frame
