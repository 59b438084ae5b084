"""Figures as text: cells, and tables of benchmark rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aceg_ros.evaluation.benchmark import BenchmarkRow

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
