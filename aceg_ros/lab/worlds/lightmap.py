"""Light maps: what light each lamp gives to each spot, with soft shadows and one bounce.

The lamps never move, so their light is computed once per world. A light map stores a channel per
group of lamps; the light of a view is a weighted sum of the channels, so lamps can be changed at no
cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aceg_ros.lab.worlds.light import CHANNELS, GROUPS
from aceg_ros.lab.worlds.primitives import FACES, Kind, Primitives, face_coordinates, surface_point
from aceg_ros.lab.worlds.scene import Lamp, face_sizes
from aceg_ros.lab.worlds.tracing import RayGroups, bounding_planes, trace

_SPACING = 0.08  # m between luxels
_MOST = 96  # luxels along one side of a face
_LIFT = 0.01  # m, luxels are moved off their surface so as not to shade themselves
_GROUP = 64  # luxels traced together
_SAMPLES = {'window': 4, 'ceiling': 4, 'lamp': 1}
_RADIANCE = {'window': 1.0, 'ceiling': 3.5, 'lamp': 12.0}
_BOUNCES = 6  # places per lamp that reflect its light
_REFLECTANCE = 0.5
_AMBIENT_SOURCES = 20


@dataclass(frozen=True)
class LightMap:
    """Irradiance of every face for each channel of `light.GROUPS`.

    luxels: (M, 8) uint8, square roots of irradiance. base, width, height: (F,) place of a face's
    grid. scale: (8,) irradiance of a full byte. mean: (8,) mean irradiance. colors: (8, 3) color
    of each channel's light.
    """

    luxels: Tensor
    base: Tensor
    width: Tensor
    height: Tensor
    scale: Tensor
    mean: Tensor
    colors: Tensor

    def lit(self, levels: Tensor) -> Tensor:
        """(3, M) light at each luxel with the channels at the given levels (8,)."""
        weights = self.colors * (levels * self.scale / 255**2)[:, None]
        return weights.T @ self.luxels.to(torch.float32).square_().T

    def sample(self, lit: Tensor, face: Tensor, uv: Tensor) -> Tensor:
        """(3, P) what `lit` gives on faces (P,) at uv (2, P)."""
        base, width, height = torch.stack([self.base, self.width, self.height]).index_select(
            1, face
        )
        x = (uv[0] * width - 0.5).clamp_min_(0).minimum((width - 1).to(uv.dtype))
        y = (uv[1] * height - 0.5).clamp_min_(0).minimum((height - 1).to(uv.dtype))
        x0, y0 = x.to(torch.int64), y.to(torch.int64)
        x1 = torch.minimum(x0 + 1, width - 1)
        row0, row1 = base + y0 * width, base + torch.minimum(y0 + 1, height - 1) * width
        upper = torch.lerp(lit.index_select(1, row0 + x0), lit.index_select(1, row0 + x1), x - x0)
        lower = torch.lerp(lit.index_select(1, row1 + x0), lit.index_select(1, row1 + x1), x - x0)
        return torch.lerp(upper, lower, y - y0)


@dataclass(frozen=True)
class _Sources:
    """Points that send out light.

    position, normal: (S, 3), a zero normal for all directions. flux: (S,). soften: (S,) m^2, least
    squared distance. channel: (S,).
    """

    position: Tensor
    normal: Tensor
    flux: Tensor
    soften: Tensor
    channel: Tensor


def bake(solids: Primitives, lamps: list[Lamp], rng: np.random.Generator) -> LightMap:
    """Light map of a scene, computed on the solids' device."""
    device = solids.center.device
    base, width, height, face = _layout(solids)
    point, normal = _luxel_points(solids, base, width, height, face)
    point, normal = point.to(device), normal.to(device)
    order = _coherent_order(point, normal)
    order = torch.nn.functional.pad(order, (0, -len(order) % _GROUP), value=int(order[-1]))
    light = torch.zeros((len(face), CHANNELS), device=device)
    groups = order.view(-1, _GROUP)
    lit = _illuminate(solids, _sources(solids, lamps, rng), point[groups], normal[groups])
    light[order] = lit.view(-1, CHANNELS)
    _fill_buried(solids, point, face.to(device), light)
    light[:, 0] = (light[:, 0] / light[:, 0].quantile(0.99).clamp_min(1e-6)).clamp(0, 1).sqrt()

    scale = torch.stack([c.sort().values[int(0.998 * (len(c) - 1))] for c in light.T]).clamp_min(
        1e-6
    )
    packed = ((light / scale).clamp(0, 1).sqrt() * 255).round().to(torch.uint8)
    colors = np.ones((CHANNELS, 3))
    for channel in range(1, CHANNELS):
        tones = [
            lamp.color for k, lamp in zip(_channels(lamps), lamps, strict=True) if k == channel
        ]
        colors[channel] = np.mean(tones, axis=0) if tones else 1.0
    return LightMap(
        packed,
        base.to(device),
        width.to(device),
        height.to(device),
        scale,
        light.mean(0),
        torch.tensor(colors, dtype=torch.float32, device=device),
    )


def _fill_buried(solids: Primitives, point: Tensor, face: Tensor, light: Tensor) -> None:
    """Give luxels inside another solid the mean of their face's others, in place.

    They are not seen themselves, but their darkness would bleed into neighbors that are.
    """
    unlit = (light[:, 0] == 0).nonzero()[:, 0]
    buried = torch.zeros(len(light), dtype=torch.bool, device=light.device)
    for part in unlit.split(4096):
        buried[part] = (solids.distance(point[part]) == 0).any(1)
    total = torch.zeros((int(face[-1]) + 1, CHANNELS), device=light.device)
    count = torch.zeros(len(total), device=light.device)
    total.index_add_(0, face[~buried], light[~buried])
    count.index_add_(0, face[~buried], torch.ones_like(light[~buried, 0]))
    light[buried] = (total / count.clamp_min(1)[:, None])[face[buried]]


def _channels(lamps: list[Lamp]) -> list[int]:
    """Channel of each lamp: lamps of a kind take turns in the kind's groups."""
    first = dict(zip(GROUPS, np.cumsum([1, *GROUPS.values()]).tolist(), strict=False))
    seen = dict.fromkeys(GROUPS, 0)
    channels = []
    for lamp in lamps:
        channels.append(first[lamp.kind] + seen[lamp.kind] % GROUPS[lamp.kind])
        seen[lamp.kind] += 1
    return channels


def _layout(solids: Primitives) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Base, width and height of each face's grid, and the face of each luxel."""
    sizes = []
    for kind, half in zip(solids.kinds().tolist(), solids.half.cpu().numpy(), strict=True):
        used = {Kind.BOX: range(FACES), Kind.CYLINDER: (0, 4, 5), Kind.ELLIPSOID: (0,)}[Kind(kind)]
        for face, side in enumerate(face_sizes(Kind(kind), half)):
            cells = [min(math.ceil(length / _SPACING), _MOST) for length in side]
            sizes.append(cells if face in used else [0, 0])
    width, height = torch.tensor(sizes).unbind(1)
    count = width * height
    base = count.cumsum(0) - count
    return base, width, height, torch.repeat_interleave(torch.arange(len(count)), count)


def _luxel_points(
    solids: Primitives, base: Tensor, width: Tensor, height: Tensor, face: Tensor
) -> tuple[Tensor, Tensor]:
    """Positions, lifted off the surface, and unit normals (M, 3) of luxels in the world frame."""
    cell = torch.arange(len(face)) - base[face]
    u = (cell % width[face] + 0.5) / width[face]
    v = (torch.div(cell, width[face], rounding_mode='floor') + 0.5) / height[face]
    uv = torch.stack([u, v], 1)
    solid, side = torch.div(face, FACES, rounding_mode='floor'), face % FACES
    kinds = solids.kinds().cpu()[solid]
    unit, unit_normal = torch.zeros((len(face), 3)), torch.zeros((len(face), 3))
    for kind in Kind:
        for number in range(FACES):
            part = ((kinds == kind) & (side == number)).nonzero()[:, 0]
            if len(part):
                unit[part], unit_normal[part] = surface_point(kind, number, uv[part])
    center, axes, half = (x.cpu()[solid] for x in (solids.center, solids.axes, solids.half))
    normal = torch.nn.functional.normalize(((unit_normal / half)[:, :, None] * axes).sum(1), dim=1)
    return center + ((unit * half)[:, :, None] * axes).sum(1) + _LIFT * normal, normal


def _coherent_order(point: Tensor, normal: Tensor) -> Tensor:
    """Order (Morton) that keeps luxels together that are near and face the same way."""
    facing = normal.abs().argmax(1)
    sign = normal.gather(1, facing[:, None])[:, 0] < 0
    cell = ((point - point.amin(0)) / 0.05).to(torch.int64).clamp_(0, 1023)
    code = torch.zeros_like(facing)
    for bit in range(10):
        for axis in range(3):
            code |= ((cell[:, axis] >> bit) & 1) << (3 * bit + axis)
    return (((2 * facing + sign) << 30) | code).argsort()


def _sources(solids: Primitives, lamps: list[Lamp], rng: np.random.Generator) -> _Sources:
    """Samples of lamps, of places that reflect them, and of the space around for ambient light."""
    rows: list[tuple[np.ndarray, np.ndarray, float, float, int]] = []
    rays: list[tuple[np.ndarray, np.ndarray, float, int]] = []
    for lamp, channel in zip(lamps, _channels(lamps), strict=True):
        a, b = lamp.edges
        area = 4 * float(np.linalg.norm(a) * np.linalg.norm(b))
        flux = area * _RADIANCE[lamp.kind]
        side = math.isqrt(_SAMPLES[lamp.kind])
        steps = (2 * np.arange(side) + 1) / side - 1
        for s in steps:
            for t in steps:
                rows.append(
                    (lamp.center + s * a + t * b, lamp.normal, flux / side**2, 0.03, channel)
                )
        for _ in range(_BOUNCES):
            start = lamp.center + rng.uniform(-0.9, 0.9) * a + rng.uniform(-0.9, 0.9) * b
            # A unit normal plus a point on the unit sphere is distributed by the cosine law.
            out = rng.normal(size=3)
            out = lamp.normal + 0.98 * out / np.linalg.norm(out)
            rays.append((start, out / np.linalg.norm(out), flux * _REFLECTANCE / _BOUNCES, channel))
    low = (solids.center - 0.5).amin(0).cpu().numpy()
    high = (solids.center + 0.5).amax(0).cpu().numpy()
    hits = _reflect(solids, rays)
    for _ in range(_AMBIENT_SOURCES):
        # Far-off points all around stand for light without direction; the shell is no obstacle to
        # them
        # because they are put inside it.
        place = np.array(
            [*rng.uniform(low[:2] + 0.7, high[:2] - 0.7), rng.uniform(0.5, high[2] - 0.6)]
        )
        rows.append((place, np.zeros(3), 1.0, 1.0, 0))
    rows += hits
    device = solids.center.device

    def column(k: int) -> Tensor:
        return torch.tensor(np.stack([row[k] for row in rows]), dtype=torch.float32, device=device)

    return _Sources(column(0), column(1), column(2), column(3), column(4).to(torch.int64))


def _reflect(
    solids: Primitives, rays: list[tuple[np.ndarray, np.ndarray, float, int]]
) -> list[tuple[np.ndarray, np.ndarray, float, float, int]]:
    """Sources at the places which the rays (start, direction, flux, channel) reach."""
    device = solids.center.device
    start = torch.tensor(np.stack([ray[0] for ray in rays]), dtype=torch.float32, device=device)
    out = torch.tensor(np.stack([ray[1] for ray in rays]), dtype=torch.float32, device=device)
    single = out[:, :, None]
    which = torch.arange(len(out), device=device)
    t, index = trace(solids, RayGroups(start, which, single, bounding_planes(single)))
    t, index = t[:, 0], index[:, 0]
    place = start + out * t.nan_to_num(posinf=0.0)[:, None]
    solid = index.clamp_min(0)
    unit = ((place - solids.center[solid])[:, None] * solids.to_unit()[solid]).sum(2)
    normal = face_coordinates(solids.kinds()[solid], unit.T)[2].T
    normal = ((normal / solids.half[solid])[:, :, None] * solids.axes[solid]).sum(1)
    normal = torch.nn.functional.normalize(normal, dim=1)
    places, normals = (place + 0.03 * normal).cpu().numpy(), normal.cpu().numpy()
    return [
        (places[k], normals[k], rays[k][2], 0.5, rays[k][3])
        for k in (index >= 0).nonzero()[:, 0].tolist()
    ]


def _illuminate(solids: Primitives, sources: _Sources, point: Tensor, normal: Tensor) -> Tensor:
    """(G, R, 8) irradiance of groups of luxels (G, R, 3)."""
    light = torch.zeros((*point.shape[:2], CHANNELS), device=point.device)
    for source in torch.arange(len(sources.flux), device=point.device).split(16):
        offset = point[None] - sources.position[source][:, None, None]
        distance = offset.norm(dim=-1).clamp_min(1e-3)
        out = offset / distance[..., None]
        leaving = (out * sources.normal[source][:, None, None]).sum(-1).clamp_min(0)
        directed = sources.normal[source].any(1)[:, None, None]
        reaching = (-out * normal).sum(-1).clamp_min(0)
        spread = math.pi * torch.maximum(distance.square(), sources.soften[source][:, None, None])
        weight = torch.where(directed, leaving / spread, torch.ones_like(leaving)) * reaching
        weight *= sources.flux[source][:, None, None]
        which, group = (weight.amax(2) > 1e-4).nonzero(as_tuple=True)
        direction = out[which, group].transpose(1, 2).contiguous()
        limit = distance[which, group] - 0.5 * _LIFT
        rays = RayGroups(sources.position[source], which, direction, bounding_planes(direction))
        _, blocker = trace(solids, rays, limit)
        arriving = weight[which, group] * (blocker < 0)
        for channel in sources.channel[source].unique().tolist():
            part = sources.channel[source][which] == channel
            light[..., channel].index_add_(0, group[part], arriving[part])
    return light
