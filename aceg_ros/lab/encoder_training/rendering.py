"""Groups of views of made worlds, rendered before a training or while it runs."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from aceg_ros.errors import DatasetError
from aceg_ros.lab.encoder_training.spots import (
    ProceduralSpots,
    Spots,
    TexturedSpots,
    draw_group,
    read_environments,
)
from aceg_ros.threads import use_threads

_TRIES = 20  # per group
_CHUNK = 20  # groups of a textured world that a process renders at a time
_FIRST = 4  # groups of each kind that a training begins with
_POLL = 0.2  # s


@dataclass(frozen=True)
class TexturedArea:
    """A part of a textured world to be stood in: ``low`` <= x < ``high``, meters."""

    folder: Path
    low: float = -np.inf
    high: float = np.inf

    @classmethod
    def parse(cls, text: str) -> TexturedArea:
        """From FOLDER or FOLDER:LOW:HIGH; raises DatasetError for another text."""
        folder, *bounds = text.split(':')
        try:
            low, high = (float(bound) for bound in bounds) if bounds else (-np.inf, np.inf)
        except ValueError as error:
            raise DatasetError(
                f'{text} is no textured world: give FOLDER, or FOLDER:LOW:HIGH with bounds of x'
            ) from error
        return cls(Path(folder), low, high)


@dataclass(frozen=True)
class Rendered:
    """How many groups are made of worlds, and where they are kept.

    Procedural worlds have numbers from ``seed`` on.
    """

    cache: Path
    worlds: int
    groups_per_world: int
    textured: Sequence[TexturedArea]
    environments: Path | None
    groups_per_area: int
    seed: int


@dataclass(frozen=True)
class _Task:
    """Files to render, all of one world."""

    missing: Sequence[Path]
    seed: int
    make_spots: Callable[[], Spots]  # in the process that renders


@contextmanager
def rendering(rendered: Rendered, workers: int, report: Callable[[str], None]) -> Iterator[None]:
    """A context in which groups that the cache lacks are rendered by ``workers`` processes.

    It is entered with the first groups of each kind, and left without waiting for the last. With 0
    workers all are rendered before it is entered. Raises DatasetError for worlds without light.
    """
    rendered.cache.mkdir(parents=True, exist_ok=True)
    tasks = _tasks(rendered)
    if not workers or not tasks:
        for done, task in enumerate(tasks, 1):
            _render(task)
            report(f'{done} of {len(tasks)} parts rendered')
        yield
        return
    failures: list[BaseException] = []
    # forked processes would share the device and the threads of PyTorch
    context = multiprocessing.get_context('spawn')
    with context.Pool(workers, _begin_work) as pool:
        parts = [
            pool.apply_async(_render, (task,), error_callback=failures.append) for task in tasks
        ]
        # a world without room has fewer groups than asked for
        while not (failures or all(part.ready() for part in parts) or _begun(rendered)):
            time.sleep(_POLL)
        if failures:
            raise failures[0]
        yield
        for failure in failures:
            report(f'not rendered: {failure}')


def _begin_work() -> None:
    # who started the training ends it, and the workers with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_threads(1)


def _begun(rendered: Rendered) -> bool:
    """Whether the first groups of each kind are there."""
    wanted = [('world', rendered.worlds * rendered.groups_per_world)]
    wanted += [(area.folder.name, rendered.groups_per_area) for area in rendered.textured]
    return all(
        len(list(rendered.cache.glob(f'{name}-*[0-9].npz'))) >= min(count, _FIRST)
        for name, count in wanted
    )


def _tasks(rendered: Rendered) -> list[_Task]:
    """What is missing, every kind of world from the beginning to the end."""
    kinds: list[list[_Task]] = [[]]
    for index in range(rendered.worlds):
        seed = rendered.seed + index
        missing = _missing(rendered.cache, f'world-{seed:06d}', rendered.groups_per_world)
        if missing:
            kinds[0].append(_Task(missing, seed, partial(ProceduralSpots, seed)))
    for area in rendered.textured:
        if rendered.environments is None:
            raise DatasetError('textured worlds need light: give --environments, a folder of .hdr')
        missing = _missing(rendered.cache, area.folder.name, rendered.groups_per_area)
        chunks = (missing[i : i + _CHUNK] for i in range(0, len(missing), _CHUNK))
        make_spots = partial(_textured_spots, area, rendered.environments)
        kinds.append([_Task(chunk, rendered.seed, make_spots) for chunk in chunks])
    placed = [
        (number / len(tasks), kind, task)
        for kind, tasks in enumerate(kinds)
        for number, task in enumerate(tasks)
    ]
    return [task for *_, task in sorted(placed, key=lambda entry: entry[:2])]


def _missing(cache: Path, name: str, count: int) -> list[Path]:
    paths = [cache / f'{name}-{index:04d}.npz' for index in range(count)]
    return [path for path in paths if not path.exists()]


def _textured_spots(area: TexturedArea, environments: Path) -> Spots:
    return TexturedSpots(area.folder, read_environments(environments), area.low, area.high)


def _render(task: _Task) -> None:
    """Draw a group for every path; a world without room gives fewer."""
    spots = task.make_spots()
    for path in task.missing:
        # each by itself, so that a stop loses nothing and changes nothing
        rng = np.random.default_rng([task.seed, 31, int(path.stem.rsplit('-', 1)[1])])
        for _ in range(_TRIES):
            spots.arrange(rng)
            group = draw_group(spots, rng)
            if group is not None:
                group.save(path)
                break
