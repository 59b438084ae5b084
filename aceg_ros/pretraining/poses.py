"""Poses in worlds that were not trained on: under other light, and from far off the mapped path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder
from aceg_ros.evaluation.metrics import Evaluation, evaluate
from aceg_ros.geometry.cameras import Camera
from aceg_ros.localization.localizer import Localizer
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import FitOptions
from aceg_ros.pretraining.sources.worlds import ProceduralWorlds, shot
from aceg_ros.regressor.regressor import Regressor
from aceg_ros.worlds import (
    World,
    clearance,
    look,
    novel_views,
    random_light,
    random_sensor,
    render_depth,
)

FAR_METRES, FAR_DEGREES = 1.5, 45.0
VIEWS = 12  # of each group and world
_SEEN = 0.3  # least part of a far view that some mapping view saw too
_GLANCE = Camera.pinhole(24, 18, 19.5, 19.5, 11.5, 8.5)
_NEAREST_VIEW = 0.6  # m, median depth


def query_groups(source: ProceduralWorlds, index: int, count: int) -> dict[str, list[Frame]]:
    """``count`` views each of a world, unlike its mapping views in one way or two.

    'same': within 0.3 m and 15 degrees of a mapping view, under its light. 'light': the same poses,
    each under a light and with a sensor of its own, drawn at full strength. 'far': no mapping view
    is both nearer than 1.5 m and turned by less than 45 degrees, but three tenths of what is seen
    were mapped; under the mapping light.
    """
    world = source.worlds(index)[0]
    seed = source.first + index
    rng = np.random.default_rng([seed, 23])
    mapped = source.mapping_poses(world, index)
    near = novel_views(world, mapped, count, seed + 7, 0.3, 15.0)
    light, sensor = source.mapping_light(index)
    groups: dict[str, list[Frame]] = {'same': [], 'light': [], 'far': []}
    for view, pose in enumerate(near):
        label = f'{source.name(index)}-{view:03d}'
        groups['same'].append(shot(label, world, source.camera(), pose, light, sensor, 2000 + view))
        other, flaws = random_light(rng), random_sensor(rng)
        groups['light'].append(shot(label, world, source.camera(), pose, other, flaws, 3000 + view))
    for view, pose in enumerate(far_views(world, mapped, count, rng)):
        label = f'{source.name(index)}-far-{view:03d}'
        groups['far'].append(shot(label, world, source.camera(), pose, light, sensor, 4000 + view))
    return groups


def far_views(
    world: World, mapped: np.ndarray, count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Up to ``count`` poses (4, 4) far from all of ``mapped`` (M, 4, 4) that see what those saw."""
    low, high = (world.rooms[:, i].cpu().numpy() for i in (0, 1))
    depth = render_depth(world, _GLANCE, mapped).cpu().numpy()
    found: list[np.ndarray] = []
    for _ in range(60):
        room = rng.integers(len(low), size=100)
        places = rng.uniform(low[room], high[room])
        places[:, 2] = rng.uniform(1.1, 1.7, len(places))
        for place in places[clearance(world, places) > 0.2]:
            pose = look(place, rng.uniform(-np.pi, np.pi), rng.uniform(-0.5, 0.1))
            if _is_far(pose, mapped) and _seen_share(world, pose, mapped, depth) > _SEEN:
                found.append(pose)
                break
        if len(found) == count:
            break
    return found


def _is_far(pose: np.ndarray, mapped: np.ndarray) -> bool:
    distance = np.linalg.norm(mapped[:, :3, 3] - pose[:3, 3], axis=1)
    traces = np.einsum('mij,ij->m', mapped[:, :3, :3], pose[:3, :3])
    cosine = (traces - 1) / 2
    turned = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return not ((distance < FAR_METRES) & (turned < FAR_DEGREES)).any()


def _seen_share(world: World, pose: np.ndarray, mapped: np.ndarray, depth: np.ndarray) -> float:
    """Part of what a view sees that a mapping view, with ``depth`` (M, h, w), saw too."""
    z = render_depth(world, _GLANCE, pose[None])[0].cpu().numpy().ravel()
    if np.median(z) < _NEAREST_VIEW:
        return 0.0
    x, y = np.meshgrid(np.arange(_GLANCE.width), np.arange(_GLANCE.height))
    rays = _GLANCE.rays(np.stack([x, y], -1).reshape(-1, 2).astype(float))
    points = rays / rays[:, 2:] * z[:, None] @ pose[:3, :3].T + pose[:3, 3]
    seen = np.zeros(len(points), bool)
    for other, there in zip(mapped, depth, strict=True):
        local = (points - other[:3, 3]) @ other[:3, :3]
        pixel = np.nan_to_num(_GLANCE.project(local), nan=-9.0).round().astype(int)
        inside = ((pixel >= 0) & (pixel < [_GLANCE.width, _GLANCE.height])).all(axis=1)
        column, row = pixel[inside].T
        close = np.abs(there[row, column] - local[inside, 2]) < 0.1 * local[inside, 2]
        seen[np.flatnonzero(inside)[close]] = True
    return float(seen.mean())


def compare_poses(
    source: ProceduralWorlds,
    encoder: Encoder,
    readers: Mapping[str, Regressor],
    options: FitOptions,
    report: Callable[[str], None],
) -> dict[str, dict[str, Evaluation]]:
    """How well `query_groups` are found in all worlds of ``source``, by reader and group.

    Every reader localizes in a map of its own.
    """
    found: dict[str, dict[str, Evaluation]] = {name: {} for name in readers}
    for index in range(len(source)):
        groups = query_groups(source, index, VIEWS)
        mapping = source.scene(index).mapping
        for name, reader in readers.items():
            for group, more in localize_views(mapping, groups, encoder, reader, options).items():
                before = found[name].get(group)
                found[name][group] = more if before is None else before.joined(more)
                recall = more.summary()['recall_10cm_5deg']
                report(f'{source.name(index)}, {name}, {group}: {recall:.2f} within 10 cm')
    return found


def localize_views(
    mapping: Sequence[Frame],
    groups: Mapping[str, Sequence[Frame]],
    encoder: Encoder,
    regressor: Regressor,
    options: FitOptions,
) -> dict[str, Evaluation]:
    """Map with ``regressor``, then localize each group of views in that map, but for empty ones."""
    result = map_scene(mapping, encoder, regressor, options)
    localizer = Localizer(result.code, encoder, regressor)
    return {name: evaluate(localizer, frames) for name, frames in groups.items() if frames}
