"""Convex solids (boxes, cylinders, ellipsoids): ray entry, distance, texture coordinates.

Every solid is a unit shape in its own frame, stretched by `half` and placed by `axes` and `center`.
Solids of one kind are stored next to each other in the order of `Kind`. The six faces of a solid
are +x, -x, +y, -y, +z, -z of its frame; a cylinder (axis z) uses face 0 for its side and 4, 5 for
its caps, an ellipsoid face 0 only.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import torch
from torch import Tensor

FACES = 6


class Kind(enum.IntEnum):
    """Shape of a solid."""

    BOX = 0
    CYLINDER = 1
    ELLIPSOID = 2


@dataclass(frozen=True)
class Primitives:
    """N solids.

    center: (N, 3) m, world frame. axes: (N, 3, 3), row i is local axis i in the world frame. half:
    (N, 3) m, half extents along the local axes. counts: how many solids there are of each `Kind`,
    in that order.
    """

    center: Tensor
    axes: Tensor
    half: Tensor
    counts: tuple[int, int, int]

    def __len__(self) -> int:
        return int(self.center.shape[0])

    def of_kind(self, kind: Kind) -> tuple[int, Primitives]:
        """Index of the first solid of `kind`, and the solids of that kind."""
        first = sum(self.counts[:kind])
        part = slice(first, first + self.counts[kind])
        counts = tuple(n if k == kind else 0 for k, n in enumerate(self.counts))
        return first, Primitives(self.center[part], self.axes[part], self.half[part], counts)  # type: ignore[arg-type]

    def to_unit(self) -> Tensor:
        """(N, 3, 3) linear maps from world directions to the unit shapes' frames."""
        return self.axes / self.half[:, :, None]

    def kinds(self) -> Tensor:
        """(N,) the `Kind` of each solid."""
        counts = torch.tensor(self.counts, device=self.center.device)
        return torch.repeat_interleave(torch.arange(3, device=self.center.device), counts)

    def distance(self, points: Tensor) -> Tensor:
        """(M, N) meters from points (M, 3) to the solids' bounding boxes, 0 inside them."""
        offset = (points[:, None] - self.center)[:, :, None, :]
        local = (offset * self.axes).sum(-1).abs()
        return (local - self.half).clamp_min(0).norm(dim=-1)


def entry_distance(kind: Kind, origin: Tensor, direction: Tensor) -> Tensor:
    """Ray parameter at which rays enter the unit shape.

    origin: (n, 3, 1) and direction: (n, 3, R), both in the unit frame. Returns (n, R), inf where a
    ray misses or starts behind or inside the shape. Slab method for the flat sides, the quadratic
    for the round ones.
    """
    if kind == Kind.BOX:
        inverse = direction.reciprocal()
        middle = -origin * inverse
        reach = inverse.abs_()
        low, high = (middle - reach).unbind(1), middle.add_(reach).unbind(1)
        near = torch.maximum(torch.maximum(low[0], low[1]), low[2])
        far = torch.minimum(torch.minimum(high[0], high[1]), high[2])
        return near.masked_fill_((near > far) | (near <= 0), math.inf)
    round_axes = 2 if kind == Kind.CYLINDER else 3
    d, o = direction[:, :round_axes], origin[:, :round_axes]
    a = d.square().sum(1).clamp_min(1e-12)
    b = (d * o).sum(1)
    discriminant = b.square() - a * (o.square().sum(1) - 1)
    root = discriminant.clamp_min(0).sqrt()
    near, far = (-b - root) / a, (-b + root) / a
    if kind == Kind.CYLINDER:
        inverse = direction[:, 2].reciprocal()
        middle, reach = -origin[:, 2] * inverse, inverse.abs()
        near, far = torch.maximum(near, middle - reach), torch.minimum(far, middle + reach)
    return near.masked_fill_((discriminant < 0) | (near > far) | (near <= 0), math.inf)


def face_coordinates(kinds: Tensor, unit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Face and texture coordinates of surface points.

    kinds: (P,) `Kind` values, unit: (3, P) points in the unit frames. Returns face (P,) in 0..5, uv
    (2, P) in [0, 1], u to the right and v downwards for someone outside who sees local z upwards,
    and the outward normal (3, P) of the unit shape (to be divided by `half` and normalized for the
    solid).
    """
    x, y, z = unit.unbind(0)
    size_x, size_y, size_z = unit.abs().unbind(0)
    flat_z = size_z >= torch.maximum(size_x, size_y)
    flat_x = (size_x >= size_y) & ~flat_z
    along = torch.where(flat_z, z, torch.where(flat_x, x, y))
    sign = torch.where(along < 0, -1.0, 1.0)
    face = torch.where(flat_z, 4, torch.where(flat_x, 0, 2)) + (along < 0)
    u = torch.where(flat_z, x, sign * torch.where(flat_x, y, -x))
    v = torch.where(flat_z, -sign * y, -z)
    normal = torch.stack([sign * flat_x, sign * ~(flat_x | flat_z), sign * flat_z])

    rounded = (kinds != Kind.BOX).nonzero()[:, 0]
    if len(rounded):
        p = unit[:, rounded]
        is_ball = kinds[rounded] == Kind.ELLIPSOID
        cap = ~is_ball & (p[2].abs() > p[:2].norm(dim=0))
        turn = torch.atan2(p[1], p[0]) / math.pi
        polar = torch.acos(p[2].clamp(-1, 1)) * (2 / math.pi) - 1
        up = torch.sign(p[2])
        face[rounded] = torch.where(cap, torch.where(up < 0, 5, 4), 0)
        u[rounded] = torch.where(cap, p[0], turn)
        v[rounded] = torch.where(cap, -p[1] * up, torch.where(is_ball, polar, -p[2]))
        side = torch.stack([p[0], p[1], torch.where(is_ball, p[2], 0.0)])
        normal[:, rounded] = torch.where(cap, torch.stack([0 * up, 0 * up, up]), side)
    return face, torch.stack([u, v]).mul_(0.5).add_(0.5).clamp_(0, 1), normal


def surface_point(kind: Kind, face: int, uv: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse of `face_coordinates` on one face: points and normals (P, 3) of the unit shape."""
    u, v = uv.unbind(1)
    if kind != Kind.BOX and face == 0:
        angle = (2 * u - 1) * math.pi
        if kind == Kind.CYLINDER:
            side = torch.stack([angle.cos(), angle.sin(), 1 - 2 * v], 1)
            return side, side * torch.tensor([1.0, 1.0, 0.0])
        polar = v * math.pi
        ball = torch.stack([angle.cos() * polar.sin(), angle.sin() * polar.sin(), polar.cos()], 1)
        return ball, ball
    a, b = 2 * u - 1, 1 - 2 * v
    one = torch.ones_like(a)
    points = torch.stack(
        (
            (one, a, b),
            (-one, -a, b),
            (-a, one, b),
            (a, -one, b),
            (a, b, one),
            (a, -b, -one),
        )[face],
        1,
    )
    normal = torch.zeros(3)
    normal[face // 2] = 1.0 - 2.0 * (face % 2)
    return points, normal.expand_as(points)
