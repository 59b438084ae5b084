"""Damages small datasets of every layout at random and has them read.

Whatever is in the files, a reader gives a dataset or an AcegError that a user understands, soon and
without much memory. The suite does this for some seconds (test_fuzz.py); for hours:

    python test/datasets/fuzz.py --hours 8 --keep failures

What fails is kept there, a folder each, with the seed and what was said. Run it again with
`--seed N --count 1` to see one failure.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import FrameType

from bag_messages import StoragePlugin, camera, poses, tf, write_bag, write_ros1_bag
from layouts import LAYOUTS

from aceg_ros.datasets import open_dataset
from aceg_ros.errors import AcegError

# Seconds and bytes that reading a dataset of a few kilobytes may take.
TIME_LIMIT = 20
MEMORY_LIMIT = 4 << 30

SEEDS: dict[str, Callable[[Path], Path]] = {
    **LAYOUTS,
    'rosbag2, sqlite3': lambda root: write_bag(root, camera() + poses()),
    'rosbag2, mcap': lambda root: write_bag(root, camera() + tf(), StoragePlugin.MCAP),
    'ROS 1 bag': lambda root: write_ros1_bag(root.with_suffix('.bag'), camera() + poses()),
}

# Words that mean something to programmers only.
_PYTHON = re.compile(
    r'NoneType|Traceback|object at 0x|\b[A-Z]\w+(Error|Exception)\b|__\w+__|<class|'
    r'invalid literal|could not convert|unpack|subscriptable|not iterable|has no attribute|'
    r'codec can|list index|out of range|np\.float|dtype|unhashable|positional argument'
)
_TOKENS = (
    b'nan -inf inf 0 -0 -1 1 1e308 1e-320 1e999 99999999999999999999 0x10 null true [] {} "" a : '
    b'- # , \xef\xbb\xbf \xff\xfe \x00 \xc3\xa9 ../ / \\ ${x} %s !!python/object:os.system &a *a'
).split(b' ')
_WORD = re.compile(rb'[^\s,:\[\]{}"]+')


class Failure(Exception):
    """A reader did what it must not do."""


def mutate(data: bytes, random: Random) -> bytes:
    """The same file with one to four things changed: bytes, lines, words, or its end."""
    for _ in range(random.randint(1, 4)):
        data = random.choice(_EDITS)(data, random)
    return data


def _bytes(data: bytes, random: Random) -> bytes:
    if not data:
        return bytes([random.randrange(256)])
    at = random.randrange(len(data))
    new = bytes(random.randrange(256) for _ in range(random.randint(0, 4)))
    return data[:at] + new + data[at + random.randint(0, 4) :]


def _field(data: bytes, random: Random) -> bytes:
    """Eight bytes set to what a count or a length must not be."""
    at = random.randrange(max(1, len(data) - 8))
    new = random.choice([b'\0' * 8, b'\xff' * 8, b'\xff\xff\xff\x7f' + b'\0' * 4, b'\1' * 8])
    size = random.choice([1, 2, 4, 8])
    return data[:at] + new[:size] + data[at + size :]


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randint(0, len(data))]


def _lines(data: bytes, random: Random) -> bytes:
    lines = data.split(b'\n')
    first, second = (random.randrange(len(lines)) for _ in range(2))
    kind = random.randrange(3)
    if kind == 0:
        del lines[first]
    elif kind == 1:
        lines.insert(first, lines[second])
    else:
        lines[first], lines[second] = lines[second], lines[first]
    return b'\n'.join(lines)


def _words(data: bytes, random: Random) -> bytes:
    words = list(_WORD.finditer(data[:4096]))
    if not words:
        return random.choice(_TOKENS)
    word = random.choice(words)
    new = random.choice([*_TOKENS, random.choice(words).group()])
    return data[: word.start()] + new + data[word.end() :]


_EDITS = (_bytes, _field, _cut, _lines, _words, _words)


def damage(root: Path, random: Random) -> None:
    """Change one or two of a dataset's files, or take them away."""
    for _ in range(random.randint(1, 2)):
        files = [root] if root.is_file() else sorted(f for f in root.rglob('*') if f.is_file())
        if not files:
            return
        # Pictures are many, and Pillow's business.
        told = [file for file in files if file.suffix not in ('.png', '.jpg')] or files
        file = random.choice(told if random.random() < 0.85 else files)
        kind = random.random()
        if kind < 0.9 or file == root:
            file.write_bytes(mutate(file.read_bytes(), random))
        else:
            file.unlink()
            if kind < 0.95:
                file.mkdir()


def check(root: Path) -> str:
    """Read a dataset, and some of its images; what came of it, in a word.

    Raises Failure unless that is a dataset or an error that a user understands.
    """
    try:
        with _limited(TIME_LIMIT):
            dataset = open_dataset(root)
            for said in (*dataset.skipped, *dataset.notes):
                _check_words(said)
            for frame in dataset.frames[:3]:
                try:
                    frame.image()
                    frame.depth()
                except AcegError as error:
                    _check_words(str(error))
    except AcegError as error:
        _check_words(str(error))
        return type(error).__name__
    except Failure:
        raise
    except BaseException as error:
        raise Failure(f'{type(error).__name__}: {error}') from error
    return 'dataset'


def _check_words(said: str) -> None:
    found = _PYTHON.search(said)
    if found or not said.strip():
        raise Failure(f'words for programmers ({found.group() if found else "none"}): {said}')


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def stop(signum: int, frame: FrameType | None) -> None:
        raise Failure(f'hangs for {seconds} s')

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> int:
    """Damage and read until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--hours', type=float, default=1.0)
    parser.add_argument('--count', type=int, default=sys.maxsize, help='stop after so many')
    parser.add_argument('--seed', type=int, default=0, help='of the first; others follow')
    parser.add_argument('--layout', choices=sorted(SEEDS), help='this one only')
    parser.add_argument('--keep', type=Path, default=Path('fuzz_failures'))
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    outcomes: Counter[str] = Counter()
    until = time.monotonic() + 3600.0 * arguments.hours
    with tempfile.TemporaryDirectory(prefix='aceg_fuzz_') as folder:
        seeds = {
            name: make(Path(folder, 'seeds', str(number), 'seed'))
            for number, (name, make) in enumerate(_prepared(Path(folder)).items())
            if arguments.layout in (None, name)
        }
        for seed in range(arguments.seed, arguments.seed + arguments.count):
            if time.monotonic() > until:
                break
            random = Random(seed)
            layout = random.choice(sorted(seeds))
            root = copy(seeds[layout], Path(folder, 'case'))
            damage(root, random)
            try:
                outcomes[check(root)] += 1
            except Failure as failure:
                outcomes['failure'] += 1
                kept = arguments.keep / str(seed)
                shutil.rmtree(kept, ignore_errors=True)
                copy(root, kept)
                said = ''.join(traceback.format_exception(failure))
                (kept / 'said.txt').write_text(f'{layout}, seed {seed}\n{said}')
                print(f'{layout}, seed {seed}: {failure}', flush=True)
    total = sum(outcomes.values())
    print(f'{total} read: ' + ', '.join(f'{count} {name}' for name, count in outcomes.items()))
    return 1 if outcomes['failure'] else 0


def _prepared(folder: Path) -> dict[str, Callable[[Path], Path]]:
    for number in range(len(SEEDS)):
        Path(folder, 'seeds', str(number)).mkdir(parents=True)
    return SEEDS


def copy(seed: Path, folder: Path) -> Path:
    """A copy of a seed, a folder or a file, in `folder`, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    root = folder / seed.name
    if seed.is_file():
        shutil.copy(seed, root)
    else:
        shutil.copytree(seed, root)
    return root


if __name__ == '__main__':
    sys.exit(main())
