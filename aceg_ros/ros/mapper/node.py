"""The mapper as a node: it puts the parts together and schedules them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import Header

from aceg_ros.errors import AcegError, CameraError, ImageError, StorageError
from aceg_ros.geometry.motion import CLOCK_SET_BACK
from aceg_ros.mapping.background import FitReport, FitState
from aceg_ros.recording.pose_track import PoseTrack
from aceg_ros.recording.preview import ScenePreview
from aceg_ros.recording.recorder import Keyframe, Refusal
from aceg_ros.recording.session import Session
from aceg_ros.ros.camera_health import CameraHealth
from aceg_ros.ros.camera_input import CameraImage, CameraInput
from aceg_ros.ros.depth_input import DepthInput
from aceg_ros.ros.mapper.localizer_client import LocalizerClient
from aceg_ros.ros.mapper.options import PARAMETERS, TF, limits_of, settings_of
from aceg_ros.ros.mapper.origin import localizers
from aceg_ros.ros.mapper.outputs import Outputs, fit_report
from aceg_ros.ros.mapper.poses import PoseSource, TfPoses, TopicPoses
from aceg_ros.ros.mapper.report import Counters, Reports
from aceg_ros.ros.mapper.services import Services
from aceg_ros.ros.middleware.bridge import to_rgb
from aceg_ros.ros.middleware.diagnostics import Diagnostics, Level, Report
from aceg_ros.ros.middleware.tf import Transforms
from aceg_ros.ros.parameters import RVIZ_RESET, Parameters, image_reliability
from aceg_ros.ros.spin import run_node
from aceg_ros.ros.worker import Worker
from aceg_ros.tracking.stream import RepeatedImage

NAME = 'aceg_mapper'
_WATCH = 0.2  # s between looks at what does not report by itself
_PICTURE = 0.2  # s between two debug images at least
_CHECK = 1.0  # s between looks at images that nobody wants, and at who sends poses
_PATIENCE = 1.0  # s that the end of the node waits for the image at hand


class MapperNode(Node):
    """Records keyframes of a camera whose poses are known, and fits maps to them."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._running = False
        self._settings = settings = Parameters(self, PARAMETERS, self._on_parameters)
        self._fit: FitReport | None = None
        self._published_map: Path | None = None
        self._last_stamp: float | None = None
        self._last_check = time.monotonic()
        self._next_look = 0.0  # time.monotonic()
        self._scene_changed = True
        self._show_again: float | None = None  # when viewers that forgot the scene get it again
        self._repeated = RepeatedImage()
        self._outputs = Outputs(self)
        self._localizer = LocalizerClient(self, settings['localizer_service'])
        self._session = Session(settings_of(self._values()), self._on_fit, self._localizer.request)
        self._preview = ScenePreview()
        self._transforms = Transforms(self)
        self._poses = self._make_pose_source()
        reliability = image_reliability(settings['image_qos'])
        self._depth = (
            DepthInput(
                self,
                self._transforms,
                settings['depth_tolerance'],
                reliability,
                settings['camera_frame'],
            )
            if settings['use_depth']
            else None
        )
        self._camera = CameraInput(self, settings['compressed'], settings['rectified'], reliability)
        self._health = CameraHealth(
            self._camera, lambda: settings['image_timeout'], self.get_logger()
        )
        self._counters = Counters()
        self._requests = Services(
            self, self._session, self._new_recording, lambda: settings['add_keyframe_timeout']
        )
        self._reports = Reports(
            self._session,
            self._health,
            self._poses,
            self._depth,
            self._counters,
            self._fit_report,
            lambda: self._worker.problem,
        )
        self._diagnostics = Diagnostics(self, lambda: self._camera.name)
        for name in ('camera', 'poses', 'recording', 'fit'):
            self._diagnostics.add(name, getattr(self._reports, name))
        self._worker = Worker(self._camera, self._work, lambda: 0.0, self.get_logger(), 'record')
        # The watch goes on when simulated time stands still.
        self.create_timer(_WATCH, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._clock_jumps = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None,
                min_backward=Duration(seconds=-CLOCK_SET_BACK),
                on_clock_change=False,
            ),
            post_callback=self._on_clock_jump,
        )
        self._log_recording()
        self._running = True
        if self._depth is not None:
            self._depth.start()
        self._camera.start()

    def destroy_node(self) -> None:
        """End all work; what is recorded stays."""
        # Also called for a node that was not put together, because a parameter was refused.
        if self._running:
            self._running = False
            self._camera.stop()
            self._worker.stop(_PATIENCE)
            self._session.close()
        super().destroy_node()

    def _make_pose_source(self) -> PoseSource:
        settings, limits = self._settings, limits_of(self._values())
        if settings['pose_source'] == TF:
            return TfPoses(
                self._transforms, settings['map_frame'], settings['camera_frame'], limits
            )
        return TopicPoses(
            self,
            self._transforms,
            settings['pose_frame'],
            settings['camera_frame'],
            PoseTrack(settings['max_pose_gap'], limits),
        )

    def _work(self, image: CameraImage) -> None:
        """Record an image, if it is to be; in the worker's thread."""
        try:
            self._notice_set_back(image.seconds)
            wanted = bool(self._requests.wanted)
            if wanted or self._session.recording:
                self._offer(image, wanted)
            else:
                self._check_image(image)
        except AcegError as error:
            self._on_trouble(error)
        self._show(image)

    def _show(self, image: CameraImage) -> None:
        """Publish the image with the state in words, if someone looks."""
        pictures = self._outputs.debug_image
        if pictures.wanted and pictures.age > _PICTURE:
            with suppress(ImageError):
                rgb = to_rgb(image.message)
                pictures.show(rgb, image.header, self._told, good=not self._counters.trouble)

    @property
    def _told(self) -> str:
        return f'{self._reports.state}: {self._reports.words}'

    def _offer(self, image: CameraImage, wanted: bool) -> None:
        pose = self._poses.pose(image, self._settings['pose_timeout'])
        fault = self._repeated.check(image.message.data, pose)
        if fault:
            raise ImageError(fault)
        outcome = self._session.recorder.offer(
            image.seconds,
            pose,
            image.decode,
            None if self._depth is None else partial(self._depth.find, image),
            force=wanted,
        )
        self._counters.count(outcome)
        if outcome in (Refusal.IDLE, Refusal.SAME_VIEW):
            self._check_image(image)
            return
        self._health.examined('')
        if isinstance(outcome, Keyframe):
            self._requests.wanted.answer(True, f'{outcome.name}; {self._session.count} keyframes')
            self._scene_changed = True
            self._preview.add(outcome)

    def _check_image(self, image: CameraImage) -> None:
        """Decode an image now and then, so that problems of the camera are reported early."""
        now = time.monotonic()
        if now - self._last_check >= _CHECK:
            self._last_check = now
            image.decode()
            self._health.examined('')

    def _notice_set_back(self, stamp: float) -> None:
        last, self._last_stamp = self._last_stamp, stamp
        if last is not None and stamp < last - CLOCK_SET_BACK:
            self._forget_past(stamp, f'stamps of images went back by {last - stamp:.1f} s')

    def _on_trouble(self, error: AcegError) -> None:
        words = str(error)
        self._counters.fail(words)
        if isinstance(error, StorageError):
            self.get_logger().error(f'recording stopped: {words}')
            self._requests.wanted.answer(False, words)
        elif isinstance(error, CameraError | ImageError):
            self._health.examined(words)
        else:
            self.get_logger().warning(f'an image is left out: {words}', throttle_duration_sec=5.0)

    def _on_fit(self, report: FitReport) -> None:
        """Publish the progress of the fit; called in the thread of the fit."""
        if not self._running:
            return
        self._fit = report
        self._published_map = self._session.saved
        told = self._fit_report()
        self._outputs.publish_progress(told)
        if report.state is not FitState.RUNNING:
            # rclpy allows one severity for each place in the code.
            if told.level is Level.OK:
                self.get_logger().info(f'fit: {told.message}')
            else:
                self.get_logger().warning(f'fit: {told.message}')

    def _fit_report(self) -> Report:
        if self._fit is None:
            return Report(Level.OK, 'nothing was fitted yet')
        return fit_report(self._fit, self._session.count, self._published_map)

    def _on_parameters(self, values: dict[str, Any]) -> None:
        """Apply new values; raises AcegError for those that cannot be used now."""
        wanted = settings_of(self._values() | values)
        if wanted.recording != self._session.settings.recording:
            self._session.open(wanted.recording)
            self._new_recording()
            self._log_recording()
        self._session.settings = wanted
        self._session.recorder.set_rules(wanted.rules)

    def _values(self) -> dict[str, Any]:
        return {entry.name: self._settings[entry.name] for entry in PARAMETERS}

    def _log_recording(self) -> None:
        recorder = self._session.recorder
        if self._session.count:
            self.get_logger().info(
                f'{recorder.path} has {self._session.count} keyframes; it will be continued'
            )
        for words in recorder.repairs:
            self.get_logger().warning(f'{recorder.path}, after a crash: {words}')

    def _new_recording(self) -> None:
        # The worker may be adding to the old one.
        self._preview = ScenePreview()
        self._poses.clear()
        self._scene_changed = True

    def _watch(self) -> None:
        """Publish what changed, and answer calls that waited too long."""
        self._localizer.work()
        self._look_for_localizers()
        if self._session.saved not in (None, self._published_map):
            self._published_map = self._session.saved
            self._outputs.publish_progress(self._fit_report())
        trouble = self._health.silence or self._counters.trouble or 'no image came'
        self._requests.wanted.expire(f'no keyframe was added: {trouble}')
        if self._show_again is not None and time.monotonic() > self._show_again:
            self._show_again = None
            self._scene_changed = True
        if self._scene_changed and self._outputs.publish_scene(
            self._poses.frame or self._settings['map_frame'],
            self._session.recorder.poses,
            self._preview,
        ):
            self._scene_changed = False
        if self._outputs.publish_status(self._reports.state, self._reports.words):
            self._diagnostics.update()
        if self._health.silence:
            self._say()

    def _say(self) -> None:
        """Tell the state where no image comes that could have it; a fit needs none."""
        header = Header(stamp=self.get_clock().now().to_msg())
        idle = not (self._session.recording or self._session.fitting)
        words = f'{self._told}; {self._health.silence}' if idle else self._told
        self._outputs.debug_image.say(header, words, good=self._reports.state == 'fitting')

    def _look_for_localizers(self) -> None:
        if not self._session.recording or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _CHECK
        known, self._reports.localizers = (
            self._reports.localizers,
            localizers(self, self._poses.senders),
        )
        if self._reports.localizers and self._reports.localizers != known:
            self.get_logger().warning(self._reports.circle)

    def _on_clock_jump(self, jump: TimeJump) -> None:
        self._last_stamp = None
        self._camera.clear()
        self._health.begin()
        now = self.get_clock().now().nanoseconds * 1e-9
        self._forget_past(now, f'the clock jumped back by {-jump.delta.nanoseconds * 1e-9:.1f} s')

    def _forget_past(self, now: float, words: str) -> None:
        self._show_again = time.monotonic() + RVIZ_RESET
        self._transforms.clear()
        self._repeated.forget()
        self._poses.rewind(now)
        if self._depth is not None:
            self._depth.clear()
        self.get_logger().warning(f'{words}; poses from before are forgotten')


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the node, and end the process with it."""
    run_node(MapperNode, arguments=arguments)
