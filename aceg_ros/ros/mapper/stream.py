"""One camera of the mapper: from its images to keyframes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from rclpy.node import Node

from aceg_ros.errors import AcegError, CameraError, ImageError, StorageError
from aceg_ros.geometry.motion import CLOCK_SET_BACK
from aceg_ros.recording.preview import ScenePreview
from aceg_ros.recording.recorder import Keyframe, Refusal
from aceg_ros.recording.session import Session
from aceg_ros.ros.camera_health import CameraHealth
from aceg_ros.ros.camera_input import CameraImage, CameraInput
from aceg_ros.ros.depth_input import DepthInput
from aceg_ros.ros.mapper.counters import Counters
from aceg_ros.ros.mapper.outputs import Pictures
from aceg_ros.ros.mapper.poses import PoseSource
from aceg_ros.ros.middleware.bridge import to_rgb
from aceg_ros.ros.waiters import Waiters
from aceg_ros.ros.worker import Worker
from aceg_ros.tracking.stream import RepeatedImage

_CHECK = 1.0  # s between looks at images that nobody wants


class CameraStream:
    """Records the images of a camera that are to be recorded, in a thread of its own."""

    def __init__(
        self,
        node: Node,
        number: int,
        name: str,
        camera: CameraInput,
        depth: DepthInput | None,
        poses: PoseSource,
        session: Session,
        pictures: Pictures,
        pose_timeout: Callable[[], float],
        image_timeout: Callable[[], float],
        on_set_back: Callable[[float, str], None],
    ) -> None:
        """``number`` is the camera's in the session's recordings, ``name`` empty for a single one.

        ``on_set_back`` is told of a stamp (s) that is earlier than the one before, and in words.
        """
        self.name, self.camera, self.depth = name, camera, depth
        self.health = CameraHealth(camera, image_timeout, node.get_logger())
        self.counters = Counters()
        self.preview = ScenePreview()
        self.scene_changed = True
        self.wanted = Waiters(node)  # calls that wait for a keyframe
        self._number = number
        self._poses = poses
        self._session = session
        self._pictures = pictures
        self._pose_timeout = pose_timeout
        self._on_set_back = on_set_back
        self._logger = node.get_logger()
        self._last_stamp: float | None = None
        self._last_check = time.monotonic()
        self._repeated = RepeatedImage()
        self._worker = Worker(camera, self._work, lambda: 0.0, self._logger, f'record {number}')

    @property
    def broken(self) -> str:
        """Why images are given up; empty where they are not."""
        return self._worker.problem

    @property
    def trouble(self) -> str:
        """What is wrong with the last images; empty when nothing is."""
        without_depth = '' if self.depth is None else self.depth.problem
        return self._named(self.counters.trouble or without_depth)

    def start(self) -> None:
        """Subscribe."""
        if self.depth is not None:
            self.depth.start()
        self.camera.start()

    def stop(self, patience: float) -> None:
        """End all work; the image at hand has ``patience`` seconds."""
        self.camera.stop()
        self._worker.stop(patience)

    def expire(self) -> None:
        """Answer calls that waited too long."""
        trouble = self.health.silence or self.counters.trouble or 'no image came'
        self.wanted.expire(self._named(f'no keyframe was added: {trouble}'))

    def begin_anew(self) -> None:
        """Show another recording."""
        # The worker may be adding to the old one.
        self.preview = ScenePreview()
        self.scene_changed = True

    def clear(self) -> None:
        """Forget the images that came, after the clock jumped."""
        self._last_stamp = None
        self.camera.clear()
        self.health.begin()

    def forget_past(self) -> None:
        """Forget what is from before a jump in time."""
        self._repeated.forget()

    def _work(self, image: CameraImage) -> None:
        """Record an image, if it is to be."""
        try:
            self._notice_set_back(image.seconds)
            wanted = bool(self.wanted)
            if wanted or self._session.recording:
                self._offer(image, wanted)
            else:
                self._check_image(image)
        except AcegError as error:
            self._on_trouble(error)
        if self._pictures.wanted:
            with suppress(ImageError):
                good = not self.counters.trouble
                self._pictures.show(self._number, to_rgb(image.message), image.header, good)

    def _offer(self, image: CameraImage, wanted: bool) -> None:
        pose = self._poses.pose(image, self._pose_timeout())
        fault = self._repeated.check(image.message.data, pose)
        if fault:
            raise ImageError(fault)
        outcome = self._session.recordings.offer(
            self._number,
            image.seconds,
            pose,
            image.decode,
            None if self.depth is None else partial(self.depth.find, image),
            force=wanted,
        )
        self.counters.count(outcome)
        if outcome in (Refusal.IDLE, Refusal.SAME_VIEW):
            self._check_image(image)
            return
        self.health.examined('')
        if isinstance(outcome, Keyframe):
            words = f'{outcome.name}; {self._session.count} keyframes'
            self.wanted.answer(True, self._named(words))
            self.preview.add(outcome)
            self.scene_changed = True

    def _check_image(self, image: CameraImage) -> None:
        """Decode an image now and then, so that problems of the camera are reported early."""
        now = time.monotonic()
        if now - self._last_check >= _CHECK:
            self._last_check = now
            image.decode()
            self.health.examined('')

    def _notice_set_back(self, stamp: float) -> None:
        last, self._last_stamp = self._last_stamp, stamp
        if last is not None and stamp < last - CLOCK_SET_BACK:
            self._on_set_back(stamp, f'stamps of images went back by {last - stamp:.1f} s')

    def _on_trouble(self, error: AcegError) -> None:
        words = str(error)
        self.counters.fail(words)
        if isinstance(error, StorageError):
            self._logger.error(f'recording stopped: {words}')
            self.wanted.answer(False, self._named(words))
        elif isinstance(error, CameraError | ImageError):
            self.health.examined(words)
        else:
            self._logger.warning(
                self._named(f'an image is left out: {words}'), throttle_duration_sec=5.0
            )

    def _named(self, words: str) -> str:
        return f'{self.name}: {words}' if self.name and words else words
