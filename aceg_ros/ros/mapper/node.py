"""The mapper as a node: it puts the parts together and schedules them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import Header

from aceg_ros.geometry.motion import CLOCK_SET_BACK
from aceg_ros.mapping.background import FitReport, FitState
from aceg_ros.recording.pose_track import PoseTrack
from aceg_ros.recording.session import Session
from aceg_ros.ros.camera_input import CameraInput, beside
from aceg_ros.ros.common_options import depth_topics, rig_topics
from aceg_ros.ros.depth_input import DepthInput
from aceg_ros.ros.mapper.localizer_client import LocalizerClient
from aceg_ros.ros.mapper.options import PARAMETERS, TF, limits_of, settings_of
from aceg_ros.ros.mapper.origin import localizers
from aceg_ros.ros.mapper.outputs import Outputs, Pictures, fit_report
from aceg_ros.ros.mapper.poses import PoseSource, TfPoses, TopicPoses
from aceg_ros.ros.mapper.report import Reports
from aceg_ros.ros.mapper.services import Services
from aceg_ros.ros.mapper.stream import CameraStream
from aceg_ros.ros.middleware.diagnostics import Diagnostics, Level, Report
from aceg_ros.ros.middleware.tf import Transforms
from aceg_ros.ros.parameters import RVIZ_RESET, Parameters, image_reliability
from aceg_ros.ros.spin import run_node

NAME = 'aceg_mapper'
_WATCH = 0.2  # s between looks at what does not report by itself
_CHECK = 1.0  # s between looks at who sends poses
_PATIENCE = 1.0  # s that the end of the node waits for the image at hand


class MapperNode(Node):
    """Records keyframes of cameras whose poses are known, and fits maps to them."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._running = False
        self._settings = settings = Parameters(self, PARAMETERS, self._on_parameters)
        self._fit: FitReport | None = None
        self._published_map: Path | None = None
        self._next_look = 0.0  # time.monotonic()
        self._show_again: float | None = None  # when viewers that forgot the scene get it again
        topics = [self.resolve_topic_name(topic) for topic in rig_topics(self._values())]
        self._outputs = Outputs(self)
        self._localizer = LocalizerClient(self, settings['localizer_service'])
        self._session = Session(
            settings_of(self._values()),
            self._on_fit,
            self._localizer.request,
            [topic.strip('/').replace('/', '.') for topic in topics],
        )
        self._transforms = Transforms(self)
        self._poses = self._make_pose_source()
        pictures = Pictures(self._outputs.debug_image, lambda: self._told)
        self._streams = self._make_streams(topics, pictures)
        self._requests = Services(
            self,
            self._session,
            [stream.wanted for stream in self._streams],
            self._new_recording,
            lambda: settings['add_keyframe_timeout'],
        )
        self._reports = Reports(self._session, self._streams, self._poses, self._fit_report)
        self._diagnostics = Diagnostics(
            self, lambda: ', '.join(stream.camera.name for stream in self._streams)
        )
        self._reports.join(self._diagnostics)
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
        for stream in self._streams:
            stream.start()

    def destroy_node(self) -> None:
        """End all work; what is recorded stays."""
        # Also called for a node that was not put together, because a parameter was refused.
        if self._running:
            self._running = False
            for stream in self._streams:
                stream.stop(_PATIENCE)
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

    def _make_streams(self, topics: Sequence[str], pictures: Pictures) -> list[CameraStream]:
        """Of the topic `image`, or of those of a rig."""
        settings = self._settings
        reliability = image_reliability(settings['image_qos'])
        streams = []
        depths = DepthInput.of_cameras(
            self, self._transforms, settings, depth_topics(self._values())
        )
        for number, (topic, depth) in enumerate(zip(topics or ['image'], depths, strict=True)):
            camera = CameraInput(
                self,
                settings['compressed'],
                settings['rectified'],
                reliability,
                topic,
                beside(topic) if topics else 'camera_info',
            )
            streams.append(
                CameraStream(
                    self,
                    number,
                    topic if topics else '',
                    camera,
                    depth,
                    self._poses,
                    self._session,
                    pictures,
                    lambda: settings['pose_timeout'],
                    lambda: settings['image_timeout'],
                    self._forget_past,
                )
            )
        return streams

    @property
    def _told(self) -> str:
        return f'{self._reports.state}: {self._reports.words}'

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
            for note in report.result.notes if report.result else ():
                self.get_logger().info(f'fit: {note}')

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
        self._session.recordings.set_rules(wanted.rules)

    def _values(self) -> dict[str, Any]:
        return {entry.name: self._settings[entry.name] for entry in PARAMETERS}

    def _log_recording(self) -> None:
        recordings = self._session.recordings
        if self._session.count:
            self.get_logger().info(
                f'{recordings.path} has {self._session.count} keyframes; it will be continued'
            )
        for words in recordings.repairs:
            self.get_logger().warning(words)

    def _new_recording(self) -> None:
        for stream in self._streams:
            stream.begin_anew()
        self._poses.clear()

    def _watch(self) -> None:
        """Publish what changed, and answer calls that waited too long."""
        self._localizer.work()
        self._look_for_localizers()
        if self._session.saved not in (None, self._published_map):
            self._published_map = self._session.saved
            self._outputs.publish_progress(self._fit_report())
        for stream in self._streams:
            stream.expire()
        self._show_scene()
        if self._outputs.publish_status(self._reports.state, self._reports.words):
            self._diagnostics.update()
        silences = [stream.health.silence for stream in self._streams]
        if all(silences):
            self._say('; '.join(silences))

    def _show_scene(self) -> None:
        again = self._show_again is not None and time.monotonic() > self._show_again
        changed = [stream for stream in self._streams if stream.scene_changed]
        if not (changed or again):
            return
        for stream in changed:
            stream.scene_changed = False  # first, as the next keyframe may come meanwhile
        shown = self._outputs.publish_scene(
            self._poses.frame or self._settings['map_frame'],
            self._session.recordings.poses,
            [stream.preview for stream in self._streams],
        )
        if shown and again:
            self._show_again = None
        for stream in changed:
            stream.scene_changed |= not shown

    def _say(self, silence: str) -> None:
        """Tell the state where no image comes that could have it; a fit needs none."""
        header = Header(stamp=self.get_clock().now().to_msg())
        idle = not (self._session.recording or self._session.fitting)
        words = f'{self._told}; {silence}' if idle else self._told
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
        for stream in self._streams:
            stream.clear()
        now = self.get_clock().now().nanoseconds * 1e-9
        self._forget_past(now, f'the clock jumped back by {-jump.delta.nanoseconds * 1e-9:.1f} s')

    def _forget_past(self, now: float, words: str) -> None:
        self._show_again = time.monotonic() + RVIZ_RESET
        self._transforms.clear()
        for stream in self._streams:
            stream.forget_past()
        self._poses.rewind(now)
        self.get_logger().warning(f'{words}; poses from before are forgotten')


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the node, and end the process with it."""
    run_node(MapperNode, arguments=arguments)
