"""Figures as text: cells, and tables of benchmark rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aceg_ros.evaluation.benchmark import BenchmarkRow
from aceg_ros.evaluation.metrics import RECALL_CM, RECALL_DEG, Evaluation

NOTHING = '–'  # noqa: RUF001, a dash is what is meant
COLUMNS = (
    'dataset',
    'method',
    'keyframes',
    'mapping s',
    'peak MB',
    'map MB',
    'query ms',
    'localized',
    'median cm / deg',
    '5 cm',
    '10 cm',
    '25 cm',
)


def number(value: float | None, digits: int) -> str:
    """A number with `digits` decimals, a dash for None."""
    return NOTHING if value is None else f'{value:.{digits}f}'


def percent(fraction: float | None) -> str:
    """A fraction of 0..1 in whole percent, a dash for None."""
    return NOTHING if fraction is None else f'{100 * fraction:.0f} %'


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ['---'] * len(header), *rows]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in lines)


def benchmark_table(rows: Iterable[BenchmarkRow]) -> str:
    """Benchmark rows in Markdown; recalls are within 5 degrees too, in percent of all queries."""
    return markdown(COLUMNS, [_cells(row) for row in rows])


def evaluation_lines(evaluation: Evaluation, metric: bool = True) -> list[str]:
    """The figures of `Evaluation.summary` as lines of text, for people.

    Errors are in cm, or in units of the map where it is not `metric`, and in degrees.
    """
    figures = evaluation.summary()
    rows = [('localized', f'{figures["localized"]} of {figures["frames"]} images')]
    reasons = ', '.join(f'{reason} {count}' for reason, count in evaluation.failures().items())
    if reasons:
        rows.append(('refused', reasons))
    if evaluation.without_pose:
        rows.append(('left out', f'{evaluation.without_pose} images without a known pose'))
    median = f'{_length(figures["median_cm"], metric, 1)}, {number(figures["median_deg"], 2)} deg'
    rows.append(('median error', median))
    for limit in RECALL_CM:
        bounds = f'within {_length(limit, metric, 0)}, {RECALL_DEG:.0f} deg'
        rows.append((bounds, percent(figures[f'recall_{limit}cm_{RECALL_DEG:.0f}deg'])))
    median, most = (number(figures[f'query_ms_{name}'], 0) for name in ('median', 'p95'))
    rows.append(('query time', f'{median} ms in the median, {most} ms for 95 %'))
    return [f'{name:>24}: {text}' for name, text in rows]


def _length(centimeters: float | None, metric: bool, digits: int) -> str:
    if metric:
        return f'{number(centimeters, digits)} cm'
    return f'{number(None if centimeters is None else centimeters / 100, digits + 2)} units'


def _cells(row: BenchmarkRow) -> tuple[str, ...]:
    head = (row.dataset, row.method, str(row.keyframes))
    if row.queries is None:
        return (*head, row.error or NOTHING, *[''] * (len(COLUMNS) - 4))
    queries = row.queries
    megabytes = None if row.map_bytes is None else row.map_bytes / 1e6
    return (
        *head,
        number(row.mapping_seconds, 1),
        number(row.peak_rss_mb, 0),
        number(megabytes, 2),
        number(queries['query_ms_median'], 0),
        f'{queries["localized"]}/{queries["frames"]}',
        f'{number(queries["median_cm"], 2)} / {number(queries["median_deg"], 2)}',
        *(percent(queries[f'recall_{limit}cm_5deg']) for limit in (5, 10, 25)),
    )
