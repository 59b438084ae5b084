"""Whether sigma is what it claims to be, and how large errors are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from aceg_ros.evaluation.figures.style import MUTED, SERIES, figure
from aceg_ros.lab.pretraining.evaluation import PatchErrors


def draw_coverage(path: Path, readers: Mapping[str, PatchErrors]) -> None:
    """Draw, for each reader, how many patches lie within intervals, and within how many cm."""
    nominal = np.linspace(0.02, 0.98, 49)
    with figure(path, 10.5, 4.6) as drawing:
        left, right = drawing.subplots(1, 2)
        left.plot([0, 100], [0, 100], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        for (name, errors), color in zip(readers.items(), SERIES, strict=False):
            left.plot(100 * nominal, 100 * errors.coverage(nominal), color=color, label=name)
            cm = np.sort(100 * errors.meters)
            part = 100 * np.arange(1, len(cm) + 1) / len(cm)
            step = max(len(cm) // 2000, 1)
            right.plot(cm[::step], part[::step], color=color, label=name)
        left.set_title('Calibration of sigma, in the image')
        left.set_xlabel('interval claimed (%)')
        left.set_ylabel('patches within it (%)')
        left.legend(frameon=False)
        right.set_title('Error in 3D')
        right.set_xscale('log')
        right.set_xlim(0.5, 500)
        right.set_ylim(0, 100)
        right.set_xlabel('error (cm)')
        right.set_ylabel('patches with less (%)')
