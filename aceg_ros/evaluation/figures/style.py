"""What all pictures have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

INK, MUTED, GRID_LINE = '#1d2733', '#6b7885', '#e3e8ed'
SERIES = ('#0b7fab', '#e07b1a', '#3a9a5c', '#8a5fb0', '#b0483f')
FAILURE = '#d43d51'
_NONE_TO_LARGE = ('#1fb978', '#f2c12e', '#e8483f')  # stands out on any photograph
_DPI = 130
_STYLE: Any = {
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


@contextmanager
def figure(
    path: Path,
    width: float,
    height: float,
    layout: Literal['constrained', 'compressed'] = 'constrained',
) -> Iterator[Figure]:
    """Give a figure of `width` by `height` inches that is saved to `path` in the end."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        canvas = FigureCanvasAgg(Figure(figsize=(width, height), layout=layout))
        yield canvas.figure
        canvas.figure.savefig(path, dpi=_DPI, facecolor='white')


def error_colors() -> Colormap:
    """Colors of errors, from none to large."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list('errors', _NONE_TO_LARGE)


def draw_color_bar(
    drawing: Figure,
    shown: ScalarMappable,
    axes: Axes | np.ndarray,
    location: str,
    label: str,
    extend: str = 'max',
) -> None:
    """Say what the colors of `shown` mean, at the `location` ('right', 'bottom') of the axes.

    `extend` tells at which end there are values beyond the colors, as Matplotlib has it.
    """
    bar = drawing.colorbar(
        shown,
        ax=axes,
        location=location,
        label=label,
        shrink=0.5,
        aspect=40,
        pad=0.02,
        extend=extend,
        extendfrac=0.02,
    )
    bar.outline.set_visible(False)
