"""Poses given in the frame of a recording whose poses were adjusted for the map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from map_codes import free_code, map_code

from aceg_ros.geometry.poses import make_pose, pose_error, so3_exp, transform_points
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.recorded import RecordedFrame
from aceg_ros.localization.result import Localization
from aceg_ros.maps.code import MapQuality

DEPTH = 3.0
DRIFT = make_pose(so3_exp([0.01, -0.02, 0.005]), [0.03, 0.01, -0.02])


def posed(x, turn=0.0):
    """A camera at ``x`` meters along a line, turned from the direction of the line."""
    return make_pose(so3_exp([0.0, np.radians(turn), 0.0]), [x, 0.5, 0.0])


def with_poses(own, recorded, depth=DEPTH):
    code = map_code(keyframes=len(own))
    quality = MapQuality(median_depth=depth)
    info = replace(code.info, quality=quality)
    return replace(code, keyframes=np.stack(own), recorded=np.stack(recorded), info=info)


def drifted(pose):
    """As recorded: turned about the camera's center, and shifted."""
    return make_pose(DRIFT[:3, :3] @ pose[:3, :3], pose[:3, 3] + DRIFT[:3, 3])


LINE = [posed(0.1 * index) for index in range(20)]


@pytest.fixture(scope='module')
def frame():
    return RecordedFrame(with_poses(LINE, [drifted(pose) for pose in LINE]))


class TestRecordedFrame:
    @pytest.mark.parametrize('x', [0.6, 1.03])
    def test_where_it_was_recorded(self, frame, x):
        given = frame.from_map(posed(x)) @ posed(x)
        meters, degrees = pose_error(given, drifted(posed(x)))
        assert meters < 0.1 * np.linalg.norm(DRIFT[:3, 3])
        assert degrees < 0.1 * pose_error(DRIFT, np.eye(4))[1]

    @pytest.mark.parametrize('pose', [posed(9.0), posed(1.0, 150.0)], ids=['place', 'direction'])
    def test_none_far_from_all_keyframes(self, frame, pose):
        np.testing.assert_allclose(frame.from_map(pose), np.eye(4), atol=1e-3)

    def test_a_rolled_camera_is_no_other_place(self, frame):
        rolled = posed(1.0) @ make_pose(so3_exp([0.0, 0.0, np.pi / 2]), [0, 0, 0])
        np.testing.assert_allclose(frame.from_map(rolled), frame.from_map(posed(1.0)), atol=1e-9)

    @pytest.mark.parametrize('x', [0.0, 1.03, 2.4])
    def test_from_the_recording_and_back(self, frame, x):
        own = frame.to_map(drifted(posed(x)))
        np.testing.assert_allclose(frame.from_map(own) @ own, drifted(posed(x)), atol=1e-5)

    def test_noise_is_averaged(self):
        """What nearby keyframes do not share is no drift."""
        rng = np.random.default_rng(0)
        noisy = [make_pose(p[:3, :3], p[:3, 3] + 0.02 * rng.normal(size=3)) for p in LINE]
        given = RecordedFrame(with_poses(LINE, noisy)).from_map(LINE[10])
        own = np.linalg.norm(noisy[10][:3, 3] - LINE[10][:3, 3])
        assert np.linalg.norm(given[:3, 3]) < 0.7 * own

    def test_errors_that_change_every_few_centimeters(self):
        """Near a keyframe its own counts, where it has a neighbor that is off the other way."""
        own = [posed(0.04 * index) for index in range(41)]
        off = [0.02 if index // 4 % 2 else -0.02 for index in range(41)]
        recorded = [
            make_pose(p[:3, :3], p[:3, 3] + [0, o, 0]) for p, o in zip(own, off, strict=True)
        ]
        frame = RecordedFrame(with_poses(own, recorded))
        for index in (13, 14, 17, 18):
            assert np.sign(frame.from_map(own[index])[1, 3]) == np.sign(off[index])

    def test_a_keyframe_alone_counts_from_farther_off(self):
        own = [posed(0.0), posed(50.0)]
        alone = RecordedFrame(with_poses(own, [drifted(own[0]), own[1]]))
        places = [posed(x) for x in (0.0, 0.2, 0.5, 2.0)]
        moved = [np.linalg.norm((alone.from_map(p) @ p - p)[:3, 3]) for p in places]
        assert moved[0] > moved[1] > moved[2] > moved[3]
        assert moved[1] > 0.5 * moved[0]
        assert moved[3] < 1e-3

    def test_drift_that_changes_along_the_way(self):
        recorded = [make_pose(p[:3, :3], p[:3, 3] * [1.02, 1, 1]) for p in LINE]
        frame = RecordedFrame(with_poses(LINE, recorded))
        near, far = (frame.from_map(posed(x))[0, 3] for x in (0.5, 1.5))
        assert near == pytest.approx(0.01, abs=0.004)
        assert far == pytest.approx(0.03, abs=0.004)

    @pytest.mark.parametrize(
        'code',
        [
            with_poses(LINE, LINE),
            with_poses(LINE, [drifted(pose) for pose in LINE], depth=0.0),
            free_code(),
        ],
        ids=['as recorded', 'unknown depth', 'free'],
    )
    def test_none_at_all(self, code):
        np.testing.assert_array_equal(RecordedFrame(code).from_map(posed(1.0)), np.eye(4))


class TestAnswers:
    def test_transformed_result_still_fits_its_image(self):
        rng = np.random.default_rng(0)
        points3d, root = rng.normal(size=(9, 3)), rng.normal(size=(6, 6))
        found = Localization(
            posed(1.0), root @ root.T, np.zeros((9, 2)), points3d, np.ones(9), np.ones(9, bool)
        )
        there = found.transformed(DRIFT)
        before = transform_points(np.linalg.inv(found.world_from_cam), points3d)
        after = transform_points(np.linalg.inv(there.world_from_cam), there.points3d)
        np.testing.assert_allclose(after, before, atol=1e-12)
        turn = DRIFT[:3, :3]
        np.testing.assert_allclose(
            there.covariance[:3, 3:], turn @ found.covariance[:3, 3:] @ turn.T, atol=1e-12
        )

    def test_localizer_gives_recorded_poses(self, mapped, engine, views):
        """The same map, said to be recorded elsewhere: its answers move along."""
        code, view = mapped.code, views[8]
        elsewhere = replace(code, recorded=np.stack([drifted(pose) for pose in code.recorded]))
        given, moved = (
            Localizer(each, engine).localize(view.image(), view.camera)
            for each in (code, elsewhere)
        )
        meters, degrees = pose_error(moved.world_from_cam, drifted(given.world_from_cam))
        assert meters < 0.3 * np.linalg.norm(DRIFT[:3, 3])
        assert degrees < 0.3 * pose_error(DRIFT, np.eye(4))[1]
