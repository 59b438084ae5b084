"""A generated building: where its rooms are, which repeat, and what is recorded of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest

from aceg_ros.datasets import open_dataset
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds import building
from aceg_ros.lab.worlds.building import BuildingOptions, building_rooms, record_building


def test_rooms_have_places_of_their_own_on_all_floors():
    rooms = building_rooms(3, BuildingOptions(rooms=13, floors=2))
    corners = np.stack([room.corner for room in rooms])
    assert len({tuple(corner) for corner in corners.tolist()}) == 13
    assert [(corners[:, 2] == level).sum() for level in np.unique(corners[:, 2])] == [7, 6]
    assert [room.seed // 1000 for room in rooms] == [3] * 13


def test_furniture_repeats():
    rooms = building_rooms(3, BuildingOptions(rooms=60, makes=6, twins=0.2))
    assert len({room.options.looks for room in rooms}) <= 6
    twins = 60 - len({room.seed for room in rooms})
    assert 4 <= twins <= 20
    assert len({(room.seed, room.options.arrangement) for room in rooms}) == 60
    assert len({room.seed for room in building_rooms(3, BuildingOptions(twins=0.0))}) == 60


def test_recordings(tmp_path):
    rooms = building_rooms(3, BuildingOptions(rooms=2, floors=2, twins=0.0))[1:]
    folders = record_building(tmp_path, rooms, mapping=4, queries=2)
    mapping, queries = (open_dataset(folder).frames for folder in folders)
    assert (len(mapping), len(queries)) == (4, 2)
    for frame in (*mapping, *queries):
        inside = frame.world_from_cam[:3, 3] - rooms[0].corner
        assert (inside > 0).all() and (inside < [5.4, 4.8, 2.9]).all()
        assert frame.image().std() > 5
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')}
    assert record_building(tmp_path, rooms, mapping=4, queries=2) == folders
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')} == kept


@pytest.fixture
def quick_rooms(monkeypatch):
    """Rooms made once, by this process, and small images; `test_recordings` does without."""
    monkeypatch.setattr(building, 'ProcessPoolExecutor', lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr(building, 'make_world', cache(building.make_world))
    monkeypatch.setattr(building, '_CAMERA', Camera.pinhole(160, 120, 127.0, 127.0, 79.5, 59.5))


def test_a_recording_that_was_stopped_is_completed(quick_rooms, tmp_path):
    rooms = building_rooms(3, BuildingOptions(rooms=2, floors=2, twins=0.0))
    whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
    record_building(whole, rooms, mapping=2, queries=1)
    record_building(stopped, rooms[:1], mapping=2, queries=1)
    index = stopped / 'queries' / 'poses.txt'
    index.write_text(index.read_text().splitlines(keepends=True)[0])  # its one view came too late
    record_building(stopped, rooms, mapping=2, queries=1)
    for name in ('mapping', 'queries'):
        poses = (whole / name / 'poses.txt').read_text()
        assert (stopped / name / 'poses.txt').read_text() == poses
        assert len(poses.splitlines()) == 1 + 2 * (2 if name == 'mapping' else 1)
