"""Kills what writes files at random instants, and looks whether anything was lost.

    python tools/crash_test.py --kills 500                  # recorder and map writer
    python tools/crash_test.py --kills 500 --disk 2         # on a file system of 2 MB, which fills
    python tools/crash_test.py --kills 100 --victim fit     # the process that fits a map
    python tools/crash_test.py --kills 50 --victim mapper   # the node; needs ROS

After each SIGKILL three promises are checked. Every keyframe that was acknowledged is there, bit
for bit. Every map is the old or the new one, whole. What is there is continued by the next process.
SIGKILL is no power cut: what the disk itself forgets then is not tested here.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'test' / 'helpers')]

from map_codes import map_code  # noqa: E402

from aceg_ros.datasets import open_dataset  # noqa: E402
from aceg_ros.errors import DatasetError, MapCodeError, StorageError  # noqa: E402
from aceg_ros.files import leftovers  # noqa: E402
from aceg_ros.geometry.cameras import Camera  # noqa: E402
from aceg_ros.geometry.poses import make_pose  # noqa: E402
from aceg_ros.maps.file import read_map, write_map  # noqa: E402
from aceg_ros.recording.keyframes import KeyframeRules  # noqa: E402
from aceg_ros.recording.recorder import Recorder  # noqa: E402

CAMERA = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)
FULL = 'full'  # what a victim acknowledges when the disk takes no more
# Kills after which a new recording begins, so that looking at all of it stays quick.
ROUNDS = 20
LATEST = 0.1  # s after which a writer is killed
PATIENCE = 60.0  # s that it has to begin

Acknowledge = Callable[[object], None]


class Loss(Exception):
    """Something that was acknowledged is not there, or not whole."""


class Victim(Protocol):
    """What is killed again and again."""

    def run(self, chance: random.Random) -> list[str]:
        """Work in another process, kill it, and give what it acknowledged."""

    def check(self, acknowledged: list[str]) -> None:
        """Raise Loss where that is not there."""


def picture(index: int) -> np.ndarray:
    """RGB (48, 64, 3) of a keyframe; noise, which fills a disk."""
    return np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8)


def depth(index: int) -> np.ndarray | None:
    """Meters (48, 64) of every other keyframe."""
    return np.full((48, 64), 1.0 + index % 7, np.float32) if index % 2 else None


def kill_at_random(work: Callable[[Acknowledge], None], chance: random.Random) -> list[str]:
    """Fork, work there, and kill that; the lines that it acknowledged.

    One in four is killed while it starts, the others after their first acknowledgement.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            work(lambda what: os.write(writing, f'{what}\n'.encode()) and None)
        except BaseException as error:
            os.write(writing, f'error {type(error).__name__}: {error}\n'.encode())
        os._exit(1)
    os.close(writing)
    if chance.random() < 0.75:
        select.select([reading], [], [], PATIENCE)
    time.sleep(chance.uniform(0.0, LATEST))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        lines = pipe.read().split('\n')[:-1]
    for line in lines:
        if line.startswith('error'):
            raise Loss(f'the process could not go on: {line}')
    return lines


class RecorderVictim:
    """A recorder that takes keyframes as quickly as it can; recordings are continued."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rounds = 0
        self._path = folder / 'recording-0'
        self._known = 0  # keyframes that were acknowledged before

    def run(self, chance: random.Random) -> list[str]:
        """See `Victim`."""
        if self._rounds == ROUNDS:
            self._begin_anew()
        self._rounds += 1
        return kill_at_random(self._record, chance)

    def _record(self, acknowledge: Acknowledge) -> None:
        recorder = Recorder(self._path, KeyframeRules(0.05, 5.0, 0.0), '.png')
        try:
            recorder.start()
        except StorageError:
            acknowledge(FULL)
        index = len(recorder.poses)
        while True:
            measured = depth(index)
            try:
                recorder.offer(
                    float(index),
                    make_pose(np.eye(3), [0.1 * index, 0.0, 0.0]),
                    lambda now=index: (picture(now), CAMERA),
                    lambda camera, now=measured: now,
                    force=True,
                )
            except StorageError:
                acknowledge(FULL)
                continue
            acknowledge(index)
            index += 1

    def check(self, acknowledged: list[str]) -> None:
        """See `Victim`."""
        before = self._known
        indices = [int(word) for word in acknowledged if word != FULL]
        self._known = max(indices, default=before - 1) + 1
        try:
            frames = open_dataset(self._path).frames
        except DatasetError as error:
            if self._known:
                raise Loss(f'{self._known} keyframes were acknowledged: {error}') from error
            return
        stamps = [int(frame.stamp) for frame in frames]
        # The one at hand may be written already, and not acknowledged yet.
        if stamps not in (list(range(self._known)), list(range(self._known + 1))):
            raise Loss(f'{self._path}: {self._known} keyframes are acknowledged, {stamps} there')
        for frame in frames[before:]:
            index = int(frame.stamp)
            measured, found = depth(index), frame.depth()
            if not np.array_equal(frame.image(), picture(index)):
                raise Loss(f'{self._path}: image {index} is another one')
            if measured is not None and (found is None or not np.array_equal(found, measured)):
                raise Loss(f'{self._path}: depth {index} is another one')
        self._known = len(frames)
        if FULL in acknowledged:
            self._rounds = ROUNDS

    def _begin_anew(self) -> None:
        """Record elsewhere; what was checked makes room."""
        shutil.rmtree(self._path, ignore_errors=True)
        self._rounds = self._known = 0
        self._path = self._folder / f'recording-{random.randrange(10**9)}'


class MapVictim:
    """A writer that replaces a map by the next one, as quickly as it can."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / 'place.aceg'
        self._code = map_code(tokens=400)
        self._known = 0  # number of the last map acknowledged

    def run(self, chance: random.Random) -> list[str]:
        """See `Victim`."""
        return kill_at_random(self._write, chance)

    def _write(self, acknowledge: Acknowledge) -> None:
        number = self._known
        while True:
            number += 1
            info = replace(self._code.info, created=str(number))
            try:
                write_map(self._path, replace(self._code, info=info))
            except MapCodeError:
                acknowledge(FULL)
                number -= 1
                continue
            acknowledge(number)

    def check(self, acknowledged: list[str]) -> None:
        """See `Victim`."""
        numbers = [int(word) for word in acknowledged if word != FULL]
        self._known = max(numbers, default=self._known)
        if not self._path.exists() and not self._known:
            return
        try:
            code = read_map(self._path)
        except MapCodeError as error:
            raise Loss(f'map {self._known} was acknowledged: {error}') from error
        found = int(code.info.created)
        if found not in (self._known, self._known + 1):
            raise Loss(f'{self._path}: map {self._known} was acknowledged, {found} is there')
        self._known = found


class FitVictim:
    """The process of a fit, as `mapping.background` starts it; a few seconds from start to end."""

    budget = 4.0  # s

    def __init__(self, folder: Path) -> None:
        from aceg_ros.datasets.recording import write_recording
        from aceg_ros.lab.worlds import WorldOptions, make_world, record, tour

        self._recording, self._output = folder / 'recording', folder / 'fitted.aceg'
        room = make_world(7, WorldOptions(texture_size=256, clutter=0.9, plain=0.1))
        camera = Camera.pinhole(160, 120, 131.0, 131.5, 79.0, 60.5)
        views = record(room, camera, tour(room, 40, seed=7)[::2], name='view', supersample=1)
        write_recording(views, self._recording)
        self._before = self._contents()
        began = time.monotonic()
        self._fit(None)
        self._whole = time.monotonic() - began
        self._map = self._output.read_bytes()

    def run(self, chance: random.Random) -> list[str]:
        """See `Victim`."""
        return self._fit(chance.uniform(0.0, self._whole))

    def _fit(self, delay: float | None) -> list[str]:
        job = {
            'recording': str(self._recording),
            'output': str(self._output),
            'options': {'budget': self.budget, 'tokens': 512},
            'device': 'cpu',
            'encoder': 'compact',
            'regressor': '',
        }
        process = subprocess.Popen(
            [sys.executable, '-m', 'aceg_ros.mapping.worker'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {'PYTHONPATH': str(ROOT)},
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(job) + '\n')
        process.stdin.flush()
        if delay is None:
            assert process.stdout is not None
            events = [json.loads(line)['event'] for line in process.stdout]
            if events[-1] != 'done':
                raise Loss(f'the fit ended with {events[-1]}')
            process.wait()
            return events
        time.sleep(delay)
        process.kill()
        said, _ = process.communicate()
        return [json.loads(line)['event'] for line in said.split('\n')[:-1]]

    def check(self, acknowledged: list[str]) -> None:
        """See `Victim`."""
        if self._contents() != self._before:
            raise Loss(f'{self._recording}: a fit that was killed changed the recording')
        read_map(self._output)
        now = self._output.read_bytes()
        if {'first map', 'done'} & set(acknowledged) and now == self._map:
            raise Loss(f'{self._output}: a new map was acknowledged, the old one is there')
        self._map = now

    def _contents(self) -> dict[Path, bytes]:
        return {f: f.read_bytes() for f in sorted(self._recording.rglob('*')) if f.is_file()}


class MapperVictim:
    """The node, asked for one keyframe after the other by `~/add_keyframe`."""

    def __init__(self, folder: Path) -> None:
        from harness import Ros

        self._folder = folder / 'recording'
        self._ros = Ros(folder)
        self._robot: Any = None
        self._number = 0
        self._known: set[float] = set()
        self._next = 1.0

    def run(self, chance: random.Random) -> list[str]:
        """See `Victim`."""
        from mapper_robot import EASY, Mapper, Robot, pose_at
        from std_srvs.srv import Trigger

        self._number += 1
        name = f'mapper{self._number}'
        places = {'recording': self._folder, 'map': self._folder.parent / 'place.aceg'}
        process = self._ros.start(
            'aceg_ros.ros.mapper',
            parameters=EASY | {'pose_source': 'topic'} | places,
            remap={'__node': name},
        )
        mapper = Mapper(self._ros, process, self._folder, name)
        self._robot = self._robot or Robot(self._ros)
        try:
            mapper.trigger('add_keyframe')  # until here nothing can be acknowledged
        except AssertionError as error:
            raise Loss(f'the mapper could not go on ({error}):\n{process.output}') from error
        deadline = time.monotonic() + chance.uniform(0.1, 1.5)
        acknowledged: list[str] = []
        waiting: Any = None
        while time.monotonic() < deadline:
            if waiting is None:
                waiting = self._ros.call_async(Trigger, f'/{name}/add_keyframe')
            self._robot.step(self._next, pose_at(self._next))
            self._next += 1.0
            if waiting.done():
                answer, waiting = waiting.result(), None
                if answer.success:
                    acknowledged.append(answer.message.partition('.jpg')[0])
        process.kill()
        return acknowledged

    def check(self, acknowledged: list[str]) -> None:
        """See `Victim`."""
        self._known |= set(map(float, acknowledged))
        if not self._known:
            return
        frames = {frame.stamp: frame for frame in open_dataset(self._folder).frames}
        lost = sorted(self._known - set(frames))
        if lost:
            raise Loss(f'{self._folder}: keyframes {lost} were acknowledged and are not there')
        for stamp in acknowledged:
            frames[float(stamp)].image()


VICTIMS: dict[str, tuple[Callable[[Path], Victim], ...]] = {
    'writers': (RecorderVictim, MapVictim),
    'fit': (FitVictim,),
    'mapper': (MapperVictim,),
}


@contextmanager
def place(disk: int | None) -> Iterator[Path]:
    """A folder, on a file system of ``disk`` MB of its own if that is given."""
    with tempfile.TemporaryDirectory(prefix='aceg_crash_') as name:
        if disk is None:
            yield Path(name)
            return
        mount = ['mount', '-t', 'tmpfs', '-o', f'size={disk}m', 'tmpfs', name]
        subprocess.run(mount, check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(['umount', name], check=True)


def main() -> int:
    """Kill as often as asked; the exit status is 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=500)
    parser.add_argument('--victim', choices=sorted(VICTIMS), default='writers')
    parser.add_argument('--disk', type=int, help='MB of a file system of its own; for root')
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    counts: Counter[str] = Counter()
    began = time.monotonic()
    with place(arguments.disk) as folder:
        victims = [make(folder) for make in VICTIMS[arguments.victim]]
        left: set[Path] = set()
        for kill in range(arguments.kills):
            victim = victims[kill % len(victims)]
            try:
                acknowledged = victim.run(chance)
                counts['acknowledgements'] += sum(word != FULL for word in acknowledged)
                counts['refusals by a full disk'] += acknowledged.count(FULL)
                before, left = left, _left_in(folder)
                counts['killed within a file'] += bool(left - before)
                victim.check(acknowledged)
            except Loss as loss:
                print(f'kill {kill}, seed {arguments.seed}: {loss}', flush=True)
                counts['losses'] += 1
    print(
        f'{arguments.kills} kills in {time.monotonic() - began:.0f} s, {counts["losses"]} losses; '
        + ', '.join(f'{count} {what}' for what, count in counts.items() if what != 'losses')
    )
    return 1 if counts['losses'] else 0


def _left_in(root: Path) -> set[Path]:
    """Half-written files anywhere below a folder."""
    folders = [root, *(folder for folder in root.rglob('*') if folder.is_dir())]
    return {file for folder in folders for file in leftovers(folder)}


if __name__ == '__main__':
    sys.exit(main())
