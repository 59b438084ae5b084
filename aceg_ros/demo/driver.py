"""Plays a camera to the nodes, calls their services and collects their answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rcl_interfaces.srv import GetParameterTypes
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from std_srvs.srv import SetBool

from aceg_ros.datasets.base import Dataset, Frame
from aceg_ros.errors import AcegError
from aceg_ros.geometry.poses import Array
from aceg_ros.mapping.background import FitState
from aceg_ros.monitor import Monitor
from aceg_ros.ros.messages import NANOSECONDS, pose_of, to_seconds
from aceg_ros.ros.parameters import LATCHED
from aceg_ros.ros.player import Played, Player, PlayOptions, plan
from aceg_ros.ros.status_values import (
    CameraValues,
    FitValues,
    LocalizationValues,
    read_values,
)

MAPPER, LOCALIZER = 'aceg_mapper', 'aceg_localizer'
_START = 60.0  # s that nodes have to come up, to hear each other, and to answer
_SILENCE = 60.0  # s without progress after which a fit counts as dead
# Who has heard of a publisher is not heard by it at the same moment.
_SETTLE = 0.5  # s
_ASK_AGAIN = 1.0  # s
_LOOK = 0.05  # s


class DriveError(AcegError):
    """The nodes do not do what they should."""


@dataclass(frozen=True)
class Mapped:
    """The map of a tour."""

    map: Path
    recorded: int  # keyframes, those included that test the map
    seconds: float  # of the fit
    quality: str


@dataclass(frozen=True)
class Detection:
    """A pose that the localizer published."""

    world_from_cam: Array  # (4, 4)
    covariance: Array  # (6, 6)
    latency: float  # s from the image's stamp until the pose was here


@dataclass
class Run:
    """The answers of the localizer to the images of a tour."""

    shown: list[tuple[Frame, Detection | None]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # of images: dropped, refused, failed, ...
    oldest_ms: float = 0.0  # age of the oldest image when work on it began
    memory_mb: list[float] = field(default_factory=list)  # of the localizer, once a second
    delayed: int = 0  # images that this process published too late


class Driver:
    """The camera's node. Poses are those of the camera, and the map's frame is theirs."""

    def __init__(
        self,
        compressed: bool,
        monitor: Monitor,
        check: Callable[[], None] = lambda: None,
        memory: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Join ROS.

        ``check`` is called now and then, and raises when all is in vain; ``memory`` gives that of
        the localizer in MB.
        """
        self._compressed = compressed
        self._monitor = monitor
        self._check = check
        self._memory = memory
        self._fit: DiagnosticStatus | None = None  # the last one heard
        self._fit_heard = 0.0
        self._status = ''
        self._map_stamp = 0.0
        self._poses: dict[int, Detection] = {}
        self._camera = CameraValues()
        self._localization = LocalizationValues()
        self._oldest_ms = 0.0
        self._diagnosed = 0.0
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = node = Node('aceg_demo', start_parameter_services=False)
        self._record_and_map = node.create_client(SetBool, f'{MAPPER}/record_and_map')
        subscribe = node.create_subscription
        subscribe(DiagnosticStatus, f'{MAPPER}/progress', self._on_progress, LATCHED)
        subscribe(String, f'{LOCALIZER}/status', self._on_status, LATCHED)
        subscribe(PointCloud2, f'{LOCALIZER}/map_points', self._on_map, LATCHED)
        subscribe(
            PoseWithCovarianceStamped, f'{LOCALIZER}/pose_with_covariance', self._on_pose, 100
        )
        subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._thread = Thread(target=self._spin, name='spin', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def map(self, tour: Dataset, rate: float | None) -> Mapped:
        """Have a tour, all of whose poses are known, recorded, mapped, and the map loaded.

        Raises DriveError when the nodes do not come, or refuse, or fail.
        """
        self._monitor.report('start', 0.0, 'waiting for the nodes')
        self._wait(self._record_and_map.service_is_ready, f'no {MAPPER} is there')
        self._wait(lambda: bool(self._status), f'no {LOCALIZER} is there')
        self._wait_until_heard()
        self._switch(True)
        self._play('record', tour, rate, poses=True)
        # The mapper may have the last image in hand.
        time.sleep(_SETTLE)
        self._fit = None
        self._fit_heard, began = time.monotonic(), time.time()
        self._switch(False)
        result = self._follow_fit()
        self._wait(
            lambda: self._map_stamp >= began,
            f'the {LOCALIZER} has not loaded {result.map} ({self._status}); its log says why',
        )
        return Mapped(Path(result.map), result.recorded, result.seconds, result.quality)

    def localize(self, tour: Dataset, rate: float | None) -> Run:
        """Show a tour without its poses, and collect what the localizer answers."""
        run = Run()
        stamps: list[tuple[Frame, int]] = []
        sampled = 0.0

        def shown(index: int, stamp: Time) -> None:
            nonlocal sampled
            stamps.append((tour.frames[index], _nanoseconds(stamp)))
            if time.monotonic() - sampled >= 1.0:
                sampled = time.monotonic()
                memory = self._memory()
                if memory is not None:
                    run.memory_mb.append(memory)

        before = self._counts()
        self._poses.clear()
        self._oldest_ms = 0.0
        run.delayed = self._play('localize', tour, rate, False, shown).delayed
        ended = time.monotonic()
        self._wait(lambda: self._diagnosed > ended + 1.0, 'nothing comes on /diagnostics')
        after = self._counts()
        run.counts = {name: after[name] - before[name] for name in after}
        run.oldest_ms = self._oldest_ms
        run.shown = [(frame, self._poses.get(stamp)) for frame, stamp in stamps]
        return run

    def _play(
        self,
        stage: str,
        tour: Dataset,
        rate: float | None,
        poses: bool,
        shown: Callable[[int, Time], None] = lambda index, stamp: None,
    ) -> Played:
        options = PlayOptions(rate=rate, compressed=self._compressed, poses=poses)
        played = Played()

        def on_shown(index: int, stamp: Time) -> None:
            self._check()
            self._monitor.report(stage, index / len(tour), f'image {index + 1} of {len(tour)}')
            shown(index, stamp)

        schedule = plan(tour, options)
        player = Player(self._node, tour, schedule, options, played, _say, on_shown)
        try:
            wanted = {'image': 2, 'camera_info': 2, 'pose': 1}
            self._wait(
                lambda: all(count >= wanted[name] for name, count in player.listeners.items()),
                f'{MAPPER} and {LOCALIZER} do not both listen to the camera; its topics and theirs '
                'must have the same names',
            )
            time.sleep(_SETTLE)
            player.run()
        finally:
            player.close()
        return played

    def _switch(self, on: bool) -> None:
        """Call `record_and_map`."""
        answer = self._record_and_map.call_async(SetBool.Request(data=on))
        self._wait(answer.done, f'{MAPPER} does not answer')
        response = answer.result()
        if response is None or not response.success:
            raise DriveError(f'{MAPPER}: {"no answer" if response is None else response.message}')

    def _wait_until_heard(self) -> None:
        """Wait until the mapper knows the client of its service; until then its answer gets lost.

        It hears of clients in order, so it does when one that is made later gets an answer.
        """
        client = self._node.create_client(GetParameterTypes, f'{MAPPER}/get_parameter_types')
        self._wait(client.service_is_ready, f'no {MAPPER} is there')
        answers: list[Any] = []
        asked = 0.0

        def answered() -> bool:
            nonlocal asked
            if time.monotonic() - asked > _ASK_AGAIN:
                asked = time.monotonic()
                answers.append(client.call_async(GetParameterTypes.Request()))
            return any(answer.done() for answer in answers)

        self._wait(answered, f'{MAPPER} does not answer')

    def _follow_fit(self) -> FitValues:
        """What the mapper says of a map that is fitted and saved."""
        while True:
            self._check()
            if time.monotonic() - self._fit_heard > _SILENCE:
                raise DriveError(f'{MAPPER} has said nothing for {_SILENCE:.0f} s; see its log')
            if self._fit is not None:
                values = read_values(FitValues, self._fit)
                if values.state == FitState.DONE.value:
                    return values
                if values.state != FitState.RUNNING.value:
                    raise DriveError(f'no map was made: {self._fit.message}')
                left = f'{values.remaining_s:.0f} s'
                detail = ', '.join(filter(None, [values.detail, left]))
                self._monitor.report(f'map: {values.stage}', values.fraction, detail)
            time.sleep(_LOOK)

    def _wait(self, condition: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + _START
        while not condition():
            self._check()
            if time.monotonic() > deadline:
                raise DriveError(f'{problem}; waited {_START:.0f} s')
            time.sleep(_LOOK)

    def _counts(self) -> dict[str, int]:
        """Numbers of images, by what became of them, since the localizer started."""
        camera, answers = self._camera, self._localization
        return {
            'images': camera.images,
            'dropped': camera.dropped,
            'unusable': camera.unusable,
            'accepted': answers.accepted,
            'refused': answers.refused,
            'failed': answers.failed,
        }

    def _on_progress(self, message: DiagnosticStatus) -> None:
        self._fit = message
        self._fit_heard = time.monotonic()

    def _on_status(self, message: String) -> None:
        self._status = message.data

    def _on_map(self, message: PointCloud2) -> None:
        self._map_stamp = to_seconds(message.header.stamp)

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        stamp = message.header.stamp
        self._poses[_nanoseconds(stamp)] = Detection(
            pose_of(message),
            np.array(message.pose.covariance).reshape(6, 6),
            time.time() - to_seconds(stamp),
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            # Depending on the backend, names begin with the namespace or not.
            name = status.name.rpartition('/')[2]
            if name == f'{LOCALIZER}: camera':
                self._camera = read_values(CameraValues, status)
            elif name == f'{LOCALIZER}: localization':
                self._localization = read_values(LocalizationValues, status)
                self._oldest_ms = max(self._oldest_ms, self._localization.oldest_image_ms)
                self._diagnosed = time.monotonic()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return


def _nanoseconds(stamp: Time) -> int:
    return stamp.sec * NANOSECONDS + stamp.nanosec


def _say(line: str) -> None:
    print(f'aceg: {line}', file=sys.stderr, flush=True)
