"""Which maps a list of files and folders names."""

from __future__ import annotations

import pytest

from aceg_ros.errors import MapCodeError, MapNotFoundError
from aceg_ros.maps.folder import maps_at


def test_files_and_all_that_are_in_a_folder_by_name(tmp_path):
    floors = tmp_path / 'floors'
    floors.mkdir()
    for name in ('b.aceg', 'a.v2.aceg', 'notes.txt'):
        (floors / name).touch()
    hall = tmp_path / 'hall.aceg'
    expected = {'hall': hall, 'a.v2': floors / 'a.v2.aceg', 'b': floors / 'b.aceg'}
    assert list(maps_at([hall, floors]).items()) == list(expected.items())


def test_an_empty_folder(tmp_path):
    with pytest.raises(MapNotFoundError, match='no map in the folder'):
        maps_at([tmp_path])


def test_two_of_one_name(tmp_path):
    with pytest.raises(MapCodeError, match='two of the maps are called hall'):
        maps_at([tmp_path / 'a' / 'hall.aceg', tmp_path / 'b' / 'hall.aceg'])
