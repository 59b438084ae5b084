"""A map before and after it was brought into another frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aceg_ros.datasets.occupancy import OccupancyGrid
from aceg_ros.evaluation.figures.style import FAILURE, INK, SERIES, figure
from aceg_ros.evaluation.figures.trajectory import draw_keyframes, draw_scene, scene_bounds
from aceg_ros.maps.code import MapCode, world_keyframes, world_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 13.0  # inches


def draw_alignment(
    path: Path,
    before: MapCode,
    after: MapCode,
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
    grid: OccupancyGrid | None = None,
) -> None:
    """Draw the plan of the map ``before`` and ``after``, side by side, to ``path``.

    ``pairs`` are places (N, 3) where the transform puts them and where they were given in the new
    frame, and which of them (N,) agree. Without them, as when a map is brought upright, the
    map is seen from the side. ``grid`` lies under the plan of the new frame.
    """
    with figure(path, _WIDTH, 0.55 * _WIDTH) as drawing:
        for axes, code, title in zip(
            drawing.subplots(1, 2), (before, after), ('before', 'after'), strict=True
        ):
            points3d, keyframes = world_points(code), world_keyframes(code)
            spread = np.ptp(keyframes[:, :2, 3], axis=0)
            plan = np.array([0, 1]) if pairs is not None else np.array([int(spread.argmax()), 2])
            low, high = scene_bounds(points3d, keyframes[:, :3, 3])
            low, high = low[plan], high[plan]
            if title == 'after' and pairs is not None:
                if grid is not None:
                    axes.imshow(grid.image, cmap='gray', extent=grid.extent, vmin=0, vmax=255)
                low, high = _draw_pairs(axes, *pairs, low, high)
            draw_scene(axes, points3d[:, plan], code.colors)
            draw_keyframes(axes, keyframes[:, plan], 0.025 * float(np.hypot(*(high - low))))
            axes.set_xlim(low[0], high[0])
            axes.set_ylim(low[1], high[1])
            axes.set_aspect('equal')
            axes.set_xlabel('xyz'[plan[0]])
            axes.set_ylabel('xyz'[plan[1]])
            axes.set_title(title)
            axes.legend(loc='upper right')


def _draw_pairs(
    axes: Axes,
    moved: np.ndarray,
    given: np.ndarray,
    agreeing: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Given places, with a line to where the transform puts them; corners that hold both."""
    for ours, theirs in zip(moved, given, strict=True):
        axes.plot(*np.stack([ours, theirs])[:, :2].T, color=INK, linewidth=0.8, zorder=4)
    kinds: tuple[tuple[np.ndarray, str, dict[str, Any]], ...] = (
        (agreeing, 'given', {'marker': 'o', 'mfc': 'none', 'color': SERIES[0]}),
        (~agreeing, 'given, left out', {'marker': 'x', 'color': FAILURE}),
    )
    for chosen, label, style in kinds:
        if chosen.any():
            axes.plot(*given[chosen, :2].T, ls='none', ms=5.0, label=label, zorder=5, **style)
    places = given[agreeing, :2]
    return np.minimum(low, places.min(axis=0)), np.maximum(high, places.max(axis=0))
