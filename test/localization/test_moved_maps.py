"""What a localizer answers in a map that was brought into another frame."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.geometry.poses import make_pose, pose_error, so3_exp
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.maps.sessions import moved

POSE = make_pose(so3_exp([0.4, -0.3, 2.0]), [12.0, -7.0, 1.5])


@pytest.mark.parametrize('scale', [1.0, 3.0])
def test_poses_and_covariances_move_along(mapped, engine, queries, scale):
    here = Localizer(mapped.code, engine)
    there = Localizer(moved(mapped.code, POSE, scale), engine)
    found = 0
    for frame in queries:
        before = here.localize(frame.image(), frame.camera)
        after = there.localize(frame.image(), frame.camera)
        assert type(before) is type(after)
        if not isinstance(before, Localization):
            continue
        found += 1
        expected = POSE @ make_pose(
            before.world_from_cam[:3, :3], scale * before.world_from_cam[:3, 3]
        )
        meters, degrees = pose_error(after.world_from_cam, expected)
        assert meters < 1e-3 * scale
        assert degrees < 0.02
        turn = np.kron(np.diag([scale, 1.0]), POSE[:3, :3])
        np.testing.assert_allclose(
            after.covariance,
            turn @ before.covariance @ turn.T,
            atol=0.1 * np.abs(turn @ before.covariance @ turn.T).max(),
        )
        assert after.confidence == pytest.approx(before.confidence, abs=0.01)
    assert found >= 6
