"""RGB-D images of a world from any camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds.light import Light
from aceg_ros.lab.worlds.primitives import FACES, face_coordinates
from aceg_ros.lab.worlds.tracing import RayGroups, bounding_planes, trace
from aceg_ros.lab.worlds.world import World

_TILE = 16  # px, side of the squares whose rays are traced together
_MIDTONE = 0.17  # mean linear light an image is exposed for
# Tiles rendered at once: bounds memory, and on a CPU keeps the working set near the cache.
_CHUNK = {'cpu': 400, 'other': 40000}


@dataclass(frozen=True)
class RgbdBatch:
    """Rendered images.

    rgb: (B, H, W, 3) uint8. depth: (B, H, W) float32, meters along the optical axis, 0 where
    nothing is seen.
    """

    rgb: Tensor
    depth: Tensor


@dataclass(frozen=True)
class _Grid:
    """Rays of a camera by tile of R pixels.

    direction: (T, 3, R), camera frame. planes: (T, 5, 3). angle: (T, R) rad between neighboring
    rays. valid: (T, R) whether the pixel has a ray. shape: rows and columns of tiles.
    """

    direction: Tensor
    planes: Tensor
    angle: Tensor
    valid: Tensor
    shape: tuple[int, int]


def render(
    world: World,
    camera: Camera,
    world_from_cam: Tensor | np.ndarray,
    light: Light | None = None,
    supersample: int = 2,
) -> RgbdBatch:
    """Images of the world, on the world's device.

    world_from_cam: (B, 4, 4) camera poses. supersample: rays along each side of a pixel for color;
    depth belongs to the pixel's center. Raises ValueError for poses of another shape or a
    supersample below 1.
    """
    if supersample < 1:
        raise ValueError('supersample must be at least 1')
    width, height = camera.width, camera.height
    fine = camera.scaled(width * supersample, height * supersample)
    colors, depths = [], []
    for part in _split(world_from_cam, fine, world.device):
        color, depth = _render_part(world, fine, part, light or Light())
        if supersample > 1:
            color = color.unflatten(3, (width, supersample)).mean(4)
            color = color.unflatten(2, (height, supersample)).mean(3)
            if supersample % 2:
                middle = supersample // 2
                depth = depth[:, :, middle::supersample, middle::supersample]
            else:
                depth = _render_part(world, camera, part, None)[1]
        colors.append((color.sqrt() * 255).round_().to(torch.uint8).permute(0, 2, 3, 1))
        depths.append(depth[:, 0])
    return RgbdBatch(torch.cat(colors).contiguous(), torch.cat(depths).contiguous())


def render_depth(world: World, camera: Camera, world_from_cam: Tensor | np.ndarray) -> Tensor:
    """(B, H, W) float32 depth alone, as `render` gives it."""
    parts = _split(world_from_cam, camera, world.device)
    return torch.cat([_render_part(world, camera, part, None)[1][:, 0] for part in parts])


def _split(
    world_from_cam: Tensor | np.ndarray, camera: Camera, device: torch.device
) -> tuple[Tensor, ...]:
    """Poses checked, on the device, in parts that are rendered at once."""
    poses = torch.as_tensor(world_from_cam).to(device, torch.float32)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4):
        raise ValueError(f'world_from_cam must be (B, 4, 4), not {tuple(poses.shape)}')
    tiles = -(-camera.width // _TILE) * -(-camera.height // _TILE)
    return poses.split(max(1, _chunk(device) // tiles))


def _chunk(device: torch.device) -> int:
    return _CHUNK['cpu' if device.type == 'cpu' else 'other']


def _render_part(
    world: World, camera: Camera, poses: Tensor, light: Light | None
) -> tuple[Tensor, Tensor]:
    """Linear color (B, 3, H, W) in [0, 1], black without a light, and depth (B, 1, H, W)."""
    grid = _grid(camera, world.device)
    tiles = len(grid.direction)
    lit = _LitWorld(world, light, poses[:, :3, 3]) if light else None
    pieces: list[tuple[Tensor, Tensor]] = []
    for tile in torch.arange(len(poses) * tiles, device=world.device).split(_chunk(world.device)):
        which = torch.div(tile, tiles, rounding_mode='floor')
        tile = tile - which * tiles
        turn, sight = poses[which, :3, :3], grid.direction[tile]
        rays = RayGroups(poses[:, :3, 3], which, turn @ sight, grid.planes[tile] @ turn.mT)
        t, index = trace(world.solids, rays)
        seen = (index >= 0) & grid.valid[tile]
        depth = torch.where(seen, t * sight[:, 2], 0.0)
        if lit:
            color = lit.shade(rays, t, index.clamp_min(0), grid.angle[tile]) * seen
        else:
            color = depth.new_zeros((3, *depth.shape))
        pieces.append((color, depth[None]))
    colors, depths = (torch.cat(part, 1) for part in zip(*pieces, strict=True))
    return _untile(colors, grid, camera), _untile(depths, grid, camera)


class _LitWorld:
    """A world under a light, seen from some places: what all rays share, as planar tables."""

    def __init__(self, world: World, light: Light, origins: Tensor) -> None:
        solids, skins = world.solids, world.skins
        self._world = world
        self._flash = light.flash
        self._to_unit = solids.to_unit().reshape(-1, 9).T.contiguous()
        self._kinds = solids.kinds()
        self._half = solids.half.T.contiguous()
        offset = (origins[:, None] - solids.center)[:, :, None, :]
        start = (offset * solids.to_unit()).sum(-1)
        self._start = start.view(-1, 3).T.contiguous()
        glow = torch.tensor(light.glow_levels(), device=world.device)[skins.glow_from] * skins.glow
        self._faces = torch.cat(
            [
                skins.mapping.reshape(-1, 6).T,
                skins.tint.T,
                # Glowing faces are relative to what a normally exposed surface sends out.
                glow[None] * 2**light.exposure,
                skins.density[None] * world.atlas.size,
            ]
        )
        levels = torch.tensor(light.levels(), device=world.device)
        brightness = float((levels * world.light_map.mean).sum()) + 0.15 * light.flash
        self._gain = _MIDTONE / (0.45 * max(brightness, 1e-3)) * 2**light.exposure
        self._lit = world.light_map.lit(levels) * self._gain
        self._tone = -1.5 * torch.tensor(light.white_balance, device=world.device)[:, None]

    def shade(self, rays: RayGroups, t: Tensor, index: Tensor, angle: Tensor) -> Tensor:
        """(3, T, R) color of the solids seen (T, R), after exposure and tone curve."""
        world = self._world
        solid, distance = index.flatten(), t.flatten().nan_to_num(posinf=1.0)
        direction = rays.direction.transpose(0, 1).reshape(3, 1, -1)
        matrix = self._to_unit.index_select(1, solid).view(3, 3, -1)
        heading = (matrix * direction.transpose(0, 1)).sum(1)
        seat = (rays.which[:, None] * len(world.solids) + index).flatten()
        unit = torch.addcmul(self._start.index_select(1, seat), heading, distance)
        side, uv, normal = face_coordinates(self._kinds.index_select(0, solid), unit)
        stretched = normal / self._half.index_select(1, solid)
        facing = (-(normal * heading).sum(0) / stretched.norm(dim=0)).clamp_(0.02, 1)

        face = solid * FACES + side
        look = self._faces.index_select(1, face)
        where = look[0:6].view(2, 3, -1)
        where = torch.addcmul(where[:, 2], where[:, 0], uv[0]).addcmul_(where[:, 1], uv[1])
        # The footprint is stretched by 1 / cos; its geometric mean balances blur against shimmer.
        footprint = distance * angle.flatten() * look[10] * facing.rsqrt()
        layer = world.skins.texture.index_select(0, face)
        albedo = world.atlas.sample(layer, where, footprint.clamp_min_(1e-3).log2_()).mul_(
            look[6:9]
        )
        arriving = world.light_map.sample(self._lit, face, uv)
        if self._flash:
            arriving += self._gain * self._flash * facing / (distance.square() + 0.2)
        sent = arriving.add_(look[9]).mul_(albedo)
        return (1 - sent.mul_(self._tone).exp_()).view(3, *t.shape)


def _untile(values: Tensor, grid: _Grid, camera: Camera) -> Tensor:
    """(B, C, H, W) from values (C, B T, R) by tile."""
    rows, columns = grid.shape
    image = values.view(len(values), -1, rows, columns, _TILE, _TILE).transpose(3, 4)
    image = image.reshape(len(values), -1, rows * _TILE, columns * _TILE).transpose(0, 1)
    return image[:, :, : camera.height, : camera.width]


@lru_cache(maxsize=8)
def _grid(camera: Camera, device: torch.device) -> _Grid:
    """The camera's rays; those of the last few cameras are kept."""
    rows, columns = -(-camera.height // _TILE), -(-camera.width // _TILE)
    x, y = np.meshgrid(np.arange(columns * _TILE), np.arange(rows * _TILE))
    inside = (x < camera.width) & (y < camera.height)
    pixels = np.stack([x.clip(max=camera.width - 1), y.clip(max=camera.height - 1)], -1)
    rays = camera.rays(pixels.reshape(-1, 2).astype(np.float64)).reshape(*pixels.shape[:2], 3)
    valid = inside & np.isfinite(rays).all(-1)
    neighbor = np.linalg.norm(np.diff(rays, axis=1, append=rays[:, -2:-1]), axis=-1)
    angle = np.nan_to_num(neighbor, nan=0.0).clip(1e-5, 0.1)

    def tiled(image: np.ndarray) -> Tensor:
        blocks = image.reshape(rows, _TILE, columns, _TILE, -1).swapaxes(1, 2)
        return torch.from_numpy(
            blocks.reshape(rows * columns, _TILE * _TILE, -1).astype(np.float32)
        )

    has_ray = tiled(valid)[..., 0] > 0
    direction = tiled(np.nan_to_num(rays))
    # Pixels without a ray take a neighbor's, so that they do not widen the tile's pyramid.
    stand_in = has_ray.to(torch.int8).argmax(1)
    first = direction[torch.arange(len(direction)), stand_in]
    first = torch.where(has_ray.any(1, keepdim=True), first, torch.tensor([0.0, 0.0, 1.0]))
    direction = torch.where(has_ray[..., None], direction, first[:, None])
    direction = direction.transpose(1, 2).contiguous().to(device)
    return _Grid(
        direction,
        bounding_planes(direction),
        tiled(angle)[..., 0].to(device),
        has_ray.to(device),
        (rows, columns),
    )
