"""Where the cameras of a dataset were and where they looked, and what agrees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aceg_ros.evaluation.figures.style import (
    FAILURE,
    MUTED,
    draw_color_bar,
    error_colors,
    figure,
)
from aceg_ros.inspection.summary import Inspection, field_of_view

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_WIDTH = 10.5  # inches
_FRUSTUM = 0.05  # of the trajectory's diagonal


def draw_inspection(path: Path, inspection: Inspection) -> None:
    """Draw the trajectory with the views' frusta, seen along its shortest axis, to ``path``.

    Frames are colored by the part of the shared matches that disagrees with their poses. Crosses
    mark lost tracking. Gray frames share nothing with their neighbors.
    """
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.colors import Normalize

    views, consensus = inspection.views, inspection.consensus
    middle = np.median(views.poses[:, :3, 3], axis=0)
    centers = views.poses[:, :3, 3] - middle
    lost = np.zeros(len(centers), bool)
    lost[consensus.lost] = True
    spread = np.ptp(centers[~lost] if (~lost).any() else centers, axis=0)
    plan = np.argsort(-spread, kind='stable')[:2]  # the longest axis across, the next upwards
    shown = centers[:, plan]
    widths = np.array([field_of_view(frame.camera)[0] for frame in views.frames])
    size = _FRUSTUM * max(float(np.hypot(*spread[plan])), 1e-6)
    triangles = _frusta(views.poses, widths, plan, shown, size)
    low, high = _bounds((triangles[~lost] if (~lost).any() else triangles).reshape(-1, 2))
    disagreement = 1.0 - consensus.agreement
    known = np.isfinite(disagreement)
    height = float(np.clip(0.9 * _WIDTH * (high - low)[1] / (high - low)[0], 4.5, _WIDTH))
    with figure(path, _WIDTH, height, 'compressed') as drawing:
        axes = drawing.add_subplot()
        axes.plot(*shown[~lost].T, color=MUTED, linewidth=0.8, zorder=1)
        norm = Normalize(0.0, 1.0)
        for chosen, color in ((known & ~lost, None), (~known & ~lost, MUTED)):
            style: dict[str, Any] = {'alpha': 0.35, 'linewidths': 0.0, 'zorder': 2}
            areas = PolyCollection(list(triangles[chosen]), **style)
            edges = LineCollection(list(triangles[chosen][:, [0, 1, 2, 0]]), linewidths=0.8)
            for part in (areas, edges):
                if color is None:
                    part.set_cmap(error_colors())
                    part.set_norm(norm)
                    part.set_array(disagreement[chosen])
                else:
                    part.set_color(color)
                axes.add_collection(part)
            if color is None and chosen.any():
                draw_color_bar(
                    drawing, edges, axes, 'right', 'part of shared matches that disagrees'
                )
        _draw_lost(axes, shown[lost], low, high)
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(low[1], high[1])
        axes.set_aspect('equal')
        for set_label, axis in ((axes.set_xlabel, plan[0]), (axes.set_ylabel, plan[1])):
            offset = f', from {middle[axis]:.0f}' if abs(middle[axis]) > 1000.0 else ''
            set_label(f'{"xyz"[axis]}, unit of the poses{offset}')
        axes.set_title(f'{inspection.summary.name}: {len(centers)} frames')
        if lost.any() or (~known).any():
            handles, words = _legend(lost, known)
            drawing.legend(handles, words, loc='outside upper right', ncols=2)


def _bounds(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (2,) of a box around places (N, 2), with a margin."""
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.03 * max(float((high - low).max()), 1e-6)
    return low - margin, high + margin


def _frusta(
    poses: np.ndarray, degrees: np.ndarray, plan: np.ndarray, centers: np.ndarray, size: float
) -> np.ndarray:
    """Triangles (N, 3, 2) from each center (N, 2) to both sides of the view, ``size`` long."""
    half = np.tan(np.radians(np.clip(np.nan_to_num(degrees, nan=60.0), 10.0, 120.0) / 2))
    sides = [
        size * (poses[:, plan, 2] + sign * half[:, None] * poses[:, plan, 0]) for sign in (-1, 1)
    ]
    return np.stack([centers, centers + sides[0], centers + sides[1]], axis=1)


def _draw_lost(axes: Axes, places: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Crosses; those outside of the picture stand at its border."""
    inside = np.clip(places, low + 0.02 * (high - low), high - 0.02 * (high - low))
    axes.plot(*inside.T, 'x', color=FAILURE, markersize=7.0, markeredgewidth=1.8, zorder=4)


def _legend(lost: np.ndarray, known: np.ndarray) -> tuple[list[Artist], list[str]]:
    from matplotlib.lines import Line2D

    handles: list[Artist] = []
    words = []
    if lost.any():
        handles.append(Line2D([], [], marker='x', color=FAILURE, linestyle='none'))
        words.append(f'tracking lost ({int(lost.sum())})')
    if (~known & ~lost).any():
        handles.append(Line2D([], [], marker='^', color=MUTED, linestyle='none'))
        words.append(f'shares nothing with its neighbors ({int((~known & ~lost).sum())})')
    return handles, words
