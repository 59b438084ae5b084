"""The active pool: scenes whose codes are being fitted, each for a while, then from scratch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from aceg_ros.lab.pretraining.codes import RATES, LearnedCode
from aceg_ros.lab.pretraining.config import RANDOM, ScheduleOptions
from aceg_ros.lab.pretraining.shards import SceneBuffer, ViewBuffer, read_scene
from aceg_ros.regressor.anchored import AnchoredTensors


@dataclass
class ActiveScene:
    """A scene in the pool and its code so far."""

    turn: int  # how many scenes were here before it
    age: int  # mapping iterations its code has had, and those it was admitted with
    buffer: SceneBuffer
    code: LearnedCode
    optimizer: torch.optim.Adam

    def hidden(self) -> torch.Tensor:
        """(2 K, n) bool: the tokens each mapping view may not read."""
        return self.buffer.hidden[:, self.buffer.owner]


class Pool:
    """Places 0 to ``options.pool``; slot s of the schedule has every slots-th of them from s on.

    Which scene is at a place follows from the seed and from how many were there before it alone,
    so it does not matter which process holds the place.
    """

    def __init__(
        self,
        files: list[Path],
        options: ScheduleOptions,
        slots: list[int],
        device: torch.device,
    ):
        self._files = files[: options.scenes] if options.scenes else files
        self._options, self._device = options, device
        places = [p for p in range(options.pool) if p % options.slots in slots]
        self._active: dict[int, ActiveScene] = {}
        for place in places:
            # ages differ, or all scenes would be left at once
            age = place * options.life // options.pool
            self._active[place] = self._admit(place, 0, age)

    def scene(self, slot: int, generator: torch.Generator) -> ActiveScene:
        """One of a slot's scenes."""
        places = range(slot, self._options.pool, self._options.slots)
        chosen = places[int(torch.randint(len(places), (), generator=generator))]
        active = self._active[chosen]
        if active.age >= self._options.life:
            active = self._active[chosen] = self._admit(chosen, active.turn + 1, 0)
        return active

    def state(self) -> dict[str, Any]:
        """What resuming needs; the buffers are read again."""
        return {
            str(place): {
                'turn': active.turn,
                'age': active.age,
                'name': active.buffer.name,
                'code': active.code.state_dict(),
                'optimizer': active.optimizer.state_dict(),
            }
            for place, active in self._active.items()
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Back to a state of `state`; raises ValueError when the scenes are not those of then."""
        for place, saved in state.items():
            active = self._admit(int(place), saved['turn'], saved['age'])
            if active.buffer.name != saved['name']:
                raise ValueError(f'the scenes have changed: {saved["name"]} is missing')
            active.code.load_state_dict(saved['code'])
            active.optimizer.load_state_dict(saved['optimizer'])
            self._active[int(place)] = active

    def _admit(self, place: int, turn: int, age: int) -> ActiveScene:
        options = self._options
        # rounds through all scenes, each in another order
        number = turn * options.pool + place
        lap, position = divmod(number, len(self._files))
        shuffle = torch.Generator().manual_seed(options.seed * 1_000_003 + lap)
        order = torch.randperm(len(self._files), generator=shuffle)
        buffer = _to(read_scene(self._files[int(order[position])]), self._device)
        if options.start == RANDOM:
            buffer, start = _without_code(buffer, shuffle)
        else:
            start = buffer.start(options.start)
        code = LearnedCode(start, buffer.origins).to(self._device)
        groups = [
            {'params': [getattr(code, name)], 'lr': rate * options.code_rate}
            for name, rate in RATES.items()
        ]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        return ActiveScene(turn, age, buffer, code, optimizer)


def _without_code(
    buffer: SceneBuffer, generator: torch.Generator
) -> tuple[SceneBuffer, AnchoredTensors]:
    """The scene with a code that knows nothing of it.

    Keys are random, anchors lie on random viewing rays at the scene's median depth.
    """
    views, count = buffer.mapping, len(buffer.owner)
    row = torch.randint(len(views.rays), (count,), generator=generator).to(views.rays.device)
    view = torch.searchsorted(views.starts, row, right=True) - 1
    origins = views.centers[view]
    keys = torch.randn(buffer.fitted.embeddings.shape, generator=generator).to(origins)
    start = AnchoredTensors(
        F.normalize(keys, dim=1),
        origins + buffer.depth * views.rays[row],
        origins.new_full((count,), math.log(buffer.depth)),
        origins.new_zeros(count),
    )
    return replace(buffer, owner=view // 2, origins=origins), start


def _to(buffer: SceneBuffer, device: torch.device) -> SceneBuffer:
    def moved(part: Any) -> Any:
        if isinstance(part, torch.Tensor):
            return part.to(device)
        if isinstance(part, (AnchoredTensors, ViewBuffer)):
            return type(part)(*(moved(inner) for inner in vars(part).values()))
        return part

    return SceneBuffer(*(moved(getattr(buffer, entry.name)) for entry in fields(SceneBuffer)))
