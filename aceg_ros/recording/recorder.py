"""Recording keyframes while a camera moves: starting, stopping, going on after a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.recording import RecordingWriter, is_recording, set_aside
from aceg_ros.errors import CameraError, DatasetError, StorageError
from aceg_ros.files import make_folder
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import validate_pose
from aceg_ros.recording.keyframes import KeyframeChooser, KeyframeRules

Array = NDArray[np.float64]
Decoded = tuple[NDArray[np.uint8], Camera]
Depth = NDArray[np.float32]


class Refusal(Enum):
    """Why an image is not recorded."""

    IDLE = 'not recording'
    SAME_VIEW = 'the view is recorded already'
    BLURRED = 'the image is blurred'


@dataclass(frozen=True)
class Keyframe:
    """An image just recorded."""

    name: str
    image: NDArray[np.uint8]  # RGB (H, W, 3)
    camera: Camera
    world_from_cam: Array  # (4, 4)
    depth: Depth | None  # (H, W) m


class Recorder:
    """One recording at a path, which is made when its first keyframe comes; for several threads.

    What is at the path already is continued. `problem` says why recording stopped by itself.
    """

    def __init__(self, path: Path, rules: KeyframeRules, image_suffix: str = '.jpg') -> None:
        """Take up the recording at `path`, if there is one.

        Raises DatasetError, CameraError or StorageError when it is damaged or not accessible.
        """
        self.path = path
        self.recording = False
        self.problem: str | None = None
        self._rules = rules
        self._suffix = image_suffix
        self._lock = threading.RLock()
        self._writer: RecordingWriter | None = None
        self._chooser = KeyframeChooser(rules)
        self._take_up()

    @property
    def poses(self) -> list[Array]:
        """world_from_cam (4, 4) of all keyframes."""
        # These do not lock, so as not to wait for an image that is being written.
        writer = self._writer
        return [] if writer is None else list(writer.poses)

    @property
    def camera(self) -> Camera | None:
        """Camera of the recording, None before the first keyframe."""
        writer = self._writer
        return None if writer is None else writer.camera

    @property
    def repairs(self) -> list[str]:
        """What an earlier crash had left unfinished."""
        writer = self._writer
        return [] if writer is None else list(writer.repairs)

    def set_rules(self, rules: KeyframeRules) -> None:
        """Choose by other rules from now on."""
        with self._lock:
            self._rules = rules
            self._chooser.rules = rules

    def start(self) -> None:
        """Record from now on.

        Raises StorageError when the folder cannot be made, and what `__init__` raises.
        """
        with self._lock:
            try:
                make_folder(self.path)
            except OSError as error:
                raise StorageError(f'{self.path}: cannot record there ({error})') from error
            # It may have been moved away meanwhile, or a full disk have left half a line.
            self._take_up()
            self.problem = None
            self.recording = True

    def stop(self) -> None:
        """Take no more keyframes."""
        with self._lock:
            self.recording = False

    def reset(self) -> Path | None:
        """Stop, and rename the recording; gives its new path, None if there was none.

        Raises StorageError when it cannot be renamed; then all stays as it is, but stopped.
        """
        with self._lock:
            self.recording = False
            backup = set_aside(self.path) if is_recording(self.path) else None
            self.problem = None
            self._take_up()
            return backup

    def offer(
        self,
        stamp: float,
        world_from_cam: Array,
        decode: Callable[[], Decoded],
        depth: Callable[[Camera], Depth | None] | None = None,
        force: bool = False,
    ) -> Keyframe | Refusal:
        """Record an image if it is worth it, or in any case with `force`, also while stopped.

        `stamp` is in seconds, world_from_cam (4, 4); `decode` and `depth`, which gets the camera,
        are only called when the view is new. Gives the keyframe, or why there is none. Raises
        PoseError, ImageError, CameraError and DatasetError when this image cannot be recorded,
        StorageError when the disk does not take it; then recording stops.
        """
        pose = validate_pose(world_from_cam)
        with self._lock:
            if not (force or self.recording):
                return Refusal.IDLE
            if not (force or self._chooser.is_new_view(pose)):
                return Refusal.SAME_VIEW
            image, camera = decode()
            if not (force or self._chooser.is_sharp(image)):
                return Refusal.BLURRED
            measured = None if depth is None else depth(camera)
            try:
                name = self._open(camera).add(image, pose, stamp, measured)
            except StorageError as error:
                self.recording = False
                self.problem = str(error)
                raise
            self._chooser.add(pose)
            return Keyframe(name, image, camera, pose, measured)

    def _take_up(self) -> None:
        """Continue what is at the path, if that is a recording."""
        self._writer = (
            RecordingWriter(self.path, image_suffix=self._suffix)
            if is_recording(self.path)
            else None
        )
        self._chooser = KeyframeChooser(self._rules, self.poses)

    def _open(self, camera: Camera) -> RecordingWriter:
        if self._writer is None:
            if is_recording(self.path):
                raise DatasetError(f'{self.path}: another program records there')
            self._writer = RecordingWriter(self.path, camera, image_suffix=self._suffix)
        elif self._writer.camera != camera:
            raise CameraError(
                f'{self.path} was recorded with another camera or calibration; go back to that, or '
                'reset to begin a new recording'
            )
        return self._writer
