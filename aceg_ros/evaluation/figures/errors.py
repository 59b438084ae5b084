"""How many frames reach which accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aceg_ros.evaluation.figures.style import MUTED, SERIES, figure
from aceg_ros.evaluation.metrics import RECALL_CM, RECALL_DEG, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_errors(path: Path, evaluation: Evaluation) -> None:
    """Draw which part of all frames has less than which error, in cm and in degrees."""
    cm = 100.0 * np.array([result.meters for result in evaluation.results])
    degrees = np.array([result.degrees for result in evaluation.results])
    with figure(path, 10.5, 4.2) as drawing:
        left, right = drawing.subplots(1, 2, sharey=True)
        _draw_cumulative(left, cm, RECALL_CM, ' cm', SERIES[0])
        _draw_cumulative(right, degrees, (1.0, RECALL_DEG), '°', SERIES[1])
        left.set_title('Position')
        right.set_title('Rotation')
        left.set_xlabel('position error (cm)')
        right.set_xlabel('rotation error (degrees)')
        left.set_ylabel('frames with less error (%)')


def _draw_cumulative(
    axes: Axes, errors: np.ndarray, limits: Sequence[float], unit: str, color: str
) -> None:
    """A step curve over a logarithmic axis, with what it reaches at `limits`."""
    from matplotlib.ticker import LogLocator, NullLocator

    finite = np.sort(errors[np.isfinite(errors)])
    shown = np.concatenate([finite, limits])
    low, high = 0.5 * max(float(shown.min()), 1e-3), 2.0 * float(shown.max())
    reached = 100.0 * np.arange(len(finite) + 1) / len(errors)
    steps = np.concatenate([[low], finite, [high]])
    axes.step(steps, np.append(reached, reached[-1]), where='post', color=color, linewidth=2.2)
    for limit in limits:
        axes.axvline(limit, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            f'{limit:g}{unit}: {100.0 * float(np.mean(errors < limit)):.0f} %',
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
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(low, high)
    axes.set_ylim(0.0, 103.0)
