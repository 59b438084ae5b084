"""The work on one image: decode, localize, check, publish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock
from rclpy.impl.rcutils_logger import RcutilsLogger

from aceg_ros.errors import CameraError, ImageError, TransformError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import Array, inverse
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.localizer.maps import LoadedMaps, Maps
from aceg_ros.ros.localizer.outputs import Outputs
from aceg_ros.ros.localizer.statistics import Statistics
from aceg_ros.ros.localizer.tracked_frame import Placement, TrackedFrames
from aceg_ros.ros.messages import to_seconds
from aceg_ros.tracking.frames import carry
from aceg_ros.tracking.gate import Fix
from aceg_ros.tracking.stream import RepeatedImage
from aceg_ros.tracking.tracker import Arrival, Tracker


@dataclass(frozen=True)
class Hooks:
    """Connections of the pipeline with the node around it."""

    tf_timeout: Callable[[], float]
    outdated: Callable[[], bool]  # whether results are of no use any more
    time_jumped: Callable[[], None]  # stamps of images went back
    examined: Callable[[str], None]  # an image came, and why it cannot be used, or ''
    begins: Callable[[], bool]  # before an image is localized; whether a pose to start from came
    fixed: Callable[[str], None]  # a fix was accepted; in words


class Pipeline:
    """Processes one image at a time. The tracker decides which poses are believed."""

    def __init__(
        self,
        maps: Maps,
        tracker: Tracker,
        tracked_frames: TrackedFrames,
        outputs: Outputs,
        statistics: Statistics,
        hooks: Hooks,
        clock: Clock,
        logger: RcutilsLogger,
    ) -> None:
        self._maps = maps
        self._tracker = tracker
        self._tracked_frames = tracked_frames
        self._outputs = outputs
        self._statistics = statistics
        self._hooks = hooks
        self._clock = clock
        self._logger = logger
        self._body = ''
        self._odometry_problem = ''
        self._repeated = RepeatedImage()
        self._camera: Camera | None = None

    def __call__(self, image: CameraImage) -> None:
        """Work on one image."""
        try:
            stamp = image.seconds
            age = self._now() - stamp
            rgb, camera = image.decode()
        except (CameraError, ImageError) as error:
            self._statistics.unusable += 1
            self._hooks.examined(str(error))
            return
        self._statistics.age = age
        fault = self._repeated.check(image.message.data, self._odometry(image))
        self._statistics.repeated = self._repeated.unexplained
        arrival = None if fault else self._tracker.image(stamp)
        if arrival is Arrival.OLD:
            fault = f'stamps of images do not advance: {stamp:.3f} s came again, or later ones'
        self._hooks.examined(fault)
        if fault:
            self._statistics.unusable += 1
            return
        self._notice_camera(camera)
        if arrival is Arrival.JUMPED_BACK:
            self._logger.warning('the time of the images jumped back; starting anew')
            self._hooks.time_jumped()
            self._repeated.forget()
        # Before the map is read, so that another map's answer is known to be one.
        epoch = self._tracker.epoch
        maps = self._maps.current
        if maps is None:
            self._draw(image, rgb, camera, None, self._tracker.status[1], good=False)
            return
        try:
            if not self._tracked_frames.decide(image, self._hooks.tf_timeout()):
                self._tracker.no_fix(stamp, epoch, self._tracked_frames.wait)
                self._draw(image, rgb, camera, None, self._tracked_frames.wait, good=False)
                return
        except TransformError as error:
            self._statistics.unusable += 1
            self._tracker.no_fix(stamp, epoch, str(error))
            self._draw(image, rgb, camera, None, str(error), good=False)
            return
        if self._hooks.begins():
            epoch = self._tracker.epoch
        placement = self._tracked_frames.locate_now(image)
        # The map that is believed goes first, so that another one's single answer changes nothing.
        answer = maps.set.localize(rgb, camera, self._prior(placement), self._tracker.map_id)
        if self._hooks.outdated():
            return
        self._statistics.took(answer.seconds, age)
        self._statistics.confidence = answer.confidence
        try:
            if placement is None or not placement.complete:
                placement = self._tracked_frames.locate(image, self._hooks.tf_timeout())
        except TransformError as error:
            self._statistics.failed += 1
            self._tracker.no_fix(stamp, epoch, str(error))
            self._draw(image, rgb, camera, answer, str(error), good=False)
            return
        self._notice(placement)
        if isinstance(answer, LocalizationFailure):
            self._statistics.failed += 1
            self._tracker.no_fix(stamp, epoch, answer.message, placement.odom_from_body)
            self._draw(image, rgb, camera, answer, answer.message, good=False)
            return
        self._check(image, rgb, camera, answer, maps, placement, epoch)

    def _check(
        self,
        image: CameraImage,
        rgb: NDArray[np.uint8],
        camera: Camera,
        found: Localization,
        maps: LoadedMaps,
        placement: Placement,
        epoch: int,
    ) -> None:
        """Convert a pose to the tracked frame, and publish it if the gate accepts it."""
        pose, covariance = carry(found.world_from_cam, found.covariance, placement.camera_from_body)
        loaded = maps.by_name[found.map_name]
        fix = Fix(to_seconds(image.stamp), pose, covariance, placement.odom_from_body, loaded.place)
        words = f'map {loaded.name}, ' if len(maps.by_name) > 1 else ''
        words += _described(found, fix)
        verdict = self._tracker.fix(fix, epoch, words)
        if verdict is None:
            return
        self._statistics.inliers = int(found.inliers.sum())
        if verdict.accepted:
            self._statistics.accepted += 1
            self._outputs.publish_fix(image, placement, fix, loaded)
            self._statistics.latency = self._now() - fix.stamp
            self._outputs.publish_inliers(image, rgb, found, loaded.frame)
            self._hooks.fixed(words)
        else:
            self._statistics.refused += 1
            self._logger.warning(f'fix refused: {verdict.words}')
            words = verdict.words
        self._draw(image, rgb, camera, found, words, verdict.accepted)

    def _draw(
        self,
        image: CameraImage,
        rgb: NDArray[np.uint8],
        camera: Camera,
        answer: Localization | LocalizationFailure | None,
        words: str,
        good: bool,
    ) -> None:
        """Show what became of an image, with the state as `~/status` has it."""
        told = f'{self._tracker.state.value}: {words}'
        self._outputs.publish_debug_image(image, rgb, camera, answer, told, good)

    def _prior(self, placement: Placement | None) -> Array | None:
        """Guess of map_from_camera (4, 4), or None."""
        if placement is None:
            return None
        predicted = self._tracker.predicted(placement.odom_from_body)
        if predicted is None:
            return None
        return predicted @ inverse(placement.camera_from_body)

    def _odometry(self, image: CameraImage) -> Array | None:
        """Where odometry has the body, (4, 4), if it is known already."""
        placement = self._tracked_frames.locate_now(image)
        return None if placement is None else placement.odom_from_body

    def _notice_camera(self, camera: Camera) -> None:
        """Log a change of the calibration: a zoom, another mode, or a second driver."""
        if self._camera is not None and camera != self._camera:
            self._logger.warning(
                f'the calibration changed: {_lens(self._camera)}, now {_lens(camera)}',
                throttle_duration_sec=5.0,
            )
        self._camera = camera

    def _notice(self, placement: Placement) -> None:
        """Log changes of the tracked frame and of odometry."""
        if placement.frame != self._body:
            if self._body:
                self._tracker.forget(f'poses are now those of {placement.frame}')
            self._body = placement.frame
            self._logger.info(f'{placement.mode.value}: poses are those of {placement.frame}')
        if placement.odometry_problem and not self._odometry_problem:
            self._logger.warning(f'no odometry to publish TF with: {placement.odometry_problem}')
        self._odometry_problem = placement.odometry_problem

    def _now(self) -> float:
        return self._clock.now().nanoseconds * 1e-9


def _lens(camera: Camera) -> str:
    K = camera.K
    return (
        f'{camera.width}x{camera.height}, fx {K[0, 0]:.1f}, fy {K[1, 1]:.1f}, cx {K[0, 2]:.1f}, '
        f'cy {K[1, 2]:.1f}, {camera.model}'
    )


def _described(found: Localization, fix: Fix) -> str:
    """Inliers and standard deviations of a fix, for people."""
    position = np.sqrt(np.linalg.eigvalsh(fix.covariance[:3, :3])[-1])
    rotation = np.degrees(np.sqrt(np.linalg.eigvalsh(fix.covariance[3:, 3:])[-1]))
    return (
        f'confidence {found.confidence:.3f}, '
        f'{int(found.inliers.sum())} of {len(found.inliers)} points agree; '
        f'standard deviation {100.0 * position:.1f} cm, {rotation:.2f} deg'
    )
