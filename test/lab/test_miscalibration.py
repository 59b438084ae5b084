"""A camera that is wrong on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp
from aceg_ros.lab.miscalibration import miscalibrated

CAMERA = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    poses = [make_pose(so3_exp(rng.normal(size=3)), rng.normal(size=3)) for _ in range(4)]
    return [Frame('image', CAMERA, lambda: None, pose) for pose in poses]


def test_the_mounting_is_always_the_same(frames):
    wrong = miscalibrated(frames)
    mounts = [
        inverse(a.world_from_cam) @ b.world_from_cam for a, b in zip(frames, wrong, strict=True)
    ]
    for mount in mounts:
        np.testing.assert_allclose(mount, mounts[0], atol=1e-12)
    meters, degrees = pose_error(mounts[0], np.eye(4))
    assert (round(float(meters), 3), round(float(degrees), 1)) == (0.027, 1.0)


def test_the_calibration_is_wrong_by_what_it_says(frames):
    camera = miscalibrated(frames)[0].camera
    assert camera.focal / CAMERA.focal == pytest.approx(1.01)
    assert camera.distortion[0] == pytest.approx(0.05)
    corner = np.array([[0.0, 0.0]])
    assert 10 < np.linalg.norm(camera.project(CAMERA.rays(corner)) - corner) < 40


def test_frames_need_poses(frames):
    with pytest.raises(PoseError, match='no pose'):
        miscalibrated([replace(frames[0], world_from_cam=None)])
