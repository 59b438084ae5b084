"""A picture of the answers to each trap, the worst first."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from aceg_ros.lab.traps.images import Image
from aceg_ros.lab.traps.trials import Outcome, Trial

_WIDTH, _HEIGHT, _LINE = 240, 180, 20  # px
_COLUMNS = 5
_INK, _RIGHT, _WRONG, _OTHER = (30, 30, 30), (0, 130, 0), (200, 0, 0), (110, 110, 110)


def draw_sheet(outcomes: Sequence[Outcome]) -> Image:
    """One row of images for each trap, (H, W, 3) RGB: wrong poses, then refusals, then the rest."""
    rows = []
    for outcome in outcomes:
        head = np.full((_LINE, _COLUMNS * _WIDTH, 3), 255, np.uint8)
        _write(head, outcome.trap.name, _INK)
        worst = sorted(outcome.trials, key=_order)[:_COLUMNS]
        cells = [_cell(trial) for trial in worst]
        cells += [np.full_like(cells[0], 255)] * (_COLUMNS - len(cells))
        rows += [head, np.hstack(cells)]
    return np.vstack(rows)


def _order(trial: Trial) -> tuple[bool, bool, float]:
    return not trial.wrong, trial.given is not None, -trial.answer.confidence


def _cell(trial: Trial) -> Image:
    color, words = _OTHER, 'inexact'
    if trial.wrong:
        color, words = _WRONG, 'wrong'
    elif trial.right:
        color, words = _RIGHT, 'right'
    elif trial.given is None:
        words = 'refused'
    image = cv2.resize(trial.frame.image(), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    line = np.full((_LINE, _WIDTH, 3), 255, np.uint8)
    _write(line, f'{words}, confidence {trial.answer.confidence:.2f}', color)
    return np.vstack([np.asarray(image, np.uint8), line])


def _write(line: Image, words: str, color: tuple[int, int, int]) -> None:
    cv2.putText(line, words, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, color, 1, cv2.LINE_AA)
