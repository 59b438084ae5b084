"""What is recorded with one camera, or with each camera of a rig."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from aceg_ros.datasets.recording import is_recording, set_aside
from aceg_ros.datasets.rig import add_to_rig
from aceg_ros.datasets.rig_recording import RIG_NAME
from aceg_ros.errors import AcegError, StorageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.recording.keyframes import KeyframeRules
from aceg_ros.recording.recorder import Array, Decoded, Depth, Keyframe, Recorder, Refusal


class Recordings:
    """A recording at a path; of a rig one for each camera, in a folder of its name below the path.

    `aceg_ros.datasets.rig_recording` reads what a rig recorded. For several threads.
    """

    def __init__(
        self, path: Path, rules: KeyframeRules, image_suffix: str, cameras: Sequence[str]
    ) -> None:
        """Take up what is there; ``cameras`` is empty for a single one.

        Raises what `Recorder` raises.
        """
        self.path = path
        self.cameras = tuple(cameras)
        folders = [path / name for name in cameras] or [path]
        self._recorders = [Recorder(folder, rules, image_suffix) for folder in folders]
        self._named = False  # whether the file of the rig has the cameras
        self._problem: str | None = None  # why it has not

    @property
    def recording(self) -> bool:
        """Whether keyframes are being taken, of any camera."""
        return any(recorder.recording for recorder in self._recorders)

    @property
    def problem(self) -> str | None:
        """Why recording stopped by itself."""
        problems = [self._problem, *(recorder.problem for recorder in self._recorders)]
        return next(filter(None, problems), None)

    @property
    def poses(self) -> list[Array]:
        """world_from_cam (4, 4) of all keyframes."""
        return [pose for recorder in self._recorders for pose in recorder.poses]

    @property
    def repairs(self) -> list[str]:
        """What an earlier crash had left unfinished, with the path of the recording."""
        return [
            f'{recorder.path}, after a crash: {words}'
            for recorder in self._recorders
            for words in recorder.repairs
        ]

    def set_rules(self, rules: KeyframeRules) -> None:
        """Choose by other rules from now on."""
        for recorder in self._recorders:
            recorder.set_rules(rules)

    def start(self) -> None:
        """Record from now on, with all cameras or none; raises as `Recorder.start`."""
        # The folder may have been moved away since, with the file in it.
        self._named, self._problem = False, None
        try:
            for recorder in self._recorders:
                recorder.start()
        except AcegError:
            self.stop()
            raise

    def stop(self) -> None:
        """Take no more keyframes."""
        for recorder in self._recorders:
            recorder.stop()

    def reset(self) -> Path | None:
        """As `Recorder.reset`; what a rig recorded is renamed as a whole."""
        if not self.cameras:
            return self._recorders[0].reset()
        self.stop()
        recorded = any(is_recording(recorder.path) for recorder in self._recorders)
        backup = set_aside(self.path) if recorded else None
        for recorder in self._recorders:
            recorder.reset()
        self._named, self._problem = False, None
        return backup

    def offer(
        self,
        number: int,
        stamp: float,
        world_from_cam: Array,
        decode: Callable[[], Decoded],
        depth: Callable[[Camera], Depth | None] | None = None,
        force: bool = False,
    ) -> Keyframe | Refusal:
        """Record an image of camera ``number``; otherwise as `Recorder.offer`."""
        if self.cameras and not self._named and (force or self.recording):
            self._name()
        return self._recorders[number].offer(stamp, world_from_cam, decode, depth, force)

    def _name(self) -> None:
        """Have the file of the rig name the cameras, before there are keyframes of them."""
        try:
            add_to_rig(self.path / RIG_NAME, self.cameras)
        except OSError as error:
            self.stop()
            self._problem = f'{self.path}: cannot record there ({error})'
            raise StorageError(self._problem) from error
        self._named = True
