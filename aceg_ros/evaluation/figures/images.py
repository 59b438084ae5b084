"""What poses rest on: inliers in the query images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aceg_ros.evaluation.figures.style import FAILURE, draw_color_bar, error_colors, figure
from aceg_ros.evaluation.metrics import FrameResult
from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.localization.result import Localization
from aceg_ros.maps.code import KnownCamera

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

COLUMNS = 3
IMAGE_WIDTH = 4.6  # inches
LARGE_PX = 6.0  # reprojection error at the end of the colors


def draw_images(
    path: Path,
    results: Sequence[FrameResult],
    known: Callable[[FrameResult], KnownCamera] | None = None,
) -> None:
    """Draw images with their inliers (dots) and where the map puts these at the pose (rings).

    ``known`` tells the camera of a result as its map knows it; by default as it is given.
    """
    known = known or (lambda result: KnownCamera(result.frame.camera))
    rows = -(-len(results) // COLUMNS)
    shapes = [result.frame.camera for result in results]
    tallest = max(camera.height / camera.width for camera in shapes)
    height = rows * (IMAGE_WIDTH * tallest + 0.35) + 0.6
    with figure(path, IMAGE_WIDTH * COLUMNS, height) as drawing:
        grid = drawing.subplots(rows, COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        shown = [
            _draw_image(axes, result, known(result))
            for axes, result in zip(grid.flat, results, strict=False)
        ]
        colored = [points for points in shown if points is not None]
        if colored:
            label = 'reprojection error of the inliers (px)'
            draw_color_bar(drawing, colored[0], grid, 'bottom', label)


def _draw_image(axes: Axes, result: FrameResult, known: KnownCamera) -> ScalarMappable | None:
    """One image with its points, which are returned for a color bar."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    image = result.frame.image()
    axes.imshow(image, interpolation='antialiased')
    answer = result.answer
    if not isinstance(answer, Localization):
        axes.set_title(f'{result.frame.name}: {answer.reason}', color=FAILURE, fontsize=10)
        return None
    seen = answer.points2d[answer.inliers]
    cam_from_world = inverse(answer.world_from_cam @ known.given_from_cam)
    expected = known.camera.project(
        transform_points(cam_from_world, answer.points3d[answer.inliers])
    )
    axes.set_title(
        f'{result.frame.name}: {100 * result.meters:.1f} cm, {result.degrees:.2f}°, '
        f'{len(seen)} inliers',
        fontsize=10,
    )
    errors = np.linalg.norm(expected - seen, axis=1)
    style: dict[str, Any] = {'cmap': error_colors(), 'norm': Normalize(0.0, LARGE_PX)}
    lines = LineCollection(list(np.stack([seen, expected], axis=1)), linewidths=1.2, **style)
    lines.set_array(errors)
    axes.add_collection(lines)
    rings = axes.scatter(expected[:, 0], expected[:, 1], 20.0, errors, linewidths=0.9, **style)
    rings.set_facecolor('none')
    axes.set_xlim(-0.5, image.shape[1] - 0.5)
    axes.set_ylim(image.shape[0] - 0.5, -0.5)
    return axes.scatter(seen[:, 0], seen[:, 1], 9.0, errors, linewidths=0.0, **style)
