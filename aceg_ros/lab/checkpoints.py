"""Checkpoints of trainings: written whole or not at all, and resumed or refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from aceg_ros.errors import WeightsError


def save_checkpoint(
    path: Path, state: dict[str, Any], written: Callable[[], object] = lambda: None
) -> None:
    """Write ``state`` beside ``path``, call ``written``, and only then replace what is at ``path``.

    ``written`` is where several processes wait for each other.
    """
    partial = path.with_name(path.name + '.partial')
    partial.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, partial)
    written()
    os.replace(partial, path)


@contextmanager
def resumed(path: Path) -> Iterator[dict[str, Any] | None]:
    """The state at ``path``, or None where there is no checkpoint.

    Raises WeightsError if it cannot be read, and for whatever fails while it is taken over.
    """
    if not path.exists():
        yield None
        return
    try:
        yield torch.load(path, weights_only=True)
    except Exception as error:
        raise WeightsError(
            f'{path} cannot be resumed ({error}); remove it to start the training afresh'
        ) from error
