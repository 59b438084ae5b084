"""`aceg align`: a map in another frame, and what grows out of it."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

from aceg_ros.datasets.trajectory import read_trajectory, write_trajectory
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp
from aceg_ros.maps.code import AS_GIVEN, world_keyframes, world_points
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.maps.sessions import moved

NEW_FROM_OLD = make_pose(so3_exp([0.1, -0.2, 2.0]), [30.0, -7.0, 1.0])
CPU = ('--device', 'cpu')


def stamped(frames, transform=NEW_FROM_OLD):
    """Poses of frames in the other frame, at the stamps of their recording."""
    return [(100.0 + 0.5 * i, transform @ f.world_from_cam) for i, f in enumerate(frames)]


def written_grid(folder):
    """An occupancy grid that is black everywhere."""
    cv2.imwrite(str(folder / 'grid.pgm'), np.zeros((400, 400), np.uint8))
    path = folder / 'grid.yaml'
    path.write_text('image: grid.pgm\nresolution: 0.1\norigin: [10.0, -27.0, 0.0]\n')
    return path


@pytest.fixture
def aligned(aceg, room_map, views, tmp_path):
    """The room's map, aligned by the trajectory of its recording, and what the command said."""
    write_trajectory(tmp_path / 'slam.txt', stamped(views))
    path = tmp_path / 'aligned.aceg'
    outcome = aceg(
        'align',
        room_map,
        *('--poses', tmp_path / 'slam.txt', '-o', path, '--json', tmp_path / 'figures.json'),
        *('--plan', tmp_path / 'plan.png', '--grid', written_grid(tmp_path)),
    )
    assert outcome.status == 0, outcome.err
    return path, json.loads((tmp_path / 'figures.json').read_text()), outcome


def poses_of(aceg, path, images, tmp_path):
    """Poses that `aceg localize` prints, by their stamps."""
    out = tmp_path / 'found.txt'
    assert aceg('localize', path, images, '-o', out, *CPU).status == 0
    trajectory, _ = read_trajectory(out)
    return {stamp: trajectory.pose(i) for i, stamp in enumerate(trajectory.stamps.tolist())}


class TestPoses:
    def test_by_the_stamps_of_keyframes(self, aceg, aligned, room_map, tmp_path):
        path, figures, outcome = aligned
        np.testing.assert_allclose(figures['new_from_old'], NEW_FROM_OLD, atol=1e-6)
        assert figures['agreeing'] == figures['pairs'] == len(read_map(room_map).keyframes)
        assert 'aligned by' in outcome.out
        np.testing.assert_allclose(
            world_keyframes(read_map(path)),
            NEW_FROM_OLD @ world_keyframes(read_map(room_map)),
            atol=1e-6,
        )
        assert 'moved: recording: its poses were turned by' in aceg('info', path).out
        picture = cv2.imread(str(tmp_path / 'plan.png'))
        assert picture is not None
        half = picture.shape[1] // 2
        left, right = np.median(picture[:, :half]), np.median(picture[:, half:])
        assert (left, right) == (255.0, 0.0)  # the grid lies under the plan of its own frame

    def test_poses_in_another_convention(self, aceg, room_map, views, tmp_path):
        inverted = [(stamp, np.linalg.inv(pose)) for stamp, pose in stamped(views)]
        write_trajectory(tmp_path / 'inverted.txt', inverted)
        words = ('--poses', tmp_path / 'inverted.txt', '-o', tmp_path / 'aligned.aceg')
        outcome = aceg(
            'align',
            room_map,
            *words,
            *('--pose-convention', 'camera-from-world', '--json', tmp_path / 'figures.json'),
        )
        assert outcome.status == 0, outcome.err
        found = json.loads((tmp_path / 'figures.json').read_text())['new_from_old']
        np.testing.assert_allclose(found, NEW_FROM_OLD, atol=1e-6)

    def test_what_is_localized_is_in_the_new_frame(
        self, aceg, aligned, room_map, questions, tmp_path
    ):
        before = poses_of(aceg, room_map, questions, tmp_path)
        after = poses_of(aceg, aligned[0], questions, tmp_path)
        assert len(before) >= 5
        assert after.keys() == before.keys()
        errors = [pose_error(pose, NEW_FROM_OLD @ before[t]) for t, pose in after.items()]
        meters, degrees = np.array(errors).T
        assert np.median(meters) < 1e-3
        assert np.median(degrees) < 0.02
        # Where the poses of two sizes are as likely, rounding decides which one is taken.
        assert meters.max() < 0.02

    def test_by_images_and_the_pose_of_a_robot(self, aceg, room_map, queries, questions, tmp_path):
        """A map without stamps; the trajectory is of a body with the camera mounted on it."""
        code = read_map(room_map)
        write_map(room_map, replace(code, keyframe_stamps=np.full(len(code.keyframes), np.nan)))
        mount = make_pose(so3_exp([0.0, 0.0, np.pi / 2]), [0.1, 0.0, 0.6])
        poses = [(t, pose @ inverse(mount)) for t, pose in stamped(queries)]
        write_trajectory(tmp_path / 'odometry.txt', poses)
        half = np.sqrt(0.5)
        outcome = aceg(
            'align',
            room_map,
            *('--poses', tmp_path / 'odometry.txt', '--images', questions),
            *('--mount', f'0.1 0 0.6 0 0 {half} {half}', *CPU),
            *('-o', tmp_path / 'aligned.aceg', '--json', '-'),
        )
        assert outcome.status == 0, outcome.err
        figures = json.loads(outcome.out)
        np.testing.assert_allclose(figures['new_from_old'], NEW_FROM_OLD, atol=0.03)
        assert 0.0 < figures['std_m'] < 0.1

    def test_by_a_dataset_in_the_other_frame(
        self, aceg, room_map, views, write_recording, tmp_path
    ):
        there = [replace(f, world_from_cam=NEW_FROM_OLD @ f.world_from_cam) for f in views]
        other = write_recording(tmp_path / 'other', there)
        outcome = aceg('align', room_map, '--poses', other, '-o', room_map, '--json', '-')
        assert outcome.status == 0, outcome.err
        np.testing.assert_allclose(json.loads(outcome.out)['new_from_old'], NEW_FROM_OLD, atol=1e-6)

    def test_by_images_with_poses_in_the_other_frame(
        self, aceg, room_map, queries, write_recording, tmp_path
    ):
        there = [replace(f, world_from_cam=NEW_FROM_OLD @ f.world_from_cam) for f in queries]
        other = write_recording(tmp_path / 'other', there)
        outcome = aceg(
            'align',
            room_map,
            *('--poses', other, '--images', other, *CPU, '-o', room_map, '--json', '-'),
        )
        assert outcome.status == 0, outcome.err
        figures = json.loads(outcome.out)
        assert figures['pairs'] <= len(queries)
        np.testing.assert_allclose(figures['new_from_old'], NEW_FROM_OLD, atol=0.03)


class TestPairs:
    def write(self, tmp_path, wrong=0, scale=1.0, count=8):
        """Corners of a hall in both frames; the first ``wrong`` of them are wrong."""
        old = np.array([[x, y, z] for z in (0, 2.5) for x, y in ((0, 0), (9, 0), (0, 7), (9, 7))])
        old = old[:count]
        new = scale * old @ NEW_FROM_OLD[:3, :3].T + NEW_FROM_OLD[:3, 3]
        new[:wrong] += 2.0
        pairs = [
            {'name': f'corner {i}', 'map': a, 'other': b}
            for i, (a, b) in enumerate(zip(old.tolist(), new.tolist(), strict=True))
        ]
        path = tmp_path / 'pairs.yaml'
        path.write_text(yaml.safe_dump({'pairs': pairs}))
        return path

    def test_a_wrong_one_is_named(self, aceg, room_map, tmp_path):
        pairs = self.write(tmp_path, wrong=1)
        outcome = aceg('align', room_map, '--pairs', pairs, '-o', tmp_path / 'aligned.aceg')
        assert outcome.status == 0, outcome.err
        assert 'aligned by 7 of 8 pairs' in outcome.out
        assert 'left out: corner 0\n' in outcome.out

    def test_scale(self, aceg, room_map, tmp_path):
        code = read_map(room_map)
        code = replace(code, info=replace(code.info, metric=False))
        write_map(room_map, code)
        pairs = self.write(tmp_path, scale=2.5)
        command = ('align', room_map, '--pairs', pairs, '-o', tmp_path / 'aligned.aceg')
        refused = aceg(*command)
        assert refused.status == 1
        assert 'give --scale' in refused.err
        outcome = aceg(*command, '--scale')
        assert 'scale 2.5000, standard deviation' in outcome.out
        assert read_map(tmp_path / 'aligned.aceg').info.metric

    @pytest.mark.parametrize(
        ('wrong', 'count', 'words'),
        [(4, 8, 'only 4 of 8 pairs agree'), (0, 2, '2 pairs are known'), (0, 3, '')],
    )
    def test_doubtful_ones_are_refused(self, aceg, room_map, tmp_path, wrong, count, words):
        pairs = self.write(tmp_path, wrong=wrong, count=count)
        out = tmp_path / 'aligned.aceg'
        outcome = aceg('align', room_map, '--pairs', pairs, '-o', out)
        assert outcome.status == (1 if words else 0)
        assert words in outcome.err
        assert out.exists() != bool(words)


class TestGravity:
    def test_z_is_up_and_the_floor_at_0(self, aceg, room_map, tmp_path):
        """The room's own frame is upright; its map is turned away first."""
        code, out = read_map(room_map), tmp_path / 'upright.aceg'
        tilted = moved(code, make_pose(so3_exp([0.7, -0.4, 0.0]), [1.0, 2.0, 3.0]))
        write_map(room_map, tilted)
        height = float(np.median(world_keyframes(code)[:, 2, 3]))
        outcome = aceg(
            'align',
            room_map,
            *('--gravity', '--camera-height', height, '-o', out, '--json', '-'),
            *('--plan', tmp_path / 'plan.png'),
        )
        assert outcome.status == 0, outcome.err
        figures, after = json.loads(outcome.out), read_map(out)
        (session,) = after.info.sessions
        up = np.array(session.world_from_poses)[:3, 2]  # where the room's up went
        assert np.degrees(np.arccos(up[2])) < 3 * figures['up_std_deg'] < 9.0
        off = world_points(after)[:, 2] - world_points(code)[:, 2]
        assert abs(np.median(off)) < 3 * figures['floor_std'] + 0.1
        assert (tmp_path / 'plan.png').stat().st_size > 10_000

    @pytest.mark.parametrize(
        ('options', 'words'),
        [
            (('--gravity', '--scale'), 'leave them out'),
            (('--gravity', '--mount', '0 0 0 0 0 0 1'), '--mount is of --poses'),
            (('--gravity', '--grid', 'grid.yaml'), '--grid is drawn under --plan'),
            (('--poses', 'x.txt', '--camera-height', '1'), '--camera-height is for --gravity'),
            (('--pairs', 'x.yaml', '--images', 'x'), 'give --poses'),
            (('--poses', 'x.txt', '--tolerance', '0'), 'greater than 0'),
            (('--poses', 'none.txt'), 'none.txt'),
        ],
    )
    def test_arguments_that_make_no_sense(self, aceg, room_map, tmp_path, options, words):
        outcome = aceg('align', room_map, *options, '-o', tmp_path / 'out.aceg')
        assert outcome.status == 1
        assert words in outcome.err


class TestGrowing:
    """Maps that were aligned grow as others do, in their new frame."""

    def test_extend(self, aceg, aligned, views, questions, queries, write_recording, tmp_path):
        there = [replace(f, world_from_cam=NEW_FROM_OLD @ f.world_from_cam) for f in views[::2]]
        outcome = aceg(
            'map',
            write_recording(tmp_path / 'later', there),
            *('-o', tmp_path / 'grown.aceg', '--extend', aligned[0], '--session', 'later'),
            *('--tokens', 300, '--budget', 2, *CPU),
        )
        assert outcome.status == 0, outcome.err
        grown = read_map(tmp_path / 'grown.aceg')
        first, later = grown.info.sessions
        np.testing.assert_allclose(first.world_from_poses, NEW_FROM_OLD, atol=1e-6)
        assert later.world_from_poses == AS_GIVEN
        found = poses_of(aceg, tmp_path / 'grown.aceg', questions, tmp_path)
        truth = dict(stamped(queries))
        errors = [pose_error(pose, truth[stamp])[0] for stamp, pose in found.items()]
        assert len(errors) >= 5
        assert np.median(errors) < 0.05

    def test_merge(self, aceg, aligned, room_map, tmp_path):
        """With itself in the old frame it is another place; in the new frame it is the same."""
        both, new = tmp_path / 'both.aceg', aligned[0]
        count = len(read_map(room_map).anchors)
        assert aceg('merge', new, new, '-o', both, '--same-frame').status == 0
        assert len(read_map(both).anchors) == count
        assert aceg('merge', new, room_map, '-o', both, '--same-frame').status == 0
        assert len(read_map(both).anchors) > 1.9 * count
