"""The pictures of an evaluation. Matplotlib is imported when one is drawn, and never needs a screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aceg_ros.evaluation.benchmark import BenchmarkRow
from aceg_ros.evaluation.metrics import RECALL_CM, RECALL_DEG, Evaluation, FrameResult
from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.localization.result import Localization

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID_LINE = '#1d2733', '#6b7885', '#e3e8ed'
KEYFRAME, TRUTH, FAILURE = '#9aa7b4', '#1d2733', '#d43d51'
SERIES = ('#0b7fab', '#e07b1a', '#3a9a5c', '#8a5fb0', '#b0483f')
ERRORS = 'viridis_r'  # colours of errors, dark is bad
STYLE = {
    'font.size': 10,
    'text.color': INK,
    'axes.labelcolor': INK,
    'axes.edgecolor': MUTED,
    'axes.linewidth': 0.8,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.titlesize': 11,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.axisbelow': True,
    'axes.grid': True,
    'grid.color': GRID_LINE,
    'grid.linewidth': 0.8,
    'xtick.color': MUTED,
    'ytick.color': MUTED,
    'legend.frameon': False,
}
DPI = 130
MAX_SCENE_POINTS = 40_000
MAX_SHOWN_PX = 4.0  # and reprojection errors beyond this one


@contextmanager
def _figure(path: Path, width: float, height: float, **layout: Any) -> Iterator[Figure]:
    """A figure of `width` by `height` inches, saved to `path` in the end."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout='constrained', **layout)
        FigureCanvasAgg(figure)
        yield figure
        figure.savefig(path, dpi=DPI, facecolor='white')


def draw_trajectory(
    path: Path,
    evaluation: Evaluation,
    keyframes: np.ndarray,
    points3d: np.ndarray,
    colours: np.ndarray,
) -> None:
    """Seen along the scene's shortest axis: map, mapped poses, true poses, estimates by their error.

    `keyframes` (K, 4, 4) world_from_cam, `points3d` (N, 3) metres with `colours` (N, 3) uint8.
    """
    truth = np.array([result.world_from_cam for result in evaluation.results])
    cameras = np.concatenate([keyframes.reshape(-1, 4, 4)[:, :3, 3], truth[:, :3, 3]])
    low, high = _bounds(points3d, cameras)
    right, up = _plan_axes(high - low)
    extent = (high - low)[[right, up]]
    height = float(np.clip(9.0 * extent[1] / extent[0], 4.5, 10.0))
    with _figure(path, 10.5, height + 0.8) as figure:
        axes = figure.add_subplot()
        points3d, colours = _thinned(points3d, colours)
        axes.scatter(
            *points3d[:, [right, up]].T, c=colours / 255.0, s=1.2, alpha=0.35, linewidths=0
        )
        _draw_views(axes, keyframes, (right, up), 0.025 * float(np.linalg.norm(extent)))
        scatter = _draw_estimates(axes, evaluation, (right, up))
        if scatter is not None:
            bar = figure.colorbar(scatter, ax=axes, shrink=0.6, pad=0.01, extend='max')
            bar.set_label('position error (cm)')
            bar.outline.set_visible(False)  # type: ignore[operator]
        axes.set_xlim(low[right], high[right])
        axes.set_ylim(low[up], high[up])
        axes.set_aspect('equal')
        axes.set_xlabel(f'{"xyz"[right]} (m)')
        axes.set_ylabel(f'{"xyz"[up]} (m)')
        axes.legend(loc='upper center', bbox_to_anchor=(0.5, 1.08), ncols=4)


def _bounds(points3d: np.ndarray, cameras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (3,) of a box that holds the cameras and, but for strays, the scene, with a margin."""
    low, high = cameras.min(axis=0), cameras.max(axis=0)
    if len(points3d):
        inner = np.percentile(points3d, [2, 98], axis=0)
        low, high = np.minimum(low, inner[0]), np.maximum(high, inner[1])
    margin = 0.05 * float((high - low).max()) + 1e-3
    return low - margin, high + margin


def _plan_axes(extent: np.ndarray) -> tuple[int, int]:
    """The two longest axes, the longest of all across."""
    order = np.argsort(-extent, kind='stable')
    return int(order[0]), int(order[1])


def _thinned(points3d: np.ndarray, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(points3d) <= MAX_SCENE_POINTS:
        return points3d, colours
    chosen = np.random.default_rng(0).choice(len(points3d), MAX_SCENE_POINTS, replace=False)
    return points3d[chosen], colours[chosen]


def _draw_views(
    axes: Axes, world_from_cam: np.ndarray, plan: tuple[int, int], length: float
) -> None:
    """Where the mapped images were taken, and in which direction."""
    plan_axes = list(plan)
    centres = world_from_cam[:, plan_axes, 3]
    directions = world_from_cam[:, plan_axes, 2] * length
    axes.plot(*centres.T, 'o', color=KEYFRAME, markersize=3.5, label='mapped images', zorder=2)
    axes.plot(
        *np.stack([centres, centres + directions, np.full_like(centres, np.nan)], 1)
        .reshape(-1, 2)
        .T,
        color=KEYFRAME,
        linewidth=0.9,
        zorder=2,
    )


def _draw_estimates(axes: Axes, evaluation: Evaluation, plan: tuple[int, int]) -> Any:
    """True positions and lines to the estimates; the estimates, for a colour bar, or None without."""
    plan_axes = list(plan)
    truth = np.array([result.world_from_cam[plan_axes, 3] for result in evaluation.results])
    axes.plot(
        *truth.T,
        'o',
        markerfacecolor='none',
        markeredgecolor=TRUTH,
        markeredgewidth=0.8,
        markersize=7,
        label='true poses',
        zorder=3,
    )
    lost = np.array([not result.localized for result in evaluation.results])
    if lost.any():
        axes.plot(
            *truth[lost].T,
            'x',
            color=FAILURE,
            markersize=7,
            markeredgewidth=1.8,
            label='not localized',
            zorder=5,
        )
    found = [
        (result.world_from_cam[plan_axes, 3], result.answer.world_from_cam[plan_axes, 3], result.metres)
        for result in evaluation.results
        if isinstance(result.answer, Localization)
    ]
    if not found:
        return None
    for true, estimate, _ in found:
        axes.plot(*np.stack([true, estimate]).T, color=TRUTH, linewidth=0.8, zorder=3)
    estimates = np.array([estimate for _, estimate, _ in found])
    cm = [100.0 * metres for _, _, metres in found]
    return axes.scatter(
        *estimates.T,
        c=cm,
        cmap=ERRORS,
        vmin=0.0,
        vmax=max(float(np.percentile(cm, 95)), 1.0),
        s=22,
        linewidths=0,
        label='estimates',
        zorder=4,
    )


def draw_errors(path: Path, evaluation: Evaluation) -> None:
    """Which part of all frames is localised to less than which error, in cm and in degrees."""
    cm = 100.0 * np.array([result.metres for result in evaluation.results])
    degrees = np.array([result.degrees for result in evaluation.results])
    with _figure(path, 10.5, 4.2) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        _draw_cumulative(left, cm, RECALL_CM, 'cm', SERIES[0])
        _draw_cumulative(right, degrees, (1.0, RECALL_DEG), '°', SERIES[1])
        left.set_title('Position')
        right.set_title('Rotation')
        left.set_xlabel('position error (cm)')
        right.set_xlabel('rotation error (degrees)')
        left.set_ylabel('frames with less error (%)')


def _draw_cumulative(
    axes: Axes, errors: np.ndarray, limits: Sequence[float], unit: str, colour: str
) -> None:
    """A step curve over a logarithmic axis, with what it reaches at `limits`."""
    errors = np.sort(errors)
    finite = errors[np.isfinite(errors)]
    shown = np.concatenate([finite, limits])
    low, high = 0.5 * max(float(shown.min()), 1e-3), 2.0 * float(shown.max())
    reached = 100.0 * np.arange(len(finite) + 1) / len(errors)
    axes.step(
        np.concatenate([[low], finite, [high]]),
        np.append(reached, reached[-1]),
        where='post',
        color=colour,
        linewidth=2.2,
    )
    for limit in limits:
        part = 100.0 * float(np.mean(errors < limit))
        axes.axvline(limit, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            f'{limit:g}{unit if unit == "°" else f" {unit}"}: {part:.0f} %',
            (limit, 2.0),
            xytext=(-3, 0),
            textcoords='offset points',
            rotation=90,
            ha='right',
            va='bottom',
            fontsize=9,
            color=MUTED,
        )
    axes.set_xscale('log')
    axes.xaxis.set_major_formatter('{x:g}')
    axes.set_xlim(low, high)
    axes.set_ylim(0.0, 103.0)


def draw_images(path: Path, results: Sequence[FrameResult], columns: int = 3) -> None:
    """Images with the inliers' pixels (dots) and where their map points fall at the pose found (rings)."""
    rows = -(-len(results) // columns)
    camera = results[0].frame.camera
    width = 4.6
    height = width * camera.height / camera.width + 0.35
    with _figure(path, width * columns, height * rows + 0.5) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        colours = None
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, result in zip(grid.flat, results, strict=False):
            colours = _draw_image(axes, result) or colours
        if colours is not None:
            bar = figure.colorbar(
                colours, ax=grid, location='bottom', fraction=0.02, pad=0.01, aspect=60, extend='max'
            )
            bar.set_label('reprojection error of the inliers (px)')
            bar.outline.set_visible(False)  # type: ignore[operator]


def _draw_image(axes: Axes, result: FrameResult) -> Any:
    """One image; the coloured dots, for a colour bar, or None where there are none."""
    image = result.frame.image()
    axes.imshow(image, interpolation='antialiased')
    if not isinstance(result.answer, Localization):
        axes.set_title(f'{result.frame.name}: {result.answer.reason}', color=FAILURE, fontsize=10)
        return None
    answer = result.answer
    points2d = answer.points2d[answer.inliers]
    points_cam = transform_points(inverse(answer.world_from_cam), answer.points3d[answer.inliers])
    projected = result.frame.camera.project(points_cam)
    axes.set_title(
        f'{result.frame.name}: {100 * result.metres:.1f} cm, {result.degrees:.2f}°, '
        f'{len(points2d)} inliers',
        fontsize=10,
    )
    lines = np.stack([points2d, projected, np.full_like(points2d, np.nan)], 1).reshape(-1, 2)
    axes.plot(*lines.T, color='white', linewidth=0.8)
    axes.plot(
        *projected.T,
        'o',
        markerfacecolor='none',
        markeredgecolor='white',
        markersize=4.5,
        markeredgewidth=0.7,
    )
    axes.set_xlim(-0.5, image.shape[1] - 0.5)
    axes.set_ylim(image.shape[0] - 0.5, -0.5)
    return axes.scatter(
        *points2d.T,
        c=np.linalg.norm(projected - points2d, axis=1),
        cmap='plasma',
        vmin=0.0,
        vmax=MAX_SHOWN_PX,
        s=7,
        linewidths=0,
    )


def draw_scaling(path: Path, rows: Sequence[BenchmarkRow]) -> None:
    """How mapping time, memory, map size and query time grow with the number of keyframes."""
    panels = (
        ('Mapping time (s)', lambda row: row.mapping_seconds),
        ('Peak memory while mapping (MB)', lambda row: row.peak_rss_mb),
        ('Map size (MB)', lambda row: row.map_bytes / 1e6),
        ('Query time, median (ms)', lambda row: row.queries['query_ms_median']),
    )
    with _figure(path, 10.5, 7.0) as figure:
        grid = figure.subplots(2, 2)
        for axes, (title, value) in zip(grid.flat, panels, strict=True):
            for colour, method in zip(cycle(SERIES), dict.fromkeys(row.method for row in rows)):
                mine = [row for row in rows if row.method == method and row.error is None]
                mine = [row for row in mine if value(row) is not None]
                axes.plot(
                    [row.keyframes for row in mine],
                    [value(row) for row in mine],
                    'o-',
                    color=colour,
                    label=method,
                    linewidth=2.0,
                    markersize=5,
                )
            axes.set_title(title)
            axes.set_ylim(bottom=0.0)
            axes.set_xlim(left=0.0)
        for axes in grid[1]:
            axes.set_xlabel('keyframes')
        grid[0, 0].legend()
