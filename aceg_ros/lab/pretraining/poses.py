"""Poses in worlds that were not trained on: other light, moved things, from far off, elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder
from aceg_ros.engine import Engine
from aceg_ros.evaluation.metrics import Evaluation, evaluate
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.pretraining.bound import PerfectChoice, best_evaluation
from aceg_ros.lab.pretraining.sources.worlds import ProceduralWorlds, shot
from aceg_ros.lab.worlds import (
    World,
    clearance,
    look,
    novel_views,
    random_light,
    random_sensor,
    render_depth,
)
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import LocalizationOptions, SearchOptions
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor

FAR_METERS, FAR_DEGREES = 1.5, 45.0
VIEWS = 12  # of each group and world
_SEEN = 0.3  # least part of a far view that some mapping view saw too
_GLANCE = Camera.pinhole(24, 18, 19.5, 19.5, 11.5, 8.5)
_NEAREST_VIEW = 0.6  # m, median depth
_NOWHERE = 1e4  # m, where no camera is


def query_groups(source: ProceduralWorlds, index: int, count: int) -> dict[str, list[Frame]]:
    """Views of a world, unlike its mapping views in one way or several; ``count`` where not said.

    'same': within 0.3 m and 15 degrees of a mapping view, under its light. 'light': the same poses,
    each under a light and with a sensor of its own, drawn at full strength. 'changed': the query
    views of the training scene: such lights, half of them after things were moved, up to 1.6 m and
    60 degrees from a mapping view. 'far': no mapping view is both nearer than 1.5 m and turned by
    less than 45 degrees, but three tenths of what is seen were mapped; under the mapping light.
    'elsewhere': 'same' and 'far' views of the next world, where no pose is right.
    """
    groups = _near_and_far(source, index, count)
    groups['changed'] = list(source.scene(index).query)
    if len(source) > 1:
        other = _near_and_far(source, (index + 1) % len(source), count)
        nowhere = np.eye(4)
        nowhere[:3, 3] = _NOWHERE
        groups['elsewhere'] = [
            replace(frame, world_from_cam=nowhere) for frame in other['same'] + other['far']
        ]
    return groups


def _near_and_far(source: ProceduralWorlds, index: int, count: int) -> dict[str, list[Frame]]:
    """The groups 'same', 'light' and 'far'."""
    world = source.worlds(index)[0]
    seed = source.first + index
    rng = np.random.default_rng([seed, 23])
    mapped = source.mapping_poses(world, index)
    near = novel_views(world, mapped, count, seed + 7, 0.3, 15.0)
    light, sensor = source.mapping_light(index)
    same, relit, far = [], [], []
    for view, pose in enumerate(near):
        label = f'{source.name(index)}-{view:03d}'
        same.append(shot(label, world, source.camera(), pose, light, sensor, 2000 + view))
        other, flaws = random_light(rng), random_sensor(rng)
        relit.append(shot(label, world, source.camera(), pose, other, flaws, 3000 + view))
    for view, pose in enumerate(far_views(world, mapped, count, rng)):
        label = f'{source.name(index)}-far-{view:03d}'
        far.append(shot(label, world, source.camera(), pose, light, sensor, 4000 + view))
    return {'same': same, 'light': relit, 'far': far}


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
    return not ((distance < FAR_METERS) & (turned < FAR_DEGREES)).any()


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


# A `PerfectChoice` is told what is true of the image as it is.
_AS_THEY_ARE = LocalizationOptions(search=SearchOptions(min_turn_gain=1.0, sure_confidence=0.0))


def compare_poses(
    source: ProceduralWorlds,
    encoder: Encoder,
    readers: Mapping[str, AnchoredRegressor],
    options: MappingOptions,
    report: Callable[[str], None],
) -> dict[str, dict[str, Evaluation]]:
    """How well `query_groups` are found in all worlds of ``source``, by reader and group.

    A world is mapped once; what readers differ in is how they read the map. A `PerfectChoice` is
    told the true poses.
    """
    plain = AnchoredRegressor(AnchoredConfig(dim_in=encoder.dim))
    found: dict[str, dict[str, Evaluation]] = {name: {} for name in readers}
    for index in range(len(source)):
        groups = query_groups(source, index, VIEWS)
        mapping = source.scene(index).mapping
        code = map_scene(mapping, Engine(encoder, plain), options).code
        for name, reader in readers.items():
            localizer = Localizer(code, Engine(encoder, reader), _AS_THEY_ARE)
            for group, frames in groups.items():
                if not frames:
                    continue
                if isinstance(reader, PerfectChoice):
                    reach = localizer.options.reader.anchored.threshold_px
                    more = best_evaluation(localizer, reader, frames, reach)
                else:
                    more = evaluate(localizer, frames)
                before = found[name].get(group)
                found[name][group] = more if before is None else before.joined(more)
                report(f'{source.name(index)}, {name}, {group}: {right_and_wrong(more)}')
    return found


def right_and_wrong(evaluation: Evaluation) -> dict[str, int]:
    """Views, poses within 10 cm and 5 degrees, and poses given but off by 25 cm or 5 degrees."""
    results = evaluation.results
    return {
        'views': len(results),
        'right': sum(result.within(10.0) for result in results),
        'wrong': sum(result.localized and not result.within(25.0) for result in results),
    }
