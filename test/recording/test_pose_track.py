"""The pose at an image's stamp, jumps of the pose source, and of the clock."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.errors import PoseError
from aceg_ros.geometry.motion import MotionLimits
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.recording.pose_track import JumpWatch, PoseTrack


def pose(x: float, yaw: float = 0.0) -> np.ndarray:
    return make_pose(so3_exp([0.0, 0.0, yaw]), [x, 0.0, 0.0])


@pytest.fixture
def track() -> PoseTrack:
    """Poses every 0.1 s up to 1 s, 1 m/s."""
    track = PoseTrack(max_gap=0.15, limits=MotionLimits(speed=2.0, turn=90.0))
    for i in range(11):
        assert track.add(10.0 + 0.1 * i, pose(0.1 * i)) is None
    return track


def test_interpolates(track):
    np.testing.assert_allclose(track.at(10.25), pose(0.25), atol=1e-9)


def test_says_what_it_waits_for(track):
    assert track.reaches(11.0)
    assert not track.reaches(11.01)
    with pytest.raises(PoseError, match=r'the last is 0\.200 s earlier'):
        track.at(11.2)
    assert not PoseTrack(0.1).reaches(0.0)


def test_gap(track):
    assert track.add(11.3, pose(1.3)) is None
    with pytest.raises(PoseError, match=r'0\.300 s apart'):
        track.at(11.1)


@pytest.mark.parametrize('jumped', [pose(1.5), pose(1.1, 0.5)])
def test_jump_is_named_and_not_interpolated_across(track, jumped):
    problem = track.add(11.1, jumped)
    assert problem is not None
    assert problem.startswith('the pose jumped by')
    with pytest.raises(PoseError, match='first is'):
        track.at(11.05)
    assert track.add(11.2, jumped) is None
    np.testing.assert_allclose(track.at(11.15), jumped, atol=1e-9)


def test_long_stop_then_elsewhere_is_no_jump(track):
    assert track.add(61.0, pose(30.0)) is None


def test_clock_set_back(track):
    problem = track.add(3.0, pose(0.0))
    assert problem == 'the clock went back by 8.0 s'
    assert not track.reaches(10.0)
    track.add(3.1, pose(0.1))
    np.testing.assert_allclose(track.at(3.05), pose(0.05), atol=1e-9)


def test_rewound_unless_poses_are_of_the_new_time(track):
    track.rewind(10.9)
    np.testing.assert_allclose(track.at(10.25), pose(0.25), atol=1e-9)
    track.rewind(3.0)
    assert not track.reaches(3.0)


def test_late_message_is_no_clock_set_back(track):
    assert track.add(10.95, pose(0.95)) is None
    np.testing.assert_allclose(track.at(10.97), pose(0.97), atol=1e-9)


def test_forgets_old_poses():
    track = PoseTrack(max_gap=1.0, history=5.0)
    for second in range(20):
        track.add(float(second), pose(second))
    with pytest.raises(PoseError, match='later'):
        track.at(10.5)


def test_jump_watch_after_clear():
    watch = JumpWatch(MotionLimits())
    watch.check(1.0, pose(0.0))
    assert watch.check(1.1, pose(9.0)) is not None
    watch.clear()
    assert watch.check(1.2, pose(0.0)) is None
