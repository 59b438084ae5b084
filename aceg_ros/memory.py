"""What to do when a GPU's memory runs out, because other programs use it too: smaller pieces."""

from __future__ import annotations

from collections.abc import Callable

import torch

_LEAST = 64  # rows; less would not help
# Said where work goes on without the GPU, which is the last resort.
ON_THE_CPU = 'the GPU has no memory left, so the work goes on on the CPU, slower'


def in_pieces(
    work: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, most: int
) -> torch.Tensor:
    """``work`` on at most ``most`` of the rows (N, ...) at a time, its results one after another.

    Pieces get smaller when memory runs out. Raises torch.cuda.OutOfMemoryError when small ones do
    not fit either.
    """
    found: list[torch.Tensor] = []
    done = 0
    while done < len(rows) or not found:
        try:
            found.append(work(rows[done : done + most]))
        except torch.cuda.OutOfMemoryError:
            if most <= _LEAST:
                raise
            most //= 2
            torch.cuda.empty_cache()
            continue
        done += most
    return torch.cat(found)
