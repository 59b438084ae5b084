"""Tours: free space, smoothness, reproducibility; neighboring views."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import pose_error, validate_pose
from aceg_ros.lab.worlds import (
    TOURS,
    World,
    clearance,
    look,
    novel_views,
    render_depth,
    tour,
    tour_beside,
)


@pytest.mark.parametrize('kind', TOURS)
@pytest.mark.parametrize('seed', [0, 1, 2])
class TestTour:
    def test_stays_in_free_space(self, world: World, kind: str, seed: int) -> None:
        poses = tour(world, 150, seed, kind)
        assert clearance(world, poses[:, :3, 3]).min() > 0.08

    def test_is_smooth_and_moves(self, world: World, kind: str, seed: int) -> None:
        poses = tour(world, 150, seed, kind)
        steps = [pose_error(a, b) for a, b in itertools.pairwise(poses)]
        meters, degrees = np.array(steps).T
        assert meters.max() < 0.15
        assert degrees.max() < 12
        assert np.linalg.norm(np.ptp(poses[:, :3, 3], axis=0)) > 0.4

    def test_same_seed_same_tour(self, world: World, kind: str, seed: int) -> None:
        np.testing.assert_array_equal(tour(world, 20, seed, kind), tour(world, 20, seed, kind))


def test_unknown_tour_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match='sweep, walk'):
        tour(world, 10, 0, 'flight')


def test_look_points_where_it_says() -> None:
    pose = look(np.array([1.0, 2.0, 3.0]), np.pi / 2, np.radians(-30))
    validate_pose(pose)
    np.testing.assert_allclose(pose[:3, 2], [0, np.cos(np.radians(30)), -0.5], atol=1e-12)
    # Image y goes down.
    assert pose[2, 1] < -0.8


class TestTourBeside:
    def test_is_near_free_and_smooth(self, world: World) -> None:
        path = tour(world, 120, 5)
        beside = tour_beside(world, path, seed=1, offset=0.25, degrees=15.0)
        assert clearance(world, beside[:, :3, 3]).min() > 0.08
        meters, degrees = pose_error(path, beside)
        assert 0.0 < meters.max() <= 0.25 + 1e-9
        assert degrees.max() == pytest.approx(15.0)
        steps = [pose_error(a, b) for a, b in itertools.pairwise(beside)]
        assert np.max(steps, axis=0)[0] < 0.15
        assert np.max(steps, axis=0)[1] < 12
        np.testing.assert_array_equal(beside, tour_beside(world, path, 1, 0.25, 15.0))
        assert not np.array_equal(beside, tour_beside(world, path, 2, 0.25, 15.0))

    def test_poses_in_a_wall_are_refused(self, world: World) -> None:
        outside = np.repeat(np.eye(4)[None], 3, axis=0)
        outside[:, :3, 3] = -5
        with pytest.raises(ValueError, match='no free space'):
            tour_beside(world, outside, seed=0)


class TestNovelViews:
    def test_are_near_free_and_show_something(self, world: World) -> None:
        poses = tour(world, 30, 5)
        views = novel_views(world, poses, 25, seed=1, offset=0.4, degrees=20)
        assert views.shape == (25, 4, 4)
        assert clearance(world, views[:, :3, 3]).min() > 0.08
        for view in views:
            meters, degrees = pose_error(poses, np.broadcast_to(view, poses.shape))
            assert ((meters < 0.4 + 1e-9) & (degrees < 20 + 1e-6)).any()
        glance = Camera.pinhole(16, 12, 13.0, 13.0, 7.5, 5.5)
        depth = render_depth(world, glance, views).flatten(1).median(1).values
        assert float(depth.min()) > 0.5

    def test_poses_in_a_wall_are_refused(self, world: World) -> None:
        outside = np.eye(4)[None].copy()
        outside[0, :3, 3] = -5
        with pytest.raises(ValueError, match='no free space'):
            novel_views(world, outside, 3, seed=0)
