"""What a map knows better of the cameras that it was made with."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from map_codes import map_code, resealed

from aceg_ros.cli.info import to_dict
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, so3_exp
from aceg_ros.maps.code import KnownCamera, as_matrix4
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.maps.sessions import joined, moved, without_session

GIVEN = Camera.pinhole(640, 480, 525.0, 525.0, 320.0, 240.0)
MOUNT = make_pose(so3_exp(np.array([0.01, 0.02, -0.01])), [0.01, 0.0, -0.02])
FOUND = KnownCamera(Camera('plumb_bob', 640, 480, GIVEN.K, [-0.05, 0.01]), as_matrix4(MOUNT))
OTHER = Camera.pinhole(640, 480, 500.0, 500.0, 320.0, 240.0)
SAME = KnownCamera(OTHER)


def code_of(cameras, known=(), name='day', seed=0):
    code = map_code(seed=seed)
    session = replace(code.info.sessions[0], name=name, cameras=tuple(range(len(cameras))))
    info = replace(code.info, cameras=cameras, known=known, sessions=(session,))
    return replace(code, info=info)


class TestOfACamera:
    info = code_of((OTHER, GIVEN), (SAME, FOUND)).info

    def test_one_that_was_mapped_with(self):
        assert self.info.known_camera(GIVEN) == FOUND
        assert self.info.known_camera(OTHER) == SAME

    def test_images_of_another_size(self):
        half = self.info.known_camera(GIVEN.scaled(320, 240))
        assert half == replace(FOUND, camera=FOUND.camera.scaled(320, 240))

    def test_numbers_that_were_rounded(self):
        K = GIVEN.K * (1 + 1e-9)
        K[2, 2] = 1.0
        assert self.info.known_camera(Camera('pinhole', 640, 480, K)) == FOUND

    def test_one_of_which_the_map_knows_nothing(self):
        stranger = Camera.pinhole(640, 480, 526.0, 526.0, 320.0, 240.0)
        assert self.info.known_camera(stranger) == KnownCamera(stranger)

    def test_a_map_that_changed_none(self):
        assert code_of((GIVEN,)).info.known_camera(GIVEN) == KnownCamera(GIVEN)


class TestFile:
    def test_is_described_in_json(self):
        code = code_of((OTHER, GIVEN), (SAME, FOUND))
        told = json.loads(json.dumps(to_dict(code, 1)))
        assert [KnownCamera.from_dict(each) for each in told['known']] == [SAME, FOUND]

    def test_is_read_back(self, tmp_path):
        code = code_of((OTHER, GIVEN), (SAME, FOUND))
        write_map(tmp_path / 'map.aceg', code)
        assert read_map(tmp_path / 'map.aceg').info == code.info

    def test_of_maps_without_them(self, path):
        def forget(metadata):
            description = json.loads(metadata['map'])
            del description['known']
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
        assert together.known_camera(GIVEN) == FOUND
        assert together.known_camera(OTHER) == SAME

    def test_the_first_counts_for_the_camera_of_both(self):
        slight = as_matrix4(make_pose(so3_exp([0.0, 0.005, 0.0]), [0.01, 0.0, 0.0]))
        found = replace(FOUND, given_from_cam=slight)
        first = code_of((GIVEN,), (found,))
        together = joined(first, code_of((GIVEN, OTHER), (), 'evening', 1)).info
        assert together.cameras == (GIVEN, OTHER)
        assert together.known_camera(GIVEN) == found

    def test_poses_of_both_are_given_as_they_were(self):
        """A camera may be mounted otherwise by day than in the evening."""
        first = code_of((GIVEN,), (FOUND,))
        turned = as_matrix4(make_pose(so3_exp([0.0, 0.03, 0.0]), [0.0, 0.02, 0.0]))
        for known in ((), (replace(FOUND, given_from_cam=turned),)):
            second = code_of((GIVEN,), known, 'evening', 1)
            together = joined(first, second)
            given = [
                code.recorded @ inverse(np.array(code.info.known_camera(GIVEN).given_from_cam))
                for code in (first, second, together)
            ]
            np.testing.assert_allclose(given[2], np.concatenate(given[:2]), atol=1e-9)

    def test_cameras_of_a_rig_that_changed_differently_are_refused(self):
        turned = as_matrix4(make_pose(so3_exp([0.0, 0.03, 0.0]), [0.0, 0.0, 0.0]))
        rig = code_of((GIVEN, OTHER), (FOUND, SAME))
        again = code_of((GIVEN, OTHER), (FOUND, replace(SAME, given_from_cam=turned)), 'evening', 1)
        with pytest.raises(MapCodeError, match="session 'evening' mounted differently"):
            joined(rig, again)

    def test_of_one_that_is_dropped_are_gone(self):
        both = joined(code_of((OTHER,)), code_of((GIVEN,), (FOUND,), 'evening', 1))
        assert without_session(both, 'evening').info.known_camera(GIVEN) == KnownCamera(GIVEN)
        assert without_session(both, 'day').info.known_camera(GIVEN) == FOUND

    def test_none_where_neither_has_one(self):
        together = joined(code_of((OTHER,)), code_of((GIVEN,), (), 'evening', 1)).info
        assert together.known == ()


class TestMoved:
    def test_a_mount_grows_with_the_map(self):
        code = moved(code_of((GIVEN,), (FOUND,)), np.eye(4), scale=2.0)
        mount = np.array(code.info.known_camera(GIVEN).given_from_cam)
        np.testing.assert_allclose(mount[:3, 3], 2 * MOUNT[:3, 3])
        np.testing.assert_allclose(mount[:3, :3], MOUNT[:3, :3])
