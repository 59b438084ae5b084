"""Nearest hit of many rays with many solids.

Rays come in groups that share an origin and point roughly the same way (a tile of an image, a patch
of surface seen from a lamp). A group's rays lie in a narrow pyramid; only solids that reach into it
are tried, nearest first, until none left can be nearer than what the whole group has hit. The
result equals trying every solid with every ray.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from aceg_ros.lab.worlds.primitives import Kind, Primitives, entry_distance

# Groups traced at once: bounds memory, and on a CPU keeps the working set near the cache.
_CHUNK = {'cpu': 1536, 'other': 65536}
# Below this cosine to the group's axis a group is too wide for a pyramid and is tried with every
# solid.
_WIDEST = 0.15


@dataclass(frozen=True)
class RayGroups:
    """T groups of R rays.

    origins: (O, 3) m. which: (T,) index of each group's origin. direction: (T, 3, R), unit, world
    frame. planes: (T, 5, 3), inward normals of planes through the origin that bound the group's
    rays (zero rows bound nothing).
    """

    origins: Tensor
    which: Tensor
    direction: Tensor
    planes: Tensor

    def __getitem__(self, part: slice) -> RayGroups:
        return RayGroups(self.origins, self.which[part], self.direction[part], self.planes[part])


def bounding_planes(direction: Tensor) -> Tensor:
    """(T, 5, 3) inward normals of a pyramid around each group of unit directions (T, 3, R)."""
    axis = torch.nn.functional.normalize(direction.sum(2), dim=1)
    helper = torch.zeros_like(axis).scatter_(1, axis.abs().argmin(1, keepdim=True), 1.0)
    right = torch.nn.functional.normalize(torch.linalg.cross(axis, helper), dim=1)
    down = torch.linalg.cross(axis, right)
    x, y, z = torch.bmm(torch.stack([right, down, axis], 1), direction).unbind(1)
    narrow = z.amin(1) > _WIDEST
    z = z.clamp_min(_WIDEST)
    x, y = x / z, y / z
    margin = 1e-4
    planes = torch.stack(
        [
            right - (x.amin(1) - margin)[:, None] * axis,
            (x.amax(1) + margin)[:, None] * axis - right,
            down - (y.amin(1) - margin)[:, None] * axis,
            (y.amax(1) + margin)[:, None] * axis - down,
            axis,
        ],
        1,
    )
    return planes * narrow[:, None, None]


def trace(
    solids: Primitives, rays: RayGroups, limit: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """First solid each ray enters.

    limit: (T, R) m, hits at or beyond it are ignored. Returns the distance (T, R) in meters
    (`limit`, or inf, where nothing is hit) and the solid's index (T, R), -1 for none. Solids that
    contain the origin are not seen.
    """
    groups, _, count = rays.direction.shape
    device = rays.direction.device
    t = torch.full((groups, count), math.inf, device=device) if limit is None else limit.clone()
    index = torch.full((groups, count), -1, dtype=torch.int64, device=device)
    chunk = _CHUNK['cpu' if device.type == 'cpu' else 'other']
    for start in range(0, groups, chunk):
        part = slice(start, start + chunk)
        for kind in Kind:
            if solids.counts[kind]:
                first, alike = solids.of_kind(kind)
                _sweep(kind, first, alike, rays[part], t[part], index[part])
    return t, index


def _reaches(solids: Primitives, rays: RayGroups) -> Tensor:
    """(T, N) whether the solid's box may reach into the group's pyramid (never wrongly False)."""
    groups, sides, _ = rays.planes.shape
    flat = rays.planes.reshape(-1, 3)
    offset = (rays.planes @ rays.origins[rays.which][:, :, None]).view(-1, 1)
    scaled = (solids.axes * solids.half[:, :, None]).permute(2, 1, 0)
    support = flat @ solids.center.T - offset
    for axis in range(3):
        support += (flat @ scaled[:, axis]).abs_()
    return (support >= 0).view(groups, sides, -1).all(1)


def _sweep(
    kind: Kind, first: int, solids: Primitives, rays: RayGroups, t: Tensor, index: Tensor
) -> None:
    """Lower t (T, R) and set index (T, R), in place, where a solid of one kind is nearer."""
    bound, order = solids.distance(rays.origins).sort(1)
    ranked = order[rays.which]
    reaches = _reaches(solids, rays).gather(1, ranked)
    group, rank = reaches.nonzero(as_tuple=True)
    if not len(group):
        return
    solid, near_bound = ranked[group, rank], bound[rays.which[group], rank]
    counts = reaches.sum(1)
    starts = counts.cumsum(0) - counts

    # The bias keeps a direction along a box's side from becoming an exact zero.
    bias = torch.full((1, 1, 1), 1e-9, device=t.device)
    to_unit = solids.to_unit()
    farthest = t.amax(1)
    active = counts.nonzero()[:, 0]
    step = 0
    while len(active):
        pair = starts[active] + step
        open_ = near_bound[pair] < farthest[active]
        active, pair = active[open_], pair[open_]
        if not len(active):
            return
        tried = solid[pair]
        matrix = to_unit[tried]
        offset = rays.origins[rays.which[active]] - solids.center[tried]
        origin = torch.bmm(matrix, offset[:, :, None])
        near = entry_distance(kind, origin, torch.baddbmm(bias, matrix, rays.direction[active]))
        before = t[active]
        closer = near < before
        after = torch.minimum(near, before)
        t[active] = after
        farthest[active] = after.amax(1)
        index[active] = torch.where(closer, (tried + first)[:, None], index[active])
        step += 1
        active = active[counts[active] > step]
