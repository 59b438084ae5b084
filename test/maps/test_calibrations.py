"""What a map knows better of the cameras that it was made with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from map_codes import map_code, resealed

from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.maps.sessions import joined, without_session

GIVEN = Camera.pinhole(640, 480, 525.0, 525.0, 320.0, 240.0)
FOUND = Camera('plumb_bob', 640, 480, GIVEN.K, [-0.05, 0.01])
OTHER = Camera.pinhole(640, 480, 500.0, 500.0, 320.0, 240.0)


def code_of(cameras, calibrated=(), name='day', seed=0):
    code = map_code(seed=seed)
    session = replace(code.info.sessions[0], name=name, cameras=tuple(range(len(cameras))))
    info = replace(code.info, cameras=cameras, calibrated=calibrated, sessions=(session,))
    return replace(code, info=info)


class TestOfACamera:
    info = code_of((OTHER, GIVEN), (OTHER, FOUND)).info

    def test_one_that_was_mapped_with(self):
        assert self.info.calibration_of(GIVEN) == FOUND
        assert self.info.calibration_of(OTHER) == OTHER

    def test_images_of_another_size(self):
        assert self.info.calibration_of(GIVEN.scaled(320, 240)) == FOUND.scaled(320, 240)

    def test_numbers_that_were_rounded(self):
        K = GIVEN.K * (1 + 1e-9)
        K[2, 2] = 1.0
        assert self.info.calibration_of(Camera('pinhole', 640, 480, K)) == FOUND

    def test_one_of_which_the_map_knows_nothing(self):
        stranger = Camera.pinhole(640, 480, 526.0, 526.0, 320.0, 240.0)
        assert self.info.calibration_of(stranger) is stranger

    def test_a_map_that_changed_none(self):
        assert code_of((GIVEN,)).info.calibration_of(GIVEN) is GIVEN


class TestFile:
    def test_is_read_back(self, tmp_path):
        code = code_of((OTHER, GIVEN), (OTHER, FOUND))
        write_map(tmp_path / 'map.aceg', code)
        assert read_map(tmp_path / 'map.aceg').info == code.info

    def test_of_maps_without_them(self, path):
        def forget(metadata):
            description = json.loads(metadata['map'])
            del description['calibrated']
            metadata['map'] = json.dumps(description)

        resealed(path, metadata=forget)
        assert read_map(path).info == map_code().info

    def test_not_one_for_each_camera(self, tmp_path):
        write_map(tmp_path / 'map.aceg', code_of((OTHER, GIVEN), (FOUND,)))
        with pytest.raises(MapCodeError, match='damaged'):
            read_map(tmp_path / 'map.aceg')


class TestSessions:
    def test_of_both_are_kept(self):
        together = joined(code_of((OTHER,)), code_of((GIVEN,), (FOUND,), 'evening', 1)).info
        assert together.calibration_of(GIVEN) == FOUND
        assert together.calibration_of(OTHER) == OTHER

    def test_the_first_counts_for_the_camera_of_both(self):
        first = code_of((GIVEN,), (FOUND,))
        together = joined(first, code_of((GIVEN, OTHER), (), 'evening', 1)).info
        assert together.cameras == (GIVEN, OTHER)
        assert together.calibration_of(GIVEN) == FOUND

    def test_of_one_that_is_dropped_are_gone(self):
        both = joined(code_of((OTHER,)), code_of((GIVEN,), (FOUND,), 'evening', 1))
        assert without_session(both, 'evening').info.calibration_of(GIVEN) == GIVEN
        assert without_session(both, 'day').info.calibration_of(GIVEN) == FOUND

    def test_none_where_neither_has_one(self):
        together = joined(code_of((OTHER,)), code_of((GIVEN,), (), 'evening', 1)).info
        assert together.calibrated == ()
