"""Camera trajectories through a world that stay in free space, and views next to given ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.interpolate import BSpline
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import so3_exp
from aceg_ros.lab.worlds.render import render_depth
from aceg_ros.lab.worlds.world import World

_KEEP_AWAY = 0.2  # m between the camera and anything solid
_EYE_LEVEL = 1.45  # m
_CELL = 0.12  # m, of the grid a walk is planned on
_NEAREST_VIEW = 0.6  # m, median depth below which a view shows too little
TOURS = ('sweep', 'walk')

# Coarse camera to judge what a view shows.
_GLANCE = Camera.pinhole(16, 12, 13.0, 13.0, 7.5, 5.5)


def clearance(world: World, points: np.ndarray) -> np.ndarray:
    """(N,) meters from points (N, 3) to the nearest solid, 0 in one or outside the rooms."""
    where = torch.as_tensor(points, dtype=torch.float32, device=world.device)
    distance = world.solids.distance(where).amin(1)
    low, high = world.rooms[:, 0].amin(0), world.rooms[:, 1].amax(0)
    inside = ((where > low) & (where < high)).all(1)
    return torch.where(inside, distance, 0.0).cpu().numpy()


def tour(world: World, count: int, seed: int, kind: str = 'sweep') -> np.ndarray:
    """(count, 4, 4) world_from_cam of a smooth camera motion.

    'sweep': someone standing in a room moves the camera about within arm's and step's reach and
    looks around. 'walk': someone walks through all rooms and looks around. Raises ValueError for
    another kind, a count below 1, or a world without room for it.
    """
    if count < 1:
        raise ValueError('a tour needs at least one view')
    rng = np.random.default_rng([seed, 11])
    if kind == 'sweep':
        position = _sweep_path(world, count, rng)
        yaw = rng.uniform(-math.pi, math.pi) + 2.4 * _curve(rng, count, 30)
    elif kind == 'walk':
        position = _walk_path(world, count, rng)
        yaw = _heading(position) + 1.3 * _curve(rng, count, 35)
    else:
        raise ValueError(f'no tour {kind!r}; there are: {", ".join(TOURS)}')
    pitch = math.radians(-12) + 0.5 * _curve(rng, count, 30)
    roll = 0.1 * _curve(rng, count, 30)
    return np.stack([look(*pose) for pose in zip(position, yaw, pitch, roll, strict=True)])


def look(position: np.ndarray, yaw: float, pitch: float, roll: float = 0.0) -> np.ndarray:
    """(4, 4) world_from_cam at a position (3,): yaw about z, pitch upwards, roll (rad)."""
    ahead = np.array(
        [math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)]
    )
    right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(ahead, right), ahead], 1) @ so3_exp([0.0, 0.0, roll])
    pose[:3, 3] = position
    return pose


def novel_views(
    world: World,
    world_from_cam: np.ndarray,
    count: int,
    seed: int,
    offset: float = 0.5,
    degrees: float = 30.0,
) -> np.ndarray:
    """(count, 4, 4) poses in free space, each near one of world_from_cam (N, 4, 4).

    They are within `offset` meters and `degrees` of it, and look at something.

    Raises ValueError when next to the given poses there is no free space that one could look from.
    """
    rng = np.random.default_rng([seed, 12])
    found: list[np.ndarray] = []
    for attempt in range(40):
        missing = count - len(found)
        if missing <= 0:
            return np.stack(found[:count])
        # Tight places need smaller steps.
        reach = offset * 0.95**attempt
        chosen = world_from_cam[rng.integers(len(world_from_cam), size=2 * missing)].copy()
        chosen[:, :3, 3] += reach * _in_ball(rng, len(chosen))
        turns = so3_exp(math.radians(degrees) * _in_ball(rng, len(chosen)) * (0.6, 0.8, 0.25))
        chosen[:, :3, :3] = chosen[:, :3, :3] @ turns
        chosen = chosen[clearance(world, chosen[:, :3, 3]) > 0.5 * _KEEP_AWAY]
        if len(chosen):
            depth = render_depth(world, _GLANCE, chosen).flatten(1).median(1).values
            found += list(chosen[depth.cpu().numpy() > _NEAREST_VIEW])
    if len(found) < count:
        raise ValueError('no free space next to the poses; give poses that are inside the rooms')
    return np.stack(found[:count])


def tour_beside(
    world: World, world_from_cam: np.ndarray, seed: int, offset: float = 0.3, degrees: float = 20.0
) -> np.ndarray:
    """(N, 4, 4) poses of a smooth motion beside that of world_from_cam (N, 4, 4), in free space.

    Where they differ most, it is by `offset` meters, less where there is no room for it, and by
    `degrees`. Raises ValueError when the given poses have no free space around them.
    """
    rng = np.random.default_rng([seed, 13])
    aside, turned = (
        np.concatenate([_curve(rng, len(world_from_cam), 35)[:, None] for _ in range(3)], axis=1)
        for _ in range(2)
    )
    aside *= offset / np.linalg.norm(aside, axis=1).max()
    turned *= math.radians(degrees) / np.linalg.norm(turned, axis=1).max()
    poses = world_from_cam.copy()
    poses[:, :3, :3] = world_from_cam[:, :3, :3] @ so3_exp(turned)
    for attempt in range(40):
        poses[:, :3, 3] = world_from_cam[:, :3, 3] + 0.9**attempt * aside
        if clearance(world, poses[:, :3, 3]).min() > 0.5 * _KEEP_AWAY:
            return poses
    raise ValueError('no free space next to the poses; give poses that are inside the rooms')


def _in_ball(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 3) points evenly spread in the unit ball."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction * np.cbrt(rng.random((count, 1)))


def _spline(control: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(M, D) uniform cubic B-spline of control points (n, D) at (M,) parameters in [0, n - 3].

    It stays within the convex hull of the control points.
    """
    return BSpline(np.arange(len(control) + 4.0), control, 3)(at + 3)


def _curve(rng: np.random.Generator, count: int, pace: int) -> np.ndarray:
    """(count,) smooth random curve within [-1, 1] that turns about every `pace` samples."""
    return _spline(rng.uniform(-1, 1, (count // pace + 5, 1)), np.arange(count) / pace)[:, 0]


def _sweep_path(world: World, count: int, rng: np.random.Generator) -> np.ndarray:
    corners = world.rooms[int(rng.integers(len(world.rooms)))].cpu().numpy()
    low, high = corners[0] + (0.3, 0.3, 1.15), [*(corners[1][:2] - 0.3), 1.65]
    places = rng.uniform(low, high, (400, 3))
    space = clearance(world, places)
    best = np.argsort(-space)[: len(space) // 10]
    stand = best[int(rng.integers(len(best)))]
    reach = min(float(space[stand]) - _KEEP_AWAY, 1.2)
    if reach <= 0.05:
        raise ValueError('the world leaves no room to move a camera in; give it less clutter')
    control = _in_ball(rng, count // 18 + 5) * (1.0, 1.0, 0.35)
    return places[stand] + reach * _spline(control, np.arange(count) / 18)


def _walk_path(world: World, count: int, rng: np.random.Generator) -> np.ndarray:
    """Shortest ways between random places, rounded."""
    cells, graph = _free_cells(world)
    step = float(rng.uniform(0.04, 0.08))
    route = [int(rng.integers(len(cells)))]
    while len(route) * _CELL < count * step + 2:
        distance, before = dijkstra(graph, indices=route[-1], return_predecessors=True)
        goal = int(rng.choice(np.flatnonzero(distance >= 0.6 * distance.max())))
        leg = [goal]
        while leg[-1] != route[-1]:
            leg.append(int(before[leg[-1]]))
        route += leg[-2::-1]
    path = cells[route]
    for spacing in (4, 3, 2, 1):
        # Doubled ends make the curve start and end at them.
        control = np.pad(path[::spacing], ((2, 2), (0, 0)), mode='edge')
        ground = _spline(control, np.linspace(0, len(control) - 3 - 1e-9, 20 * len(path)))
        length = np.concatenate([[0], np.linalg.norm(np.diff(ground, axis=0), axis=1).cumsum()])
        at = np.arange(count) * step
        flat = np.stack([np.interp(at, length, ground[:, k]) for k in range(2)], 1)
        height = _EYE_LEVEL + 0.15 * _curve(rng, count, 20)
        position = np.concatenate([flat, height[:, None]], 1)
        if clearance(world, position).min() > 0.5 * _KEEP_AWAY:
            break
    return position


def _free_cells(world: World) -> tuple[np.ndarray, csr_matrix]:
    """Free places (N, 2) of a grid at eye level, and the graph of steps between neighbors.

    Of places that cannot be reached from each other, only the largest group is kept.
    """
    rooms = world.rooms.cpu().numpy()
    low, high = rooms[:, 0].min(0), rooms[:, 1].max(0)
    x, y = np.arange(low[0], high[0], _CELL), np.arange(low[1], high[1], _CELL)
    grid = np.stack(np.meshgrid(x, y, indexing='ij'), -1)
    free = np.ones(grid.shape[:2], bool)
    for level in (_EYE_LEVEL - 0.15, _EYE_LEVEL + 0.15):
        points = np.concatenate([grid, np.full((*grid.shape[:2], 1), level)], -1)
        free &= (clearance(world, points.reshape(-1, 3)) > 1.5 * _KEEP_AWAY).reshape(free.shape)
    number = np.full(free.shape, -1)
    number[free] = np.arange(free.sum())
    rows, columns, costs = [], [], []
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        a = number[: -dx or None, max(-dy, 0) : -dy if dy > 0 else None]
        b = number[dx:, max(dy, 0) : dy if dy < 0 else None]
        linked = (a >= 0) & (b >= 0)
        rows.append(a[linked])
        columns.append(b[linked])
        costs.append(np.full(int(linked.sum()), math.hypot(dx, dy) * _CELL))
    i, j, cost = np.concatenate(rows), np.concatenate(columns), np.concatenate(costs)
    size = int(free.sum())
    both = (np.concatenate([i, j]), np.concatenate([j, i]))
    graph = coo_matrix((np.concatenate([cost, cost]), both), (size, size)).tocsr()
    _, label = connected_components(graph, directed=False)
    largest = np.flatnonzero(label == np.bincount(label, minlength=1).argmax())
    if len(largest) < 2:
        raise ValueError('the world leaves no room to walk in; give it less clutter')
    return grid[free][largest], graph[largest][:, largest]


def _heading(position: np.ndarray) -> np.ndarray:
    """Yaw (rad, continuous) of the direction of travel, smoothed over about a meter."""
    count = len(position)
    ahead = (
        position[np.minimum(np.arange(count) + 15, count - 1)]
        - position[np.maximum(np.arange(count) - 5, 0)]
    )
    yaw = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    window = np.hanning(2 * min(25, max(count // 4, 1)) + 3)
    half = len(window) // 2
    return np.convolve(np.pad(yaw, half, mode='edge'), window / window.sum(), mode='valid')
