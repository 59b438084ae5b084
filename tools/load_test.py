"""Loads the nodes for as long as you like, and says what that costs; needs ROS.

    python tools/load_test.py --minutes 30                          # one localizer, 30 Hz, 1080p
    python tools/load_test.py --minutes 30 --localizers 4           # four that share the camera
    python tools/load_test.py --minutes 30 --dataset drive.bag --map place.aceg
    python tools/load_test.py --keyframes 3600                      # a recording, without ROS

The camera is `aceg play --loop`, in a process of its own. Without --dataset it plays a procedural
room, enlarged to --size, with a map of it made first. For each localizer it prints the images that
came and were dropped, the age of poses when they arrive, memory, and its share of the CPU. Growth
of memory is the slope of a line through the samples of the last three quarters.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aceg_ros.datasets.recording import RecordingWriter  # noqa: E402
from aceg_ros.geometry.cameras import Camera  # noqa: E402
from aceg_ros.geometry.poses import make_pose  # noqa: E402
from aceg_ros.recording.keyframes import KeyframeRules  # noqa: E402
from aceg_ros.recording.recorder import Recorder  # noqa: E402

PAGE, TICKS = resource.getpagesize(), os.sysconf('SC_CLK_TCK')
PERIOD = 1.0  # s between samples
RENDERED = 480, 270  # px, before images are enlarged
VIEWS = 40
ENVIRONMENT = {
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    # Large messages get lost over the default transports.
    'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA',
    'OMP_WAIT_POLICY': 'PASSIVE',
    'PYTHONPATH': os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')])),
}


def memory(pid: int) -> float:
    """MB that a process has in memory."""
    return int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * PAGE / 1e6


@dataclass
class Load:
    """A process, and what it took since `start`."""

    process: subprocess.Popen[bytes]
    began: float = 0.0
    ticks: float = 0.0
    samples: list[tuple[float, float]] = field(default_factory=list)  # s, MB

    def start(self) -> None:
        """Count from now on."""
        self.began, self.ticks = time.monotonic(), self._ticks()
        self.samples.clear()

    def sample(self) -> None:
        """Note the memory."""
        self.samples.append((time.monotonic() - self.began, memory(self.process.pid)))

    @property
    def cores(self) -> float:
        """How many cores it kept busy."""
        return (self._ticks() - self.ticks) / TICKS / (time.monotonic() - self.began)

    @property
    def growth(self) -> float:
        """MB per hour, over the last three quarters."""
        seconds, held = np.array(self.samples[len(self.samples) // 4 :]).T
        return float(3600 * np.polyfit(seconds, held, 1)[0])

    def _ticks(self) -> float:
        words = Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(')')[2].split()
        return float(words[11]) + float(words[12])


def room(folder: Path, size: tuple[int, int], budget: float) -> tuple[Path, Path]:
    """A dataset with large images of a procedural room, and a map of it."""
    from aceg_ros.engine import Engine
    from aceg_ros.lab.worlds import WorldOptions, make_world, record, tour
    from aceg_ros.mapping.mapper import map_scene
    from aceg_ros.mapping.options import MappingOptions
    from aceg_ros.maps.file import write_map

    width, height = RENDERED
    camera = Camera.pinhole(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
    world = make_world(7, WorldOptions(texture_size=256, clutter=0.9, plain=0.1))
    views = record(world, camera, tour(world, 2 * VIEWS, seed=7)[::2], name='view', supersample=1)
    writer = RecordingWriter(folder / 'room', camera.scaled(*size), image_suffix='.jpg')
    for index, frame in enumerate(views.frames):
        large = cv2.resize(frame.image(), size, interpolation=cv2.INTER_CUBIC)
        assert frame.world_from_cam is not None
        writer.add(large.astype(np.uint8, copy=False), frame.world_from_cam, 0.1 * index)
    code = map_scene(views.frames, Engine.load('auto'), MappingOptions(budget=budget)).code
    write_map(folder / 'room.aceg', code)
    return folder / 'room', folder / 'room.aceg'


@contextmanager
def processes(commands: dict[str, list[str]], folder: Path) -> Iterator[dict[str, Load]]:
    """Processes by name, each with a log in the folder; they end with the block."""
    started = {}
    try:
        for name, command in commands.items():
            with (folder / f'{name}.log').open('wb') as log:
                started[name] = Load(
                    subprocess.Popen(
                        [sys.executable, '-m', *command],
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env=os.environ | ENVIRONMENT,
                    )
                )
        yield started
    finally:
        for load in started.values():
            load.process.terminate()
        for load in started.values():
            try:
                load.process.wait(5.0)
            except subprocess.TimeoutExpired:
                load.process.kill()


def drive(arguments: argparse.Namespace, folder: Path) -> None:
    """Play, listen, and print."""
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from geometry_msgs.msg import PoseWithCovarianceStamped

    from aceg_ros.demo.nodes import use_own_domain
    from aceg_ros.ros.messages import to_seconds
    from aceg_ros.ros.status_values import CameraValues, read_values

    os.environ.update(ENVIRONMENT)
    use_own_domain()
    dataset, code = arguments.dataset, arguments.map
    if dataset is None:
        dataset, code = room(folder, arguments.size, arguments.budget)
    names = [f'robot{index}' for index in range(arguments.localizers)]
    commands = {
        name: [
            *('aceg_ros.ros.localizer', '--ros-args', '-r', f'__ns:=/{name}'),
            *('-r', 'image:=/image', '-r', 'camera_info:=/camera_info'),
            *('-p', f'map:={code}', '-p', 'image_qos:=reliable', '-p', 'tf_mode:=map_to_camera'),
        ]
        for name in names
    }
    play = ['aceg_ros', 'play', str(dataset), '--rate', f'{arguments.rate}', '--loop', '--wait']
    rclpy.init()
    node = rclpy.create_node('load')
    ages: dict[str, list[float]] = {name: [] for name in names}
    told: dict[str, CameraValues] = {}
    before: dict[str, CameraValues] = {}

    def on_diagnostics(message: Any) -> None:
        for status in message.status:
            robot, _, part = status.name.partition('/')
            if part == 'aceg_localizer: camera':
                told[robot] = read_values(CameraValues, status)

    def listen(name: str) -> None:
        def on_pose(message: Any) -> None:
            ages[name].append(time.time() - to_seconds(message.header.stamp))

        topic = f'/{name}/aceg_localizer/pose_with_covariance'
        node.create_subscription(PoseWithCovarianceStamped, topic, on_pose, 100)

    node.create_subscription(DiagnosticArray, '/diagnostics', on_diagnostics, 100)
    for name in names:
        listen(name)
    with processes(commands | {'camera': play}, folder) as loads:
        deadline = time.monotonic() + arguments.patience
        while not all(len(each) > 2 for each in ages.values()):
            rclpy.spin_once(node, timeout_sec=0.1)
            ended = [name for name, load in loads.items() if load.process.poll() is not None]
            if ended or time.monotonic() > deadline:
                what = f'{", ".join(ended)} ended' if ended else 'no poses come'
                logs = ''.join((folder / f'{n}.log').read_text()[-2000:] for n in ended or names)
                raise SystemExit(f'{what}:\n{logs}')
        # Counting begins when all is warm.
        for each in ages.values():
            each.clear()
        before |= told
        for load in loads.values():
            load.start()
        began = sampled = time.monotonic()
        while time.monotonic() - began < 60.0 * arguments.minutes:
            rclpy.spin_once(node, timeout_sec=0.1)
            if time.monotonic() - sampled >= PERIOD:
                sampled = time.monotonic()
                for load in loads.values():
                    load.sample()
        seconds = time.monotonic() - began
        machine = f'{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}'
        print(f'{seconds:.0f} s at {arguments.rate:g} Hz; {machine}')
        print(
            'process | images | dropped | poses | age of poses, ms: 50 %, 95 %, 99 %, most | '
            'memory, MB: first, last, growth an hour | cores'
        )
        for name, load in loads.items():
            held = [megabytes for _, megabytes in load.samples]
            cost = f'{held[0]:.0f}, {held[-1]:.0f}, {load.growth:+.0f} | {load.cores:.2f}'
            if name == 'camera':
                print(f'{name} | | | | | {cost}')
                continue
            first = before.get(name, CameraValues())
            images, dropped = told[name].images - first.images, told[name].dropped - first.dropped
            late = np.percentile(1000 * np.array(ages[name]), [50, 95, 99, 100])
            shown = ', '.join(f'{value:.0f}' for value in late)
            print(f'{name} | {images} | {dropped} | {len(ages[name])} | {shown} | {cost}')
    rclpy.shutdown()


def record_many(arguments: argparse.Namespace, folder: Path) -> None:
    """Record keyframes one after another, as fast as they go, and print what each tenth costs."""
    width, height = arguments.size
    camera = Camera.pinhole(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    pictures = [
        cv2.resize(np.roll(small, 7 * shift, 1), (width, height), interpolation=cv2.INTER_CUBIC)
        for shift in range(8)
    ]
    recorder = Recorder(folder / 'recording', KeyframeRules(0.05, 5.0, 0.0))
    recorder.start()
    took: list[float] = []
    tenth = max(arguments.keyframes // 10, 1)
    print('keyframes | ms for each: 50 %, 95 %, most | memory, MB')
    for index in range(arguments.keyframes):
        began = time.perf_counter()
        recorder.offer(
            0.5 * index,
            make_pose(np.eye(3), [0.1 * index, 0.0, 0.0]),
            lambda now=pictures[index % 8]: (now, camera),
        )
        took.append(1000 * (time.perf_counter() - began))
        if (index + 1) % tenth == 0:
            last = np.percentile(took[-tenth:], [50, 95, 100])
            shown = ', '.join(f'{value:.0f}' for value in last)
            print(f'{index + 1} | {shown} | {memory(os.getpid()):.0f}', flush=True)
    libc = ctypes.CDLL(None)
    if hasattr(libc, 'malloc_trim'):  # glibc
        libc.malloc_trim(0)
        print(f'once freed memory is given back: {memory(os.getpid()):.0f} MB')
    began = time.perf_counter()
    again = Recorder(recorder.path, KeyframeRules(0.05, 5.0, 0.0))
    print(f'taken up again: {len(again.poses)} keyframes in {time.perf_counter() - began:.2f} s')


def size_of(text: str) -> tuple[int, int]:
    """Width and height of 'WIDTHxHEIGHT'."""
    width, height = map(int, text.split('x'))
    return width, height


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--rate', type=float, default=30.0, help='images per second')
    parser.add_argument('--size', type=size_of, default='1920x1080', help='of images, px')
    parser.add_argument('--localizers', type=int, default=1)
    parser.add_argument('--dataset', type=Path, help='to play in a loop, such as a bag; with --map')
    parser.add_argument('--map', type=Path)
    parser.add_argument('--budget', type=float, default=60.0, help='s for the map of the room')
    parser.add_argument('--patience', type=float, default=300.0, help='s until all give poses')
    parser.add_argument('--keyframes', type=int, help='record so many instead, without ROS')
    arguments = parser.parse_args()
    if (arguments.dataset is None) != (arguments.map is None):
        parser.error('--dataset and --map go together')
    with tempfile.TemporaryDirectory(prefix='aceg_load_') as name:
        (record_many if arguments.keyframes else drive)(arguments, Path(name))


if __name__ == '__main__':
    main()
