"""Bundle adjustment of corners whose places are known to the last digit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, so3_exp, transform_points
from aceg_ros.mapping.bundle import Bundle, State, Trust
from aceg_ros.mapping.intrinsics import Intrinsics, changed
from aceg_ros.mapping.tracks import Corners, Tracks
from aceg_ros.monitor import Monitor

CAMERA = Camera.pinhole(320, 240, 260.0, 260.0, 159.5, 119.5)
OTHER = Camera.pinhole(320, 240, 260.5, 260.5, 159.5, 119.5)
POSES = np.stack(
    [make_pose(so3_exp(np.array([0.0, 0.05 * x, 0.0])), [-0.15 * x, 0.0, 0.0]) for x in range(7)]
)
PIXELS = np.mgrid[4:320:24, 4:240:24].reshape(2, -1).T.astype(float)
POSES_KNOWN, MOUNT_FIXED = np.full(6, 1e4), np.full(6, 1e9)


def bundle_of(cameras, last=None):
    """Corners of the first keyframe, which all others show; ``last`` took the last one.

    The cameras are as they are given otherwise.
    """
    distances = np.random.default_rng(3).uniform(2, 3, len(PIXELS))
    rays = CAMERA.rays(PIXELS)
    count = len(rays)
    corners = Corners(
        np.zeros(count, np.int64), rays, distances, distances, np.full(count, np.inf), None
    )
    points3d = transform_points(POSES[0], rays * distances[:, None])
    parts = []
    for view in range(1, len(POSES)):
        seen = transform_points(inverse(POSES[view]), points3d)
        shown = np.flatnonzero(np.isfinite(CAMERA.project(seen)).all(axis=1))
        towards = seen[shown] / np.linalg.norm(seen[shown], axis=1, keepdims=True)
        if last is not None and view == len(POSES) - 1:
            towards = cameras[view].rays(last.project(seen[shown]))
        parts.append((shown, np.full(len(shown), view), towards))
    tracks = Tracks(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    intrinsics = Intrinsics.of(cameras)
    mounts = np.zeros((len(intrinsics.given), 6))
    given = State(POSES, distances, mounts, intrinsics.unchanged())
    return Bundle(corners, tracks, intrinsics, given, Trust(POSES_KNOWN, MOUNT_FIXED)), given


@pytest.fixture(scope='module')
def exact():
    return bundle_of([CAMERA] * len(POSES))


class TestCalibration:
    def changed_by(self, exact, k1):
        bundle, given = exact
        return bundle, replace(given, changes=given.changes + [0, 0, 0, k1, 0])

    def test_is_found_again(self, exact):
        bundle, start = self.changed_by(exact, -0.05)
        found = bundle.solved(start, True, Monitor())
        np.testing.assert_allclose(found.changes, 0, atol=1e-3)
        assert bundle.error(found) < 0.2 * bundle.error(start)

    def test_from_a_lens_that_does_not_reach_the_rim(self, exact):
        """Its pixels have no rays then, and nothing that is solved for becomes nan with them."""
        bundle, start = self.changed_by(exact, -0.35)
        rays = changed(CAMERA, start.changes[0]).rays(PIXELS)
        assert 0 < np.isnan(rays).any(axis=1).sum() < 0.2 * len(PIXELS)
        found = bundle.solved(start, True, Monitor())
        for part in (found.poses, found.distances, found.mounts, found.changes):
            assert np.isfinite(part).all()
        assert bundle.error(found) < 0.5 * bundle.error(start)

    def test_of_a_camera_of_few_keyframes_stays(self):
        """Also where it is wrong, and another camera's is adjusted."""
        wider = Camera.pinhole(320, 240, 250.0, 250.0, 159.5, 119.5)
        bundle, start = bundle_of([CAMERA] * 6 + [OTHER], wider)
        start = replace(start, changes=start.changes + [[0, 0, 0, -0.05, 0], [0, 0, 0, 0, 0]])
        found = bundle.solved(start, True, Monitor())
        np.testing.assert_array_equal(found.changes[1], 0)
        assert found.changes[0, 3] > -0.02
