"""Textured worlds mapped by day, and asked by day and by night, from near and from afar.

Someone stands at a spot and turns one and a half times; that is the map. Queries are taken within
the same reach of the spot ('near') or 1.2 to 2.2 m away ('far'), under the light of the map ('day')
or under three warm lamps in the dark ('night'). Poses are exact.

`session_scenes` are for maps that grow: the same spot is recorded by day and again in the evening,
on another path, and asked by day, in the evening and at noon, which nobody recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.encoder_training.textured import LampLight, TexturedWorld
from aceg_ros.lab.worlds import look

GROUPS = ('day near', 'night near', 'day far', 'night far')
SESSIONS = ('day', 'evening')
SESSION_GROUPS = ('day near', 'evening near', 'noon near', 'day far', 'evening far', 'noon far')
_CAMERA = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)
_GLANCE = _CAMERA.scaled(80, 60)  # enough to see whether there is room
_TURNS = 1.5
_NEAR, _FAR = (0.0, 0.6), (1.2, 2.2)  # m from the spot
_HEIGHTS = (1.1, 1.7)  # m
_NIGHT_NOISE, _DAY_NOISE = 5.0, 1.5  # of 255
_LAMPS = 3
_TRIES = 400
_HIGH_SUN = np.array([[1.0], [1.0], [1.0], [1.0], [2.5], [0.5]])  # light from +x, -x, ... +z, -z

_Lighting: TypeAlias = tuple[LampLight, float]  # and the noise of pictures, of 255


@dataclass(frozen=True)
class LightScene:
    """A spot of a world, its mapping views, and groups of queries by name."""

    name: str
    mapping: list[Frame]
    groups: dict[str, list[Frame]]


@dataclass(frozen=True)
class SessionScene:
    """A spot of a world, its mapping views by session, and groups of queries by name."""

    name: str
    sessions: dict[str, list[Frame]]
    groups: dict[str, list[Frame]]


def session_scenes(
    folder: Path,
    environments: Sequence[np.ndarray],
    spots: int,
    seed: int,
    views: int = 80,
    queries: int = 30,
) -> Iterator[SessionScene]:
    """Scenes recorded by `SESSIONS` and asked by `SESSION_GROUPS`; see `light_scenes`.

    Noon is another sky than the day's, with more light from above.
    """
    world = TexturedWorld(folder, _CAMERA.width, _CAMERA.height)
    glance = TexturedWorld(folder, _GLANCE.width, _GLANCE.height)
    for number in range(spots):
        rng = np.random.default_rng([seed, number, len(SESSIONS)])
        by_day, at_noon = rng.choice(len(environments), 2, replace=False)
        day = _day(environments[by_day], rng)
        spot = _free_place(glance, rng, day)
        lights = {
            'day': (day, _DAY_NOISE),
            'evening': (_night(spot, rng), _NIGHT_NOISE),
            'noon': (_day(environments[at_noon] * _HIGH_SUN, rng), _DAY_NOISE),
        }
        name = f'{folder.name}-{seed + number}'
        sessions = {
            session: _shots(
                world,
                f'{name}-{session}',
                _turning(glance, spot, views, rng, day),
                lights[session],
                rng,
            )
            for session in SESSIONS
        }
        groups = _queries(world, glance, name, SESSION_GROUPS, lights, spot, queries, rng)
        yield SessionScene(name, sessions, groups)


def light_scenes(
    folder: Path,
    environments: Sequence[np.ndarray],
    spots: int,
    seed: int,
    views: int = 110,
    queries: int = 40,
) -> Iterator[LightScene]:
    """Scenes at ``spots`` places of one textured world; ``environments`` light it by day.

    Raises DatasetError when the world cannot be read or has no room to stand in.
    """
    world = TexturedWorld(folder, _CAMERA.width, _CAMERA.height)
    glance = TexturedWorld(folder, _GLANCE.width, _GLANCE.height)
    for number in range(spots):
        rng = np.random.default_rng([seed, number])
        day = _day(environments[int(rng.integers(len(environments)))], rng)
        spot = _free_place(glance, rng, day)
        lights = {'day': (day, _DAY_NOISE), 'night': (_night(spot, rng), _NIGHT_NOISE)}
        name = f'{folder.name}-{seed + number}'
        turning = _turning(glance, spot, views, rng, day)
        mapping = _shots(world, f'{name}-map', turning, lights['day'], rng)
        groups = _queries(world, glance, name, GROUPS, lights, spot, queries, rng)
        yield LightScene(name, mapping, groups)


def _queries(
    world: TexturedWorld,
    glance: TexturedWorld,
    name: str,
    groups: Sequence[str],
    lights: Mapping[str, _Lighting],
    spot: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> dict[str, list[Frame]]:
    """Views by group; a group is called by its light and its reach, such as 'day far'."""
    views = {}
    for group in groups:
        light, reach = group.split()
        within = _NEAR if reach == 'near' else _FAR
        # Whether there is room to stand is looked up by day.
        around = _poses(glance, spot, within, count, rng, lights['day'][0])
        views[group] = _shots(world, f'{name}-{group}', around, lights[light], rng)
    return views


def _day(environment: np.ndarray, rng: np.random.Generator) -> LampLight:
    """Light of the sky alone."""
    return LampLight(environment * rng.uniform(0.8, 1.2), np.zeros((0, 3)), np.zeros((0, 3)))


def _night(spot: np.ndarray, rng: np.random.Generator) -> LampLight:
    """Three warm lamps around, and hardly anything else."""
    places = spot + np.stack(
        [rng.uniform(-3, 3, _LAMPS), rng.uniform(-3, 3, _LAMPS), rng.uniform(0.3, 1.0, _LAMPS)], 1
    )
    colors = np.array([1.35, 0.9, 0.5]) * rng.uniform(1.0, 3.0, (_LAMPS, 1))
    return LampLight(np.full((6, 3), 0.03), places, colors, key=0.12)


def _free_place(glance: TexturedWorld, rng: np.random.Generator, light: LampLight) -> np.ndarray:
    """A place from which things are seen all around, none of them too near."""
    low, high = glance.corners
    for _ in range(_TRIES):
        place = rng.uniform(low, high)
        place[2] = rng.uniform(*_HEIGHTS)
        if all(_open(glance, look(place, yaw, 0.0), light) for yaw in np.arange(4) * np.pi / 2):
            return place
    raise DatasetError('the world has no place to stand and turn at')


def _open(glance: TexturedWorld, pose: np.ndarray, light: LampLight) -> bool:
    _, depth = glance.view(_GLANCE, pose, light)
    seen = depth[depth > 0]
    if len(seen) < 0.7 * depth.size:
        return False
    return bool(np.quantile(seen, 0.02) > 0.4 and np.median(seen) > 1.2)


def _turning(
    glance: TexturedWorld, spot: np.ndarray, count: int, rng: np.random.Generator, light: LampLight
) -> list[np.ndarray]:
    """Poses of someone who turns at a spot and shifts about."""
    poses = []
    for yaw in np.linspace(0, 2 * np.pi * _TURNS, count):
        for _ in range(_TRIES):
            place = spot + _step(rng, _NEAR)
            pose = look(place, yaw + rng.normal(0, 0.05), rng.normal(-0.1, 0.12))
            if _open(glance, pose, light):
                break
        poses.append(pose)
    return poses


def _poses(
    glance: TexturedWorld,
    spot: np.ndarray,
    reach: tuple[float, float],
    count: int,
    rng: np.random.Generator,
    light: LampLight,
) -> list[np.ndarray]:
    poses: list[np.ndarray] = []
    for _ in range(_TRIES * count):
        if len(poses) == count:
            break
        pose = look(spot + _step(rng, reach), rng.uniform(-np.pi, np.pi), rng.normal(-0.1, 0.12))
        if _open(glance, pose, light):
            poses.append(pose)
    return poses


def _step(rng: np.random.Generator, reach: tuple[float, float]) -> np.ndarray:
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(*reach)
    return np.array([length * np.cos(angle), length * np.sin(angle), rng.uniform(-0.15, 0.15)])


def _shots(
    world: TexturedWorld,
    name: str,
    poses: Sequence[np.ndarray],
    lighting: _Lighting,
    rng: np.random.Generator,
) -> list[Frame]:
    light, noise = lighting
    frames = []
    for view, pose in enumerate(poses):
        image, _ = world.view(_CAMERA, pose, light)
        noisy = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
        frames.append(Frame(f'{name}-{view:03d}', _CAMERA, partial(np.copy, noisy), pose))
    return frames
