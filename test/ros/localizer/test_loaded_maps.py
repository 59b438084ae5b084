"""Maps in use: which of them share a frame, and what viewers keep from one to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from aceg_ros.engine import Networks
from aceg_ros.ros.localizer.maps import LoadedMap, LoadedMaps, MapFrames


def loaded(name: str, place: str = '') -> LoadedMap:
    """A map in use, without networks."""
    code = SimpleNamespace(
        info=SimpleNamespace(place=place), descriptors=np.zeros((0, 0), np.float32)
    )
    localizer: Any = SimpleNamespace(code=code)
    return LoadedMap(name, Path(f'{name}.aceg'), Networks(), localizer)


def test_parts_of_a_place_are_one_map():
    maps = LoadedMaps([loaded('office-1-of-2', 'office'), loaded('office-2-of-2', 'office')])
    assert not maps.several
    assert {each.place for each in maps.by_name.values()} == {'office'}
    assert MapFrames('map', 'map_{name}').of('office', 1) == 'map'


def test_maps_of_their_own_are_several():
    maps = LoadedMaps([loaded('ground'), loaded('first')])
    assert maps.several
    assert [each.place for each in maps.by_name.values()] == ['ground', 'first']


def test_a_place_is_its_last_part():
    one, two = loaded('office-1-of-2', 'office'), loaded('office-2-of-2', 'office')
    maps = LoadedMaps([one, two, loaded('hall')])
    assert maps.of_place('office') is one
    maps.set._last_parts['office'] = two.name
    maps.set.last = 'hall'
    assert maps.of_place('office') is two
    assert maps.of_place('hall').name == 'hall'
    assert maps.of_place('cellar') is None


def test_what_is_known_of_a_place_outlives_a_part_that_goes():
    one, two = loaded('office-1-of-2', 'office'), loaded('office-2-of-2', 'office')
    assert LoadedMaps([two]).kept_from(LoadedMaps([one, two])) == {'office'}
    assert LoadedMaps([loaded('office-2-of-2', 'office')]).kept_from(LoadedMaps([two])) == set()


def test_a_path_goes_on_in_the_next_part_only():
    one, two = loaded('office-1-of-2', 'office'), loaded('office-2-of-2', 'office')
    assert not two.goes_on_from(None)
    assert not loaded('hall').goes_on_from(loaded('hall'))
    assert two.goes_on_from(one)
    assert not replace(two, frame='map_office').goes_on_from(one)
