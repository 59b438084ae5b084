"""Where the cameras were, and where they were found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aceg_ros.evaluation.figures.style import (
    FAILURE,
    INK,
    draw_color_bar,
    error_colors,
    figure,
)
from aceg_ros.evaluation.metrics import Evaluation
from aceg_ros.localization.result import Localization

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

KEYFRAME = '#9aa7b4'
WIDTH = 10.5  # inches
MAX_SCENE_POINTS = 40_000
LEAST_RANGE_CM = 1.0  # of the colors, so that millimeters do not look like failures


def draw_trajectory(
    path: Path,
    evaluation: Evaluation,
    keyframes: np.ndarray,
    points3d: np.ndarray,
    colors: np.ndarray,
) -> None:
    """Draw scene, mapped images, true poses and estimates, seen along the scene's shortest axis.

    `keyframes` (K, 4, 4) world_from_cam, `points3d` (N, 3) meters with `colors` (N, 3) uint8.
    """
    truth = np.array([result.world_from_cam[:3, 3] for result in evaluation.results])
    low, high = scene_bounds(points3d, np.concatenate([keyframes[:, :3, 3], truth]))
    plan = np.argsort(low - high, kind='stable')[:2]  # the longest axis across, the next upwards
    low, high = low[plan], high[plan]
    across, upwards = high - low
    height = float(np.clip(0.9 * WIDTH * upwards / across, 4.5, WIDTH))
    with figure(path, WIDTH, height, 'compressed') as drawing:
        axes = drawing.add_subplot()
        draw_scene(axes, points3d[:, plan], colors)
        draw_keyframes(axes, keyframes[:, plan], 0.025 * float(np.hypot(across, upwards)))
        shown = _draw_queries(axes, evaluation, plan)
        if shown is not None:
            draw_color_bar(drawing, shown, axes, 'right', 'position error (cm)')
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(low[1], high[1])
        axes.set_aspect('equal')
        axes.set_xlabel(f'{"xyz"[plan[0]]} (m)')
        axes.set_ylabel(f'{"xyz"[plan[1]]} (m)')
        drawing.legend(loc='outside upper center', ncols=4)


def scene_bounds(points3d: np.ndarray, cameras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (3,) of a box with a margin around the cameras and, but for strays, the scene."""
    low, high = cameras.min(axis=0), cameras.max(axis=0)
    if len(points3d):
        inner = np.percentile(points3d, [2, 98], axis=0)
        low, high = np.minimum(low, inner[0]), np.maximum(high, inner[1])
    margin = 0.05 * float((high - low).max()) + 1e-3
    return low - margin, high + margin


def draw_scene(axes: Axes, points: np.ndarray, colors: np.ndarray) -> None:
    """Points (N, 2) of a plan in their colors (N, 3) uint8; some of them where there are many."""
    if len(points) > MAX_SCENE_POINTS:
        chosen = np.random.default_rng(0).choice(len(points), MAX_SCENE_POINTS, replace=False)
        points, colors = points[chosen], colors[chosen]
    size = float(np.clip(40_000 / max(len(points), 1), 1.5, 6.0))
    axes.scatter(points[:, 0], points[:, 1], size, colors / 255.0, alpha=0.45, linewidths=0.0)


def draw_keyframes(axes: Axes, poses: np.ndarray, length: float) -> None:
    """Where the mapped images were taken and where they look: two rows (K, 2, 4) of the poses."""
    centers, ends = poses[:, :, 3], poses[:, :, 3] + length * poses[:, :, 2]
    axes.plot(centers[:, 0], centers[:, 1], 'o', color=KEYFRAME, ms=3.5, label='mapped images')
    # Strokes in one go: nan lifts the pen.
    strokes = np.stack([centers, ends, np.full_like(ends, np.nan)], axis=1).reshape(-1, 2)
    axes.plot(strokes[:, 0], strokes[:, 1], color=KEYFRAME, linewidth=0.9)


def _draw_queries(axes: Axes, evaluation: Evaluation, plan: np.ndarray) -> ScalarMappable | None:
    """True positions, and a line from each to its estimate; the estimates for a color bar."""
    results = evaluation.results
    truth = np.array([result.world_from_cam[plan, 3] for result in results])
    circles: dict[str, Any] = {'mfc': 'none', 'mec': INK, 'mew': 0.8, 'ms': 6.0}
    axes.plot(truth[:, 0], truth[:, 1], 'o', label='true poses', zorder=3, **circles)
    lost = truth[[not result.localized for result in results]]
    if len(lost):
        crosses: dict[str, Any] = {'color': FAILURE, 'ms': 7.0, 'mew': 1.8}
        axes.plot(lost[:, 0], lost[:, 1], 'x', label='not localized', zorder=5, **crosses)
    found, errors = [], []
    for true, result in zip(truth, results, strict=True):
        if isinstance(result.answer, Localization):
            found.append(result.answer.world_from_cam[plan, 3])
            errors.append(100.0 * result.meters)
            axes.plot(*np.stack([true, found[-1]]).T, color=INK, linewidth=0.8, zorder=3)
    if not found:
        return None
    x, y = np.array(found).T
    worst = max(float(np.percentile(errors, 95)), LEAST_RANGE_CM)
    style: dict[str, Any] = {'cmap': error_colors(), 'vmin': 0.0, 'vmax': worst, 'linewidths': 0.0}
    return axes.scatter(x, y, 22.0, errors, label='estimates', zorder=4, **style)
