"""Pairs of poses in the frame of a map and in another one, by stamps or from a file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from map_codes import map_code

from aceg_ros.datasets.base import Frame
from aceg_ros.datasets.trajectory import Trajectory
from aceg_ros.errors import AlignmentError, DatasetError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, pose_to_tum, so3_exp
from aceg_ros.localization.frame_pairs import keyframe_pairs, pairs_of_file, trajectory_of
from aceg_ros.maps.code import KnownCamera, as_matrix4, world_keyframes

NEW_FROM_OLD = make_pose(so3_exp([0.1, 0.2, 1.0]), [5.0, -4.0, 1.0])
MOUNT = make_pose(so3_exp([-1.2, 1.2, -1.2]), [0.1, 0.0, 0.6])
NONE = np.eye(4)


@pytest.fixture
def code():
    """7 keyframes at 100.0, 100.5, ... s."""
    return map_code()


def trajectory(code, mount=NONE, stamps=None):
    poses = NEW_FROM_OLD @ world_keyframes(code) @ inverse(mount)
    stamps = code.keyframe_stamps if stamps is None else stamps
    return Trajectory(stamps, [pose_to_tum(pose).tolist() for pose in poses])


class TestByStamps:
    @pytest.mark.parametrize('mount', [NONE, MOUNT], ids=['camera', 'body'])
    def test_poses_of_the_same_moments(self, code, mount):
        found = keyframe_pairs(code, trajectory(code, mount), mount, 0.1)
        assert len(found) == 7
        there = NEW_FROM_OLD @ world_keyframes(code)
        np.testing.assert_allclose(found.new, there[:, :3, 3], atol=1e-9)
        np.testing.assert_allclose(found.new_turns, there[:, :3, :3], atol=1e-9)
        assert found.names[1] == 'keyframe 1 at 100.500'

    def test_poses_are_those_that_were_given(self, code):
        """The map found where the camera sits, and adjusted its keyframes."""
        (given,) = code.info.cameras
        known = KnownCamera(given, as_matrix4(make_pose(so3_exp([0.0, 0.02, 0.0]), [0.01, 0, 0])))
        recorded = code.recorded @ known.given_from_cam
        moved = code.keyframes.copy()
        moved[:, :3, 3] += 0.02
        session = replace(code.info.sessions[0], cameras=(0,))
        info = replace(code.info, known=(known,), sessions=(session,))
        changed = replace(code, keyframes=moved, recorded=recorded, info=info)
        found = keyframe_pairs(changed, trajectory(code, MOUNT), MOUNT, 0.1)
        same = keyframe_pairs(code, trajectory(code, MOUNT), MOUNT, 0.1)
        np.testing.assert_allclose(found.old, same.old, atol=1e-9)
        np.testing.assert_allclose(found.old_turns, same.old_turns, atol=1e-9)

    def test_keyframes_of_cameras_that_are_mounted_differently(self, code):
        (given,) = code.info.cameras
        turned = KnownCamera(given, as_matrix4(make_pose(so3_exp([0.0, 0.02, 0.0]), [0.0, 0, 0])))
        session = replace(code.info.sessions[0], cameras=(0, 1))
        other = Camera.pinhole(640, 480, 525.0, 525.0, 320.0, 240.0)
        info = replace(
            code.info,
            cameras=(given, other),
            known=(turned, KnownCamera(other)),
            sessions=(session,),
        )
        with pytest.raises(AlignmentError, match=r'mounted differently.*--images'):
            keyframe_pairs(replace(code, info=info), trajectory(code), NONE, 0.1)

    def test_keyframes_without_a_pose_are_left_out(self, code):
        stamps = code.keyframe_stamps + [0, 0, 0, 0, 0, 0, 50.0]
        found = keyframe_pairs(code, trajectory(code, stamps=stamps), NONE, 0.1)
        assert len(found) == 6

    def test_keyframes_of_unknown_time_are_left_out(self, code):
        stamps = code.keyframe_stamps.copy()
        stamps[2] = np.nan
        found = keyframe_pairs(replace(code, keyframe_stamps=stamps), trajectory(code), NONE, 0.1)
        assert [name.split()[1] for name in found.names] == ['0', '1', '3', '4', '5', '6']

    def test_no_time_is_known(self, code):
        old = replace(code, keyframe_stamps=np.full(7, np.nan))
        with pytest.raises(AlignmentError, match=r'does not know when .*--images'):
            keyframe_pairs(old, trajectory(code), NONE, 0.1)

    def test_another_drive(self, code):
        others = trajectory(code, stamps=code.keyframe_stamps + 1000.0)
        with pytest.raises(AlignmentError, match=r'no stamp .*the same drive'):
            keyframe_pairs(code, others, NONE, 0.1)

    def test_a_dataset_is_a_trajectory(self, code):
        camera = code.info.cameras[0]
        poses = world_keyframes(code)
        frames = [
            Frame(str(i), camera, lambda: np.zeros((240, 320, 3), np.uint8), pose, float(i))
            for i, pose in enumerate(poses)
        ]
        frames[3] = replace(frames[3], world_from_cam=None)
        others = trajectory_of(frames)
        assert others.stamps.tolist() == [0.0, 1.0, 2.0, 4.0, 5.0, 6.0]
        np.testing.assert_allclose(others.pose(3), poses[4], atol=1e-9)


class TestFile:
    def read(self, tmp_path, text):
        path = tmp_path / 'pairs.yaml'
        path.write_text(text)
        return pairs_of_file(path)

    def test_places(self, tmp_path):
        found = self.read(
            tmp_path,
            'pairs:\n- {name: door, map: [1, 2, 0.5], other: [4, 5, 6]}\n'
            '- {map: [0, 0, 0], other: [3, 3, 3]}\n',
        )
        assert found.names == ('door', 'pair 2')
        assert found.old.tolist() == [[1, 2, 0.5], [0, 0, 0]]
        assert found.new.tolist() == [[4, 5, 6], [3, 3, 3]]
        assert found.old_turns is None

    def test_poses(self, tmp_path):
        pose = '[1, 2, 3, 0, 0, 0.6, 0.8]'
        found = self.read(tmp_path, f'pairs:\n- {{map: {pose}, other: {pose}}}\n')
        np.testing.assert_allclose(found.new_turns[0][:2, 0], [0.28, 0.96])

    @pytest.mark.parametrize(
        ('text', 'words'),
        [
            ('', 'lists no pairs'),
            ('pairs: 3', 'lists no pairs'),
            ('pairs: [', 'cannot be read as YAML'),
            ('pairs: [{map: [1, 2], other: [3, 4]}]', 'pair 1 has no place'),
            ('pairs: [{name: door, map: [1, 2, 3]}]', 'door has no place .* as "other"'),
            ('pairs: [{map: [1, 2, .nan], other: [3, 4, 5]}]', 'pair 1 has no place'),
            ('pairs: [7]', 'an entry has no place'),
            (
                'pairs: [{map: [1, 2, 3], other: [1, 2, 3, 0, 0, 0, 1]}]',
                'some are places and some are poses',
            ),
            ('pairs: [{map: [1,2,3,0,0,0,0], other: [1,2,3,0,0,0,1]}]', 'quaternion has norm 0'),
        ],
    )
    def test_anything_else_is_refused(self, tmp_path, text, words):
        with pytest.raises(DatasetError, match=words):
            self.read(tmp_path, text)
