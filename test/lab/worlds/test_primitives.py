"""Solids: ray entry and surface coordinates."""

from __future__ import annotations

import math

import pytest
import torch

from aceg_ros.lab.worlds.primitives import Kind, entry_distance, face_coordinates, surface_point


def _entry(kind: Kind, origin: list[float], direction: list[float]) -> float:
    o = torch.tensor(origin, dtype=torch.float32).view(1, 3, 1)
    d = torch.tensor(direction, dtype=torch.float32).view(1, 3, 1) + 1e-9
    return float(entry_distance(kind, o, d))


class TestEntryDistance:
    @pytest.mark.parametrize(
        ('kind', 'origin', 'direction', 'expected'),
        [
            (Kind.BOX, [-3, 0.2, 0.1], [1, 0, 0], 2.0),
            (Kind.BOX, [-3, 0, -3], [1, 0, 1], 2.0),
            (Kind.CYLINDER, [-3, 0.6, 0], [1, 0, 0], 3 - 0.8),
            (Kind.CYLINDER, [0.3, 0.3, 5], [0, 0, -1], 4.0),
            (Kind.ELLIPSOID, [0, -4, 0.6], [0, 1, 0], 4 - 0.8),
        ],
    )
    def test_agrees_with_hand_calculation(
        self, kind: Kind, origin: list[float], direction: list[float], expected: float
    ) -> None:
        assert _entry(kind, origin, direction) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize('kind', list(Kind))
    def test_misses_what_is_beside_behind_or_around(self, kind: Kind) -> None:
        assert _entry(kind, [-3, 1.1, 0], [1, 0, 0]) == math.inf
        assert _entry(kind, [3, 0, 0], [1, 0, 0]) == math.inf
        assert _entry(kind, [0, 0, 0], [1, 0, 0]) == math.inf

    def test_round_shapes_do_not_fill_their_boxes(self) -> None:
        assert _entry(Kind.CYLINDER, [-3, 0.9, 0], [1, 0.09, 0]) == math.inf
        assert _entry(Kind.ELLIPSOID, [0.8, 0.8, 5], [0, 0, -1]) == math.inf


class TestFaceCoordinates:
    @pytest.mark.parametrize(
        ('kind', 'face'),
        [(Kind.BOX, f) for f in range(6)]
        + [(Kind.CYLINDER, f) for f in (0, 4, 5)]
        + [(Kind.ELLIPSOID, 0)],
    )
    def test_inverts_surface_point(self, kind: Kind, face: int) -> None:
        uv = torch.rand((50, 2), generator=torch.Generator().manual_seed(1)) * 0.7 + 0.15
        points, normals = surface_point(kind, face, uv)
        found, found_uv, found_normal = face_coordinates(torch.full((50,), int(kind)), points.T)
        assert (found == face).all()
        torch.testing.assert_close(found_uv.T, uv, atol=1e-5, rtol=0)
        torch.testing.assert_close(found_normal.T, normals, atol=1e-5, rtol=0)

    def test_front_is_not_mirrored(self) -> None:
        # Someone who looks at the +y face from outside, z up, has -x on the right.
        right = torch.tensor([[-0.5], [1.0], [0.0]])
        _, uv, _ = face_coordinates(torch.tensor([0]), right)
        assert float(uv[0, 0]) == pytest.approx(0.75)
