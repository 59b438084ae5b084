"""Errors of poses along a trajectory beside what is claimed, alone and behind a filter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aceg_ros.evaluation.figures.style import INK, SERIES, figure
from aceg_ros.evaluation.filter import Run
from aceg_ros.evaluation.metrics import FrameResult
from aceg_ros.localization.result import Localization


def draw_filter(path: Path, results: Sequence[FrameResult], runs: Sequence[Run]) -> None:
    """Draw position errors over time: of `results` in order of time, and of the filter's `runs`."""
    known = [(r, r.answer) for r in results if isinstance(r.answer, Localization)]
    first = results[0].frame.stamp
    times = np.array([r.frame.stamp for r, _ in known]) - first
    errors = np.array([100.0 * r.meters for r, _ in known])
    claimed = 100.0 * np.array([_deviation(answer) for _, answer in known])
    with figure(path, 10.5, 6.0) as drawing:
        above, below = drawing.subplots(2, 1, sharex=True)
        above.plot(times, errors, '.', color=INK, markersize=4.0, label='error')
        above.plot(times, 2 * claimed, color=SERIES[0], linewidth=1.2, label='two deviations')
        above.set_title('Poses')
        filtered = np.array([r.frame.stamp for r in results]) - first
        for run, color in zip(runs, SERIES, strict=False):
            along = 100.0 * np.linalg.norm(run.errors[0, :, :3], axis=1)
            label = f'covariances: {run.name} ({100.0 * run.rms[0]:.1f} cm)'
            below.plot(filtered[-len(along) :], along, color=color, linewidth=1.4, label=label)
        below.set_title('Filter')
        below.set_xlabel('time (s)')
        for axes in (above, below):
            axes.set_yscale('log')
            axes.set_ylabel('position error (cm)')
            axes.legend()


def _deviation(answer: Localization) -> float:
    """Of the position in any direction, m."""
    return float(np.sqrt(np.trace(answer.covariance[:3, :3])))
