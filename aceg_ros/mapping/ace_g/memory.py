"""What fits into memory: pieces a batch is cut into, and where the buffer lies.

A batch is one step whatever the pieces, so a small GPU gives the same map, only later.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from aceg_ros.errors import FitError
from aceg_ros.mapping.ace_g.schedule import AceGSchedule
from aceg_ros.regressor.ace_g import AceGConfig

GB = 1e9
_RESERVE = 1.0 * GB  # CUDA's own, and the encoder at work on one image
_FOR_BATCH = 0.5  # of what the networks leave
_FOR_BUFFER = 0.45
_LEAST_PIECE = 64
_OF_HOST = 0.6  # of the free memory of the computer
# Bytes kept for the backward pass, by patch, block and number of the code's width: 36 are measured
# in full precision, the rest is for what is in between.
_KEPT = 48
_ROW = 2 * 4 + 4  # target and view of a patch in the buffer


@dataclass(frozen=True)
class MemoryPlan:
    """How a schedule is run."""

    piece: int  # patches that go through the network at once
    buffer: int  # patches; fewer than the schedule's where nothing holds those
    buffer_on_device: bool

    def note(self, schedule: AceGSchedule) -> str:
        """What differs from the schedule as written, in words; empty when nothing does."""
        if self.buffer >= schedule.buffer:
            return ''
        return (
            f'the buffer has {self.buffer} patches instead of {schedule.buffer}: more memory would '
            'hold them all'
        )


def plan_memory(
    schedule: AceGSchedule,
    config: AceGConfig,
    networks: int,
    device: torch.device,
    memory: float,
    host: float,
) -> MemoryPlan:
    """Divide ``memory`` GB of the device and ``host`` GB of the computer; they are one on a CPU.

    ``networks`` is the bytes of encoder and regressor. Raises FitError when that is too little.
    """
    patch = _KEPT * config.blocks * config.dim + 12 * config.dim_in
    row = 2 * config.dim_in + _ROW
    left = memory * GB - networks - (_RESERVE if device.type == 'cuda' else 0.0)
    piece = min(int(_FOR_BATCH * left / patch), schedule.batch)
    if piece < min(_LEAST_PIECE, schedule.batch):
        needed = (networks + _RESERVE + _LEAST_PIECE * patch / _FOR_BATCH) / GB
        raise FitError(
            f'{memory:.1f} GB of memory do not hold the networks and a piece of a batch, for which '
            f'{needed:.1f} GB are needed: free some, or map on another device'
        )
    on_device = device.type != 'cuda' or schedule.buffer * row <= _FOR_BUFFER * left
    room = _FOR_BUFFER * left if on_device else _OF_HOST * host * GB
    buffer = min(schedule.buffer, int(room / row))
    return MemoryPlan(piece, max(buffer, 1), on_device)


def free_memory(device: torch.device) -> float:
    """GB that are free on a device."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0] / GB
    return free_host_memory()


def free_host_memory() -> float:
    """GB of the computer's memory that programs can still have; 4 where it does not say."""
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if 'MemAvailable' in line) / GB
    except (OSError, StopIteration, ValueError):
        return 4.0
