"""A dataset as a camera: images, calibration, depth, poses and time, as a driver publishes them."""

from __future__ import annotations

import signal
import time
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Any

import cv2
import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from aceg_ros.datasets.base import Dataset, Frame
from aceg_ros.datasets.schedule import Schedule, make_schedule
from aceg_ros.errors import AcegError, ImageError
from aceg_ros.ros.messages import camera_info, pose_stamped, to_stamp
from aceg_ros.ros.middleware.bridge import from_depth, from_rgb
from aceg_ros.ros.middleware.tf import TransformSender

CLOCK_PERIOD = 0.025  # s, as `ros2 bag play --clock` has it
READ_AHEAD = 8  # frames
JPEG_QUALITY = 90
QUEUE_DEPTH = 5
# s; where frames come later, those that follow are put off, so that stamps stay true.
MAX_DELAY = 0.2


@dataclass(frozen=True)
class PlayOptions:
    """How to play."""

    rate: float | None = None  # Hz; None: as the frames were taken
    speed: float = 1.0  # times as fast
    loop: bool = False
    clock: bool = False  # publish /clock, and stamp with times of the dataset
    compressed: bool = False
    wait: bool = False  # for somebody who subscribes to the images
    poses: bool = False  # on the topic `pose`
    tf: bool = False  # poses as transforms from `world_frame` to `frame_id`
    frame_id: str = 'camera_optical_frame'
    world_frame: str = 'map'
    namespace: str = ''


@dataclass
class Played:
    """What was published."""

    frames: int = 0
    delayed: int = 0  # frames that were read too slowly to come in time
    unreadable: int = 0


def play(dataset: Dataset, options: PlayOptions, say: Callable[[str], None]) -> Played:
    """Publish the frames of a dataset until the last one, or until SIGINT or SIGTERM.

    `say` is told what is played, and which frames are left out. Raises AcegError for options that
    do not fit the dataset.
    """
    schedule = plan(dataset, options)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    played = Played()
    try:
        node = Node(
            'aceg_player',
            namespace=options.namespace,
            start_parameter_services=False,
            # As the launch files have it: each robot of a namespace has its own TF.
            cli_args=['--ros-args', '-r', '/tf:=tf'] if options.namespace else None,
        )
        player = Player(node, dataset, schedule, options, played, say)
        while options.wait and not player.listeners['image']:
            time.sleep(0.02)
        player.run()
    except KeyboardInterrupt:
        say('stopped')
    finally:
        rclpy.try_shutdown()
    return played


def plan(dataset: Dataset, options: PlayOptions) -> Schedule:
    """When to show which frame; raises AcegError for options that do not fit the dataset."""
    if not options.speed > 0.0:
        raise AcegError(f'frames cannot be played at speed {options.speed:g}; give one above 0')
    if (options.poses or options.tf) and any(f.world_from_cam is None for f in dataset.frames):
        raise AcegError(f'{dataset.name} has frames without a pose; play it without poses')
    return make_schedule(dataset.frames, options.rate)


@dataclass(frozen=True)
class _Shot:
    """A frame's messages, which share one header; its stamp is filled in when they go out."""

    header: Header
    image: Image | CompressedImage
    info: CameraInfo
    depth: Image | None


class Player:
    """The topics of a camera on a node, and the clock that it keeps."""

    def __init__(
        self,
        node: Node,
        dataset: Dataset,
        schedule: Schedule,
        options: PlayOptions,
        played: Played,
        say: Callable[[str], None],
        shown: Callable[[int, Time], None] = lambda index, stamp: None,
    ) -> None:
        """`played` is filled in; `shown` learns which frame went out with which stamp."""
        self._node = node
        self._frames = dataset.frames
        self._schedule = schedule
        self._options = options
        self._played = played
        self._say = say
        self._shown = shown
        image = (CompressedImage, 'image/compressed') if options.compressed else (Image, 'image')
        self._image = node.create_publisher(*image, QUEUE_DEPTH)
        self._info = node.create_publisher(CameraInfo, 'camera_info', QUEUE_DEPTH)

        def optional(wanted: bool, kind: Any, topic: str) -> Publisher | None:
            return node.create_publisher(kind, topic, QUEUE_DEPTH) if wanted else None

        has_depth = any(frame.load_depth is not None for frame in self._frames)
        self._depth = optional(has_depth, Image, 'depth')
        self._pose = optional(options.poses, PoseStamped, 'pose')
        self._clock = optional(options.clock, Clock, '/clock')
        self._transforms = TransformSender(node) if options.tf else None
        # Of the monotonic clock, and of the wall's, when the present pass began.
        self._start = self._wall_start = 0.0
        self._clock_offset = 0.0  # last one published
        publishers = {
            'image': self._image,
            'camera_info': self._info,
            'depth': self._depth,
            'pose': self._pose,
            'clock': self._clock,
        }
        self._publishers = {name: each for name, each in publishers.items() if each is not None}
        topics = [publisher.topic_name for publisher in self._publishers.values()]
        say(
            f'playing {dataset.name}: {len(dataset)} frames at '
            f'{schedule.rate * options.speed:.3g} Hz on {", ".join(topics)}'
        )

    @property
    def listeners(self) -> dict[str, int]:
        """How many subscribe to each of what is published."""
        return {name: each.get_subscription_count() for name, each in self._publishers.items()}

    def close(self) -> None:
        """Publish no more."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)

    def run(self) -> None:
        """Play one pass, or pass after pass."""
        tasks = (
            partial(self._shoot, frame)
            for _ in (count() if self._options.loop else range(1))
            for frame in self._frames
        )
        length = self._schedule.period / self._options.speed
        with closing(_read_ahead(tasks, READ_AHEAD)) as shots:
            for number, shot in enumerate(shots):
                index = number % len(self._frames)
                if number == 0:
                    self._begin(time.monotonic(), time.time())
                elif index == 0:
                    self._sleep_until(self._start + length)
                    self._begin(self._start + length, self._wall_start + length)
                self._show(index, shot)
        self._image.wait_for_all_acked(Duration(seconds=1))

    def _begin(self, start: float, wall_start: float) -> None:
        self._start = start
        self._wall_start = wall_start
        self._clock_offset = 0.0

    def _show(self, index: int, shot: _Shot | ImageError) -> None:
        """Publish a frame when its time has come."""
        offset = float(self._schedule.offsets[index])
        due = self._start + offset / self._options.speed
        delay = time.monotonic() - due
        if delay > MAX_DELAY:
            self._played.delayed += 1
            self._start += delay
            self._wall_start += delay
        self._sleep_until(due)
        if isinstance(shot, ImageError):
            self._played.unreadable += 1
            self._say(f'left out: {shot}')
            return
        self._tick()
        stamp = to_stamp(
            self._schedule.start + offset
            if self._options.clock
            else self._wall_start + offset / self._options.speed
        )
        shot.header.stamp = stamp
        pose = self._frames[index].world_from_cam
        # Before the image, so that it is known when the image is worked on.
        if pose is not None and self._transforms is not None:
            options = self._options
            self._transforms.send(options.world_frame, options.frame_id, pose, stamp)
        if pose is not None and self._pose is not None:
            header = Header(stamp=stamp, frame_id=self._options.world_frame)
            self._pose.publish(pose_stamped(header, pose))
        self._info.publish(shot.info)
        if shot.depth is not None and self._depth is not None:
            self._depth.publish(shot.depth)
        self._shown(index, stamp)
        self._image.publish(shot.image)
        self._played.frames += 1

    def _sleep_until(self, due: float) -> None:
        """Sleep until a time of the monotonic clock, while /clock goes on."""
        while (remaining := due - time.monotonic()) > 0.0:
            time.sleep(remaining if self._clock is None else min(remaining, CLOCK_PERIOD))
            self._tick()

    def _tick(self) -> None:
        """Publish the time, which never goes back within a pass."""
        if self._clock is not None:
            passed = (time.monotonic() - self._start) * self._options.speed
            self._clock_offset = max(self._clock_offset, passed)
            time_now = to_stamp(self._schedule.start + self._clock_offset)
            self._clock.publish(Clock(clock=time_now))

    def _shoot(self, frame: Frame) -> _Shot | ImageError:
        """Read a frame and make messages of it."""
        header = Header(frame_id=self._options.frame_id)
        try:
            image = frame.image()
            depth = frame.registered_depth()
        except ImageError as error:
            return error
        return _Shot(
            header,
            _compress(image, header) if self._options.compressed else from_rgb(image, header),
            camera_info(header, frame.camera),
            None if depth is None else from_depth(depth, header),
        )


def _compress(image: NDArray[np.uint8], header: Header) -> CompressedImage:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return CompressedImage(
        header=header, format='rgb8; jpeg compressed bgr8', data=array('B', data.tobytes())
    )


def _read_ahead(
    tasks: Iterator[Callable[[], _Shot | ImageError]], depth: int
) -> Generator[_Shot | ImageError, None, None]:
    """Results of the tasks, in order; a thread is up to `depth` of them ahead."""
    pool = ThreadPoolExecutor(1)
    try:
        pending: deque[Future[_Shot | ImageError]] = deque(
            pool.submit(task) for task in islice(tasks, depth)
        )
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(task) for task in islice(tasks, 1))
    finally:
        pool.shutdown(cancel_futures=True)
