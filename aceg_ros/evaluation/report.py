"""A folder that shows an evaluation: pictures, and a page with the figures."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from aceg_ros.evaluation.figures import draw_errors, draw_images, draw_trajectory
from aceg_ros.evaluation.metrics import RECALL_CM, RECALL_DEG, Evaluation, FrameResult
from aceg_ros.evaluation.tables import number, percent
from aceg_ros.files import write_atomically
from aceg_ros.maps.code import KnownCamera

IMAGES_SHOWN = 9
WORST_LISTED = 10
RECALLS = [f'{limit} cm, {RECALL_DEG:.0f}°' for limit in RECALL_CM]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1d2733; max-width: 68rem;
        margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }}
h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }}
table {{ border-collapse: collapse; margin: .8rem 0; }}
th, td {{ padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #e3e8ed; text-align: left; }}
td {{ font-variant-numeric: tabular-nums; }}
th {{ color: #6b7885; font-weight: 600; }}
img {{ max-width: 100%; height: auto; }}
p.note {{ color: #6b7885; max-width: 46rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def write_report(
    folder: Path,
    evaluation: Evaluation,
    keyframes: np.ndarray,
    points3d: np.ndarray,
    colors: np.ndarray,
    title: str = 'Localization report',
    known: Callable[[FrameResult], KnownCamera] | None = None,
) -> Path:
    """Write pictures, `index.html` and `evaluation.json` into `folder`; the page's path.

    `keyframes` (K, 4, 4) are world_from_cam of the mapped images. `points3d` (N, 3) meters and
    `colors` (N, 3) uint8 are of the scene. All are in the map's frame, and each may be empty.
    ``known`` as for `draw_images`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw_trajectory(folder / 'trajectory.png', evaluation, keyframes, points3d, colors)
    draw_errors(folder / 'errors.png', evaluation)
    draw_images(folder / 'images.png', choose_results(evaluation.results, IMAGES_SHOWN), known)
    details = {
        'summary': evaluation.summary(),
        'failures': evaluation.failures(),
        'skipped': evaluation.skipped,
        'without_pose': evaluation.without_pose,
        'calibration': evaluation.calibration(),
        'frames': [result.row() for result in evaluation.results],
    }
    write_atomically(folder / 'evaluation.json', json.dumps(details, indent=1).encode())
    page = folder / 'index.html'
    text = PAGE.format(title=html.escape(title), body=_body(evaluation))
    write_atomically(page, text.encode())
    return page


def choose_results(results: Sequence[FrameResult], count: int) -> list[FrameResult]:
    """`count` results or fewer, from the best to the worst, evenly spread over the ranking."""
    ranked = sorted(results, key=lambda result: result.meters)
    chosen = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return [ranked[index] for index in chosen]


def _body(evaluation: Evaluation) -> str:
    parts = [
        _table(*_summary_cells(evaluation)),
        _notes(evaluation),
        '<h2>True and estimated positions</h2>',
        '<p class="note">Circles are true poses; a line leads to each estimate, colored by its '
        'error. Gray dots and strokes are the mapped images and their viewing directions.</p>',
        '<img src="trajectory.png" alt="Map, true and estimated positions from above">',
        '<h2>Cumulative errors</h2>',
        '<img src="errors.png" alt="Cumulative errors in position and rotation">',
        '<h2>Inliers</h2>',
        '<p class="note">From the best frame to the worst. Dots are inliers in the image, rings '
        'the reprojections of their scene coordinates.</p>',
        '<img src="images.png" alt="Query images with inliers and their reprojections">',
        '<h2>Calibration of the covariance</h2>',
        _calibration(evaluation),
        '<h2>The worst frames</h2>',
        _worst(evaluation.results),
    ]
    return '\n'.join(parts)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = ''.join(f'<th>{html.escape(cell)}</th>' for cell in header)
    body = ''.join(
        '<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>\n'
        for row in rows
    )
    return f'<table>\n<tr>{head}</tr>\n{body}</table>'


def _summary_cells(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    figures = evaluation.summary()
    header = ['frames', 'localized', 'median error', *RECALLS, 'query time']
    row = [
        str(figures['frames']),
        str(figures['localized']),
        f'{number(figures["median_cm"], 1)} cm, {number(figures["median_deg"], 2)}°',
        *(percent(figures[f'recall_{limit}cm_5deg']) for limit in (5, 10, 25)),
        f'{number(figures["query_ms_median"], 0)} ms '
        f'(95 %: {number(figures["query_ms_p95"], 0)} ms)',
    ]
    return header, [row]


def _notes(evaluation: Evaluation) -> str:
    """What failed or was left out, in a list that is empty in the best case."""
    notes = [f'{count} frames failed: {reason}' for reason, count in evaluation.failures().items()]
    if evaluation.without_pose:
        notes.append(f'{evaluation.without_pose} frames have no true pose and were left out')
    notes += [f'left out: {skipped}' for skipped in evaluation.skipped]
    items = ''.join(f'<li>{html.escape(note)}</li>\n' for note in notes)
    return f'<ul>\n{items}</ul>' if notes else ''


def _calibration(evaluation: Evaluation) -> str:
    calibration = evaluation.calibration()
    rows = []
    for name in ('pose', 'position', 'rotation'):
        part = calibration[name]
        rows.append(
            [
                name,
                f'{number(part["median"], 2)} ({part["expected_median"]:.2f})',
                *(percent(part[f'within_{level}']) for level in (50, 90, 95)),
            ]
        )
    header = [
        '',
        'median of the normalized squared error (expected)',
        'in 50 %',
        'in 90 %',
        'in 95 %',
    ]
    return (
        '<p class="note">Part of the localized frames inside the ellipsoid that should hold '
        '50, 90 and 95 % of them. If it is less, the covariance is too small.</p>'
        + _table(header, rows)
    )


def _worst(results: Sequence[FrameResult]) -> str:
    worst = sorted(results, key=lambda result: -result.meters)[:WORST_LISTED]
    rows = []
    for row in (result.row() for result in worst):
        state = row['failure'] or 'localized'
        rows.append([row['name'], state, number(row['cm'], 1), number(row['deg'], 2)])
    return _table(['frame', 'answer', 'error (cm)', 'error (°)'], rows)
