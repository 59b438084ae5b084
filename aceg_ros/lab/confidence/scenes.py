"""Scenes whose poses teach the confidence model: other light, far views, look-alikes, elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.base import Frame
from aceg_ros.lab.confidence.samples import SceneQueries
from aceg_ros.lab.drift import FOCAL_ERROR, drifting
from aceg_ros.lab.encoder_training.light import relit
from aceg_ros.lab.encoder_training.spots import read_environments
from aceg_ros.lab.light_scenes import light_scenes
from aceg_ros.lab.pretraining.poses import VIEWS, query_groups
from aceg_ros.lab.pretraining.sources.worlds import ProceduralWorlds
from aceg_ros.lab.worlds.building import BuildingOptions, building_rooms, record_building

_STRANGERS = 12  # images of each other dataset
_TEXTURED_SEED = 100
_FIRST_BUILDING = 310  # its worlds are from 310000 on
_FLOOR = BuildingOptions(rooms=6, floors=1, makes=2, twins=0.35)
_ROOM_VIEWS, _ROOM_QUERIES = 40, 8


def procedural_scenes(count: int, first: int) -> Iterator[SceneQueries]:
    """Procedural worlds, with the groups of `query_groups`."""
    source = ProceduralWorlds(count, first)
    for index in range(count):
        groups = query_groups(source, index, VIEWS)
        elsewhere = [replace(f, world_from_cam=None) for f in groups.pop('elsewhere', [])]
        mapping = source.scene(index).mapping
        name = source.name(index)
        yield SceneQueries(name, mapping, {**groups, 'elsewhere': elsewhere}, place=name)


def recorded_scenes(paths: Sequence[Path]) -> Iterator[SceneQueries]:
    """Recordings: half is mapped and half asked for, as it is and relit, and images of the others.

    'across' maps the first half of a recording and asks for the second.
    """
    datasets = [(path.name, open_dataset(path).frames) for path in paths]
    for name, frames in datasets:
        strangers = [
            replace(frame, world_from_cam=None)
            for other, theirs in datasets
            if other != name
            for frame in _spread(theirs, _STRANGERS)
        ]
        between = _spread(frames[1::2], 30)
        groups = {
            'between': between,
            'relit': [relit(frame, index) for index, frame in enumerate(between)],
            'elsewhere': strangers,
        }
        yield SceneQueries(name, frames[::2], groups, place=name)
        half = len(frames) // 2
        if half >= 10:
            across = _spread(frames[half:], 30)
            yield SceneQueries(f'{name}, first half', frames[:half], {'across': across}, place=name)


def textured_scenes(
    folders: Sequence[Path], environments: Path, spots: int
) -> Iterator[SceneQueries]:
    """Textured worlds by day and night, `lab.light_scenes`, with views of the spot before."""
    light = read_environments(environments)
    before: list[Frame] = []
    for folder in folders:
        # Spots of one world may see the same things, so only other worlds are elsewhere.
        elsewhere = [replace(frame, world_from_cam=None) for frame in before]
        for scene in light_scenes(folder, light, spots, _TEXTURED_SEED):
            groups = {**scene.groups, 'elsewhere': elsewhere}
            yield SceneQueries(scene.name, scene.mapping, groups, place=scene.name)
            before = _spread(scene.groups['day near'] + scene.groups['night near'], 2 * _STRANGERS)


def building_scenes(folder: Path, count: int) -> Iterator[SceneQueries]:
    """Floors of rooms that share furniture and wall coverings, some of them twins.

    They are recorded in ``folder``, or read from there.
    """
    for seed in range(_FIRST_BUILDING, _FIRST_BUILDING + count):
        name = f'building-{seed}'
        rooms = building_rooms(seed, _FLOOR)
        recordings = record_building(folder / name, rooms, _ROOM_VIEWS, _ROOM_QUERIES)
        mapping, queries = (open_dataset(path).frames for path in recordings)
        yield SceneQueries(name, mapping, {'rooms': queries}, place=name)


def with_drift(scene: SceneQueries, seed: int) -> SceneQueries:
    """The scene mapped with poses as a SLAM gives them; queries keep their true poses."""
    mapping = drifting(scene.mapping, seed, FOCAL_ERROR)
    return replace(scene, name=f'{scene.name}, drift', mapping=mapping)


def _spread(frames: Sequence[Frame], count: int) -> list[Frame]:
    step = max(len(frames) // count, 1)
    return list(frames[::step][:count])
