"""The demo over ROS 2, from tours to figures."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

from aceg_ros.datasets.base import Dataset
from aceg_ros.datasets.schedule import make_schedule
from aceg_ros.demo.driver import Driver, Mapped, Run
from aceg_ros.demo.engine_demo import (
    LEAST_RECALL,
    DemoResult,
    Tours,
    draw_report,
    evaluate_map,
    map_figures,
)
from aceg_ros.demo.nodes import Nodes, use_own_domain
from aceg_ros.demo.outcome import evaluation_of, figures_of
from aceg_ros.engine import Engine
from aceg_ros.monitor import Monitor

TITLE = 'Localization over ROS 2: times are from the stamp of an image to its pose'


@dataclass(frozen=True)
class RosOptions:
    """How the camera is played, and to whom."""

    rate: float | None = None  # Hz; None: as the frames were taken
    minutes: float = 0.0  # that the second tour is gone to and fro; 0: once
    compressed: bool = False
    attach: bool = False  # use nodes that run already
    budget: float = 60.0  # s, of nodes that are started here
    device: str = 'auto'


def run_ros(tours: Tours, folder: Path, options: RosOptions, monitor: Monitor) -> DemoResult:
    """Have the nodes map one tour and find the other; write map, logs and report to ``folder``."""
    shown = tours.queries
    if options.minutes:
        shown = to_and_fro(shown, options.rate, options.minutes)
    with _terminable():
        mapped, run = _drive(replace(tours, queries=shown), folder, options, monitor)
    engine, code = evaluate_map(mapped.map, tours.queries, Engine.load(options.device), monitor)
    evaluation = evaluation_of(run, engine)
    figures = {
        'recorded': mapped.recorded,
        'mapping_seconds': mapped.seconds,
        **map_figures(mapped.map, code),
        **figures_of(run, evaluation, engine),
    }
    # At a rate beyond the localizer's, images have to be dropped.
    counted = 'recall_10cm_5deg_of_worked' if options.minutes else 'recall_10cm_5deg'
    return DemoResult(
        figures,
        draw_report(folder, evaluation, code, TITLE),
        figures.get(counted, 0.0) >= LEAST_RECALL,
    )


def to_and_fro(tour: Dataset, rate: float | None, minutes: float) -> Dataset:
    """A tour gone forwards and backwards again and again, so that it never jumps."""
    rate = make_schedule(tour.frames, rate).rate
    frames = cycle([*tour.frames, *tour.frames[-2:0:-1]])
    return replace(tour, frames=list(islice(frames, max(1, round(60.0 * minutes * rate)))))


def _drive(tours: Tours, folder: Path, options: RosOptions, monitor: Monitor) -> tuple[Mapped, Run]:
    nodes = None
    if not options.attach:
        use_own_domain()
        nodes = Nodes(folder, options.budget, options.device, options.compressed)
    try:
        driver = Driver(
            options.compressed,
            monitor,
            nodes.check if nodes else lambda: None,
            (lambda: nodes.localizer_mb) if nodes else lambda: None,
        )
        try:
            return driver.map(tours.recorded, options.rate), driver.localize(
                tours.queries, options.rate
            )
        finally:
            driver.close()
    finally:
        if nodes is not None:
            nodes.close()


@contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise KeyboardInterrupt, so that the nodes end in good order.

    Shells start background jobs with SIGINT ignored.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
