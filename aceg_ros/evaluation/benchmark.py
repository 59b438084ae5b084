"""Methods side by side: cost of mapping, size of the map, time and accuracy of queries."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aceg_ros.datasets import Frame
from aceg_ros.errors import AcegError, DatasetError
from aceg_ros.evaluation.methods import Method
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.monitor import Monitor

SCALING_COUNTS = (50, 100, 150, 200, 250, 300)


@dataclass(frozen=True)
class BenchmarkRow:
    """One method on one dataset."""

    dataset: str
    method: str
    keyframes: int  # frames given to map
    mapping_seconds: float | None = None
    map_bytes: int | None = None
    peak_rss_mb: float | None = None  # of the process, mapping done; None where unknown
    queries: dict[str, float | int | None] | None = None  # `Evaluation.summary`
    error: str | None = None  # why there are no figures


def benchmark(
    name: str,
    map_frames: Sequence[Frame],
    query_frames: Sequence[Frame],
    methods: Iterable[Method],
    monitor: Monitor | None = None,
) -> list[BenchmarkRow]:
    """Map and query one dataset, called `name`, with each method in a process of its own.

    A method that fails has a row that says why.
    """
    runs = [(method, map_frames) for method in methods]
    return _run_all(name, runs, query_frames, monitor or Monitor())


def scaling(
    name: str,
    map_frames: Sequence[Frame],
    query_frames: Sequence[Frame],
    methods: Iterable[Method],
    counts: Sequence[int] = SCALING_COUNTS,
    monitor: Monitor | None = None,
) -> list[BenchmarkRow]:
    """The same for growing numbers of keyframes, spread evenly over `map_frames`.

    Counts that `map_frames` does not reach are left out; raises DatasetError when that leaves none.
    """
    reached = [count for count in counts if count <= len(map_frames)]
    if not reached:
        raise DatasetError(
            f'{name} has {len(map_frames)} frames to map, fewer than the {min(counts)} asked for'
        )
    runs = [(method, spread(map_frames, count)) for method in methods for count in sorted(reached)]
    return _run_all(name, runs, query_frames, monitor or Monitor())


def spread(frames: Sequence[Frame], count: int) -> list[Frame]:
    """`count` frames, evenly over all."""
    chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return [frames[index] for index in chosen]


def _run_all(
    name: str,
    runs: Sequence[tuple[Method, Sequence[Frame]]],
    query_frames: Sequence[Frame],
    monitor: Monitor,
) -> list[BenchmarkRow]:
    rows = []
    for index, (method, frames) in enumerate(runs):
        monitor.report(
            'benchmark', index / len(runs), f'{name}: {method.name}, {len(frames)} keyframes'
        )
        rows.append(run_isolated(name, method, frames, query_frames))
    return rows


def run_isolated(
    name: str, method: Method, map_frames: Sequence[Frame], query_frames: Sequence[Frame]
) -> BenchmarkRow:
    """`run` in a fresh process, so that its peak memory is its own and a crash costs one row."""
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        try:
            return pool.submit(run, name, method, map_frames, query_frames).result()
        except BrokenProcessPool:
            error = 'the process died, perhaps for want of memory'
            return BenchmarkRow(name, method.name, len(map_frames), error=error)


def run(
    name: str, method: Method, map_frames: Sequence[Frame], query_frames: Sequence[Frame]
) -> BenchmarkRow:
    """Map `map_frames` and localize `query_frames` in this process."""
    start = time.perf_counter()
    try:
        localizer, map_bytes = method.build(map_frames)
        seconds = time.perf_counter() - start
        peak = peak_rss_mb()
        summary = evaluate(localizer, query_frames).summary()
    except AcegError as error:
        return BenchmarkRow(name, method.name, len(map_frames), error=str(error))
    return BenchmarkRow(name, method.name, len(map_frames), seconds, map_bytes, peak, summary)


def peak_rss_mb() -> float | None:
    """The most memory this process has held so far, in MB; None where the system does not say."""
    # getrusage would also count what the parent held when it started this process.
    try:
        status = Path('/proc/self/status').read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024 / 1e6
    return None
