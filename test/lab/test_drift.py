"""Poses that drift on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import CAMERA, numbered_frames

from aceg_ros.errors import PoseError
from aceg_ros.geometry.poses import pose_error
from aceg_ros.lab.drift import FOCAL_ERROR, drifting


def poses(frames):
    return np.stack([frame.world_from_cam for frame in frames])


@pytest.fixture(scope='module')
def frames():
    return numbered_frames(40)


def test_poses_are_off_by_centimeters(frames):
    meters, degrees = pose_error(poses(drifting(frames, 1)), poses(frames))
    assert 0.002 < np.median(meters) < 0.05
    assert 0.1 < np.median(degrees) < 2.0


def test_neighbors_drift_alike(frames):
    off = poses(drifting(frames, 1))[:, :3, 3] - poses(frames)[:, :3, 3]
    between = np.linalg.norm(np.diff(off, axis=0), axis=1)
    assert np.median(between) < 0.5 * np.median(np.linalg.norm(off - off.mean(axis=0), axis=1))


def test_a_seed_says_how(frames):
    np.testing.assert_array_equal(poses(drifting(frames, 1)), poses(drifting(frames, 1)))
    assert not np.array_equal(poses(drifting(frames, 1)), poses(drifting(frames, 2)))


def test_the_lens_is_off_only_where_asked_for(frames):
    assert drifting(frames, 1)[0].camera.focal == CAMERA.focal
    off = drifting(frames, 1, FOCAL_ERROR)[0].camera.focal / CAMERA.focal - 1
    assert 0 < abs(off) < 4 * FOCAL_ERROR


def test_a_frame_without_pose_is_refused(frames):
    with pytest.raises(PoseError, match='has no pose'):
        drifting([*frames, replace(frames[0], world_from_cam=None)], 1)
