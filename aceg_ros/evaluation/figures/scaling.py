"""How methods grow with the number of keyframes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from aceg_ros.evaluation.benchmark import BenchmarkRow
from aceg_ros.evaluation.figures.style import SERIES, figure

PANELS: tuple[tuple[str, Callable[[BenchmarkRow], float | None]], ...] = (
    ('Mapping time (s)', lambda row: row.mapping_seconds),
    ('Peak memory while mapping (MB)', lambda row: row.peak_rss_mb),
    ('Map size (MB)', lambda row: None if row.map_bytes is None else row.map_bytes / 1e6),
    ('Query time, median (ms)', lambda row: (row.queries or {}).get('query_ms_median')),
)


def draw_scaling(path: Path, rows: Sequence[BenchmarkRow]) -> None:
    """Draw time, memory and size over the number of keyframes, a line for each method."""
    methods = list(dict.fromkeys(row.method for row in rows))
    with figure(path, 10.5, 7.0) as drawing:
        grid = drawing.subplots(2, 2)
        for axes, (title, value) in zip(grid.flat, PANELS, strict=True):
            for method, color in zip(methods, cycle(SERIES), strict=False):
                points = [(row.keyframes, value(row)) for row in rows if row.method == method]
                known = sorted((count, y) for count, y in points if y is not None)
                axes.plot(
                    [count for count, _ in known],
                    [y for _, y in known],
                    'o-',
                    color=color,
                    label=method,
                    linewidth=2.0,
                    markersize=5.0,
                )
            axes.set_title(title)
            axes.set_xlim(left=0.0)
            axes.set_ylim(bottom=0.0)
        for axes in grid[1]:
            axes.set_xlabel('keyframes')
        grid[0, 0].legend()
