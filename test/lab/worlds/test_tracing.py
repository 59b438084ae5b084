"""Nearest hits: the culled search equals trying everything."""

from __future__ import annotations

import math

import pytest
import torch

from aceg_ros.lab.worlds import World
from aceg_ros.lab.worlds.primitives import Kind, entry_distance
from aceg_ros.lab.worlds.tracing import RayGroups, bounding_planes, trace


def _brute(world: World, rays: RayGroups) -> tuple[torch.Tensor, torch.Tensor]:
    best = torch.full((rays.direction.shape[0], rays.direction.shape[2]), math.inf)
    index = torch.full_like(best, -1, dtype=torch.int64)
    kinds, to_unit = world.solids.kinds().tolist(), world.solids.to_unit()
    for number, kind in enumerate(kinds):
        offset = rays.origins[rays.which] - world.solids.center[number]
        origin = (to_unit[number] @ offset.T).T[:, :, None]
        near = entry_distance(Kind(kind), origin, to_unit[number] @ rays.direction + 1e-9)
        index = torch.where(near < best, number, index)
        best = torch.minimum(best, near)
    return best, index


@pytest.mark.parametrize('spread', [0.05, 0.5, 20.0])
def test_trace_equals_brute_force(world: World, spread: float) -> None:
    generator = torch.Generator().manual_seed(3)
    middle = world.rooms[0].mean(0)
    origins = middle + 0.5 * torch.randn((3, 3), generator=generator) * torch.tensor(
        [1.0, 1.0, 0.3]
    )
    which = torch.arange(60) % 3
    axis = torch.nn.functional.normalize(torch.randn((60, 3, 1), generator=generator), dim=1)
    noise = spread * torch.randn((60, 3, 40), generator=generator)
    direction = torch.nn.functional.normalize(axis + noise, dim=1)
    rays = RayGroups(origins, which, direction, bounding_planes(direction))
    t, index = trace(world.solids, rays)
    expected_t, expected_index = _brute(world, rays)
    torch.testing.assert_close(t, expected_t, rtol=1e-4, atol=1e-4)
    assert (index == expected_index).float().mean() > 0.999


def test_limit_hides_what_is_farther(bare: World) -> None:
    direction = torch.tensor([[[1.0], [0.0], [0.0]]])
    rays = RayGroups(
        torch.tensor([[-1.5, 0.0, 0.5]]), torch.tensor([0]), direction, bounding_planes(direction)
    )
    near, far = torch.tensor([[0.9]]), torch.tensor([[1.1]])
    assert int(trace(bare.solids, rays, near)[1]) == -1
    assert float(trace(bare.solids, rays, far)[0]) == pytest.approx(1.0, abs=1e-5)
