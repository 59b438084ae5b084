"""The work on the images of one moment: decode, localize, check, publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rclpy.clock import Clock
from rclpy.impl.rcutils_logger import RcutilsLogger

from aceg_ros.errors import CameraError, ImageError, TransformError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import Array, inverse
from aceg_ros.geometry.rigs import Rig
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.depth_input import DepthInput
from aceg_ros.ros.localizer.cameras import Moment
from aceg_ros.ros.localizer.maps import LoadedMaps, Maps
from aceg_ros.ros.localizer.outputs import Outputs
from aceg_ros.ros.localizer.statistics import Statistics
from aceg_ros.ros.localizer.tracked_frame import Placement, TrackedFrames
from aceg_ros.ros.localizer.views import CameraView
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
    examined: Callable[[Mapping[int, str]], None]  # as `Cameras.examined`
    begins: Callable[[], bool]  # before an image is localized; whether a pose to start from came
    fixed: Callable[[str], None]  # a fix was accepted; in words


class Pipeline:
    """Processes one moment at a time. The tracker decides which poses are believed."""

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
        names: Sequence[str],
        depths: Sequence[DepthInput | None],
    ) -> None:
        """``names`` of the cameras of a rig; a single one needs none. ``depths`` of each camera."""
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
        self._names = names
        self._depths = depths
        self._repeated = [RepeatedImage() for _ in statistics.of_cameras]
        self._cameras: dict[int, Camera] = {}

    def __call__(self, moment: Moment) -> None:
        """Work on the images of one moment."""
        views, problems = [], dict.fromkeys(moment, '')
        for number, image in moment.items():
            try:
                views.append(self._view(number, image))
            except (CameraError, ImageError) as error:
                problems[number] = str(error)
        arrival = self._tracker.image(views[0].image.seconds) if views else None
        if arrival is Arrival.OLD:
            stamp = views[0].image.seconds
            fault = f'stamps of images do not advance: {stamp:.3f} s came again, or later ones'
            problems |= {view.number: fault for view in views}
            views = []
        self._hooks.examined(problems)
        for number, problem in problems.items():
            self._statistics.of_cameras[number].unusable += bool(problem)
        if not views:
            return
        stamp, epoch = views[0].image.seconds, self._tracker.epoch
        try:
            self._localize(views, arrival is Arrival.JUMPED_BACK)
        except Exception as error:
            # Where all work fails, the body is lost like where all images are refused.
            self._tracker.no_fix(stamp, epoch, f'an image was given up: {error}')
            raise

    def _view(self, number: int, image: CameraImage) -> CameraView:
        """An image decoded; raises CameraError and ImageError for one that cannot be used."""
        age = self._now() - image.seconds
        rgb, camera = image.decode()
        statistics, repeated = self._statistics.of_cameras[number], self._repeated[number]
        statistics.age = age
        fault = repeated.check(image.message.data, self._odometry(image))
        statistics.repeated = repeated.unexplained
        if fault:
            raise ImageError(fault)
        return CameraView(number, image, rgb, camera)

    def _localize(self, views: Sequence[CameraView], jumped_back: bool) -> None:
        """Find the body at the time of the first of some images."""
        first = views[0].image
        stamp, statistics = first.seconds, self._statistics.of_cameras[views[0].number]
        for view in views:
            self._notice_camera(view)
            self._tracked_frames.see(view.number, view.image)
        if jumped_back:
            self._logger.warning('the time of the images jumped back; starting anew')
            self._hooks.time_jumped()
            for repeated in self._repeated:
                repeated.forget()
        # Before the map is read, so that another map's answer is known to be one.
        epoch = self._tracker.epoch
        maps = self._maps.current
        if maps is None:
            self._draw(views, None, self._tracker.status[1], good=False)
            return
        try:
            if not self._tracked_frames.decide(first, self._hooks.tf_timeout()):
                self._tracker.no_fix(stamp, epoch, self._tracked_frames.wait)
                self._draw(views, None, self._tracked_frames.wait, good=False)
                return
            views = self._mounted(views)
        except TransformError as error:
            statistics.unusable += 1
            self._tracker.no_fix(stamp, epoch, str(error))
            self._draw(views, None, str(error), good=False)
            return
        if self._hooks.begins():
            epoch = self._tracker.epoch
        first, stamp, age = views[0].image, views[0].image.seconds, statistics.age
        placement = self._tracked_frames.locate_now(first)
        # The map that is believed goes first, so that another one's single answer changes nothing.
        rig = Rig(
            tuple(view.camera for view in views), np.stack([view.rig_from_cam for view in views])
        )
        prior = self._prior(placement)
        seconds = {}
        if any(self._depths):
            began = time.perf_counter()
            views = [self._with_depth(view, maps.metric) for view in views]
            seconds['depth'] = time.perf_counter() - began
        answer = maps.set.localize_rig(
            [view.rgb for view in views],
            rig,
            prior=prior,
            first=self._tracker.map_id,
            depths=[view.depth for view in views],
        )
        if self._hooks.outdated():
            return
        self._statistics.took(seconds | answer.seconds, age)
        self._statistics.confidence = answer.confidence
        try:
            if placement is None or not placement.complete:
                placement = self._tracked_frames.locate(first, self._hooks.tf_timeout())
        except TransformError as error:
            self._statistics.failed += 1
            self._tracker.no_fix(stamp, epoch, str(error))
            self._draw(views, answer, str(error), good=False)
            return
        self._notice(placement)
        if isinstance(answer, LocalizationFailure):
            self._statistics.failed += 1
            self._tracker.no_fix(stamp, epoch, answer.message, placement.odom_from_body)
            self._draw(views, answer, answer.message, good=False)
            return
        self._check(views, answer, maps, placement, epoch)

    def _with_depth(self, view: CameraView, metric: bool) -> CameraView:
        """The image with the depth that belongs to it, if any came and the maps have meters."""
        depth = self._depths[view.number]
        if depth is None:
            return view
        statistics = self._statistics.of_cameras[view.number]
        if not metric:
            statistics.without_depth = 'depth is not used: lengths of a map in use are not meters'
            return view
        measured = depth.find(view.image, view.camera)
        statistics.without_depth = depth.problem
        return replace(view, depth=measured)

    def _mounted(self, views: Sequence[CameraView]) -> list[CameraView]:
        """The images of those cameras whose place on the body is known, with these places.

        Raises TransformError when there is none.
        """
        timeout = self._hooks.tf_timeout()
        mounted: list[CameraView] = []
        unknown = []
        for view in views:
            try:
                mount = self._tracked_frames.rig_from_cam(view.number, view.image, timeout)
                problem = ''
                mounted.append(replace(view, rig_from_cam=mount))
            except TransformError as error:
                problem = str(error)
                unknown.append(problem)
            self._notice_mounting(view.number, problem)
        if not mounted:
            raise TransformError('; '.join(unknown))
        first = mounted[0].image
        return [
            replace(
                view,
                rig_from_cam=self._tracked_frames.now_from_then(first, view.image, timeout)
                @ view.rig_from_cam,
            )
            for view in mounted
        ]

    def _check(
        self,
        views: Sequence[CameraView],
        found: Localization,
        maps: LoadedMaps,
        placement: Placement,
        epoch: int,
    ) -> None:
        """Convert a pose to the tracked frame, and publish it if the gate accepts it."""
        pose, covariance = carry(found.world_from_cam, found.covariance, placement.camera_from_body)
        loaded, stamp = maps.by_name[found.map_name], views[0].image.seconds
        fix = Fix(stamp, pose, covariance, placement.odom_from_body, loaded.place)
        cameras = self._part_takers(views, found)
        words = f'map {loaded.name}, ' if len(maps.by_name) > 1 else ''
        words += f'cameras {cameras}, ' if cameras else ''
        words += _described(found, fix)
        verdict = self._tracker.fix(fix, epoch, words)
        if verdict is None:
            return
        self._statistics.inliers = int(found.inliers.sum())
        if verdict.accepted:
            self._statistics.accepted += 1
            self._statistics.cameras_of_fix = cameras
            self._outputs.publish_fix(views[0].image, placement, fix, loaded)
            # At once: who has seen this pose and asks for another one must not be answered with it.
            self._hooks.fixed(words)
            self._statistics.latency = self._now() - fix.stamp
            self._outputs.publish_inliers(views, found, loaded.frame)
        else:
            self._statistics.refused += 1
            self._logger.warning(f'fix refused: {verdict.words}')
            words = verdict.words
        known = [loaded.known_camera(view.camera) for view in views]
        views = [
            replace(view, camera=k.camera, rig_from_cam=view.rig_from_cam @ k.given_from_cam)
            for view, k in zip(views, known, strict=True)
        ]
        self._draw(views, found, words, verdict.accepted)

    def _part_takers(self, views: Sequence[CameraView], found: Localization) -> str:
        """Names of the cameras of a rig that a pose rests on."""
        if not self._names or found.cameras is None:
            return ''
        part = np.unique(found.cameras[found.inliers])
        return ', '.join(self._names[views[index].number] for index in part)

    def _draw(
        self,
        views: Sequence[CameraView],
        answer: Localization | LocalizationFailure | None,
        words: str,
        good: bool,
    ) -> None:
        """Show what became of images, with the state as `~/status` has it."""
        told = f'{self._tracker.state.value}: {words}'
        self._outputs.publish_debug_image(views, answer, told, good)

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

    def _notice_camera(self, view: CameraView) -> None:
        """Log a change of the calibration: a zoom, another mode, or a second driver."""
        before = self._cameras.get(view.number)
        if before is not None and view.camera != before:
            self._logger.warning(
                f'the calibration changed: {_lens(before)}, now {_lens(view.camera)}',
                throttle_duration_sec=5.0,
            )
        self._cameras[view.number] = view.camera

    def _notice_mounting(self, number: int, problem: str) -> None:
        """Log why a camera of a rig cannot take part."""
        statistics = self._statistics.of_cameras[number]
        if problem and problem != statistics.unmounted:
            self._logger.warning(f'a camera of the rig is left out: {problem}')
        statistics.unmounted = problem

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
