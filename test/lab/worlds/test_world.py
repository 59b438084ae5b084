"""Making worlds: determinism, arrangements, options."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from aceg_ros.lab.worlds import World, WorldOptions, make_world


def test_same_seed_same_world(world: World, small: WorldOptions) -> None:
    again = make_world(4, small)
    assert torch.equal(again.solids.center, world.solids.center)
    assert torch.equal(again.atlas.texels, world.atlas.texels)
    assert torch.equal(again.light_map.luxels, world.light_map.luxels)


def test_other_arrangement_moves_only_loose_things(world: World, small: WorldOptions) -> None:
    moved = make_world(4, dataclasses.replace(small, arrangement=1))
    places = {tuple(row) for row in world.solids.center.tolist()}
    kept = sum(tuple(row) in places for row in moved.solids.center.tolist())
    assert torch.equal(moved.atlas.texels, world.atlas.texels)
    assert 0.4 * len(world.solids) < kept < len(moved.solids)


def test_two_rooms_are_joined() -> None:
    two = make_world(1, WorldOptions(rooms=2, texture_size=64))
    assert two.rooms.shape == (2, 2, 3)
    low, high = two.rooms.unbind(1)
    assert float(low[1, 0] - high[0, 0]) == pytest.approx(0.12, abs=1e-5)


def test_texture_size_must_be_a_power_of_two() -> None:
    with pytest.raises(ValueError, match='power of two'):
        make_world(0, WorldOptions(texture_size=100))
