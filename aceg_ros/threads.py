"""How this process shares the cores with others."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


def wait_idly() -> None:
    """Have OpenMP's threads sleep while they wait for work; to be called before PyTorch is loaded.

    They would spin, which on cores that others use too, as on any robot, makes the work take ten
    times as long. What OMP_WAIT_POLICY says already is left alone, and processes started from here
    inherit it.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')


_asked = 0  # threads, by the last call of `use_threads`


def use_threads(count: int) -> None:
    """Have networks and OpenCV work with ``count`` threads, in this process from now on.

    0 leaves it to them: OMP_NUM_THREADS, or else one for each core; but see `query_threads`.
    """
    global _asked
    _asked = count
    if not count:
        return
    # Not above: `wait_idly` comes before PyTorch.
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def query_threads(short_steps: bool) -> int:
    """How many threads networks should have for one image: those asked for, or else what is quick.

    A network with hundreds of ``short_steps`` is quickest with one (docs/design/small-machines.md).
    """
    import torch

    return _asked or (1 if short_steps else torch.get_num_threads())


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Have networks work with ``count`` threads meanwhile."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What ``work`` gives for each of the items, in their order.

    As many threads as networks have work on an item each, by themselves. So none waits for another
    within an item. A few items ahead of the one asked for are worked on. Raises what ``work`` does.
    """
    import torch

    count = torch.get_num_threads()
    waiting: deque[Future[Result]] = deque()
    try:
        with ThreadPoolExecutor(count, initializer=partial(torch.set_num_threads, 1)) as pool:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        torch.set_num_threads(count)  # threads begun later have as many as the last call said
