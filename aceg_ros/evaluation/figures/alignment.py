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
    spread = np.ptp(world_keyframes(before)[:, :2, 3], axis=0)
    plan = np.array([0, 1]) if pairs is not None else np.array([int(spread.argmax()), 2])
    corners = []
    for code in (before, after):
        low, high = scene_bounds(world_points(code), world_keyframes(code)[:, :3, 3])
        corners.append((low[plan], high[plan]))
    if pairs is not None:
        low, high = corners[1]
        places = pairs[1][pairs[2]][:, plan]
        corners[1] = np.minimum(low, places.min(axis=0)), np.maximum(high, places.max(axis=0))
    tallest = max((high - low)[1] / (high - low)[0] for low, high in corners)
    height = float(np.clip(0.45 * _WIDTH * tallest, 3.0, 0.7 * _WIDTH))
    with figure(path, _WIDTH, height, 'compressed') as drawing:
        panels = drawing.subplots(1, 2)
        for axes, code, (low, high) in zip(panels, (before, after), corners, strict=True):
            draw_scene(axes, world_points(code)[:, plan], code.colors)
            size = 0.025 * float(np.hypot(*(high - low)))
            draw_keyframes(axes, world_keyframes(code)[:, plan], size)
            axes.set_xlim(low[0], high[0])
            axes.set_ylim(low[1], high[1])
            axes.set_aspect('equal')
            axes.set_xlabel('xyz'[plan[0]])
            axes.set_ylabel('xyz'[plan[1]])
        panels[0].set_title('before')
        panels[1].set_title('after')
        if pairs is not None:
            if grid is not None:
                panels[1].imshow(
                    grid.image,
                    cmap='gray',
                    extent=grid.extent,
                    vmin=0,
                    vmax=255,
                    zorder=0,
                    interpolation='nearest',
                )
                panels[1].set_xlim(corners[1][0][0], corners[1][1][0])
                panels[1].set_ylim(corners[1][0][1], corners[1][1][1])
            _draw_pairs(panels[1], *pairs)
        drawing.legend(*panels[1].get_legend_handles_labels(), loc='outside upper right', ncols=3)


def _draw_pairs(axes: Axes, moved: np.ndarray, given: np.ndarray, agreeing: np.ndarray) -> None:
    """Given places, with a line to where the transform puts them."""
    for ours, theirs in zip(moved, given, strict=True):
        axes.plot(*np.stack([ours, theirs])[:, :2].T, color=INK, linewidth=0.8, zorder=4)
    kinds: tuple[tuple[np.ndarray, str, dict[str, Any]], ...] = (
        (agreeing, 'given', {'marker': 'o', 'mfc': 'none', 'color': SERIES[0]}),
        (~agreeing, 'given, left out', {'marker': 'x', 'color': FAILURE}),
    )
    for chosen, label, style in kinds:
        if chosen.any():
            axes.plot(*given[chosen, :2].T, ls='none', ms=5.0, label=label, zorder=5, **style)
