"""From where, and in which directions, a map finds a camera, seen from above."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aceg_ros.evaluation.figures.style import draw_color_bar, figure
from aceg_ros.evaluation.figures.trajectory import draw_keyframes, draw_scene
from aceg_ros.maps.coverage import CoveragePlan

_WIDTH = 9.0  # inches


def draw_coverage(
    path: Path, plan: CoveragePlan, keyframes: np.ndarray, points3d: np.ndarray, colors: np.ndarray
) -> None:
    """Draw a rose at each place; a petal's color is the chance to be found looking that way.

    ``keyframes`` (K, 4, 4) world_from_cam, ``points3d`` (N, 3) with ``colors`` (N, 3) uint8.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Wedge

    centers = plan.places @ plan.axes.T
    ways = plan.directions @ plan.axes.T
    half = 180.0 / len(ways)
    angles = np.degrees(np.arctan2(ways[:, 1], ways[:, 0]))
    petals = [
        Wedge((x, y), 0.46 * plan.step, angle - half, angle + half)
        for x, y in centers
        for angle in angles
    ]
    low, high = centers.min(axis=0) - plan.step, centers.max(axis=0) + plan.step
    across, upwards = high - low
    height = float(np.clip(_WIDTH * upwards / across, 4.0, _WIDTH))
    with figure(path, _WIDTH, height, 'compressed') as drawing:
        axes = drawing.add_subplot()
        draw_scene(axes, points3d @ plan.axes.T, colors)
        shown = PatchCollection(petals, cmap='RdYlGn', linewidths=0.0, alpha=0.85, zorder=2)
        shown.set_array(plan.chance.reshape(-1))
        shown.set_clim(0.0, 1.0)
        axes.add_collection(shown)
        flat = np.einsum('ij,kjl->kil', plan.axes, keyframes[:, :3])
        draw_keyframes(axes, flat, 0.6 * plan.step)
        draw_color_bar(
            drawing, shown, axes, 'right', 'chance to be found, looking that way', 'neither'
        )
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(low[1], high[1])
        axes.set_aspect('equal')
        for axis, name in zip(plan.axes, ('xlabel', 'ylabel'), strict=True):
            axes.set(**{name: _axis_name(axis)})
        drawing.legend(loc='outside upper center')


def _axis_name(axis: np.ndarray) -> str:
    """Of the map's axis along a unit vector, if there is one."""
    index = int(np.abs(axis).argmax())
    if abs(axis[index]) < 0.999:
        return 'm'
    return f'{"-" if axis[index] < 0 else ""}{"xyz"[index]} (m)'
