"""Up and the floor, from cameras held by people."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aceg_ros.errors import AlignmentError
from aceg_ros.geometry.poses import make_pose, so3_exp, transform_points
from aceg_ros.lab.worlds.tours import look
from aceg_ros.pose.upright import (
    UpDirection,
    floor_below,
    floor_from_height,
    up_direction,
    upright_pose,
)

WORLD = make_pose(so3_exp([0.9, -0.4, 0.3]), [4.0, -3.0, 2.0])  # the frame that is not upright
UP = WORLD[:3, 2]


def cameras(count=60, turn=2.5, roll_deg=2.0, seed=0, common_deg=0.0, eye=1.4):
    """Poses of a walk in `WORLD`, with smooth yaw, pitch and roll, and heights about ``eye``."""
    rng = np.random.default_rng(seed)

    def smooth():
        return np.interp(
            np.arange(count), np.arange(0, count + 8, 8), rng.normal(size=count // 8 + 2)
        )

    yaw, pitch, roll = turn * smooth(), -0.2 + 0.3 * smooth(), np.radians(roll_deg) * smooth()
    places = np.stack([2 * smooth(), 2 * smooth(), eye + 0.1 * smooth()], axis=1)
    poses = [
        look(*pose)
        for pose in zip(places, yaw, pitch, roll + math.radians(common_deg), strict=True)
    ]
    return WORLD @ np.stack(poses)


def off_deg(up):
    return math.degrees(math.acos(min(1.0, float(up @ UP))))


class TestUp:
    def test_is_exact_for_level_cameras(self):
        found = up_direction(cameras(roll_deg=0.0))
        np.testing.assert_allclose(found.up, UP, atol=1e-9)
        assert found.agreeing.all()

    def test_is_as_sure_as_it_says(self):
        """Deviations of smooth rolls; a third of the errors may be greater than one deviation."""
        ratios = []
        for seed in range(30):
            found = up_direction(cameras(seed=seed, common_deg=2.0))
            ratios.append(off_deg(found.up) / found.std_deg)
        assert np.mean(np.array(ratios) < 1.0) > 0.6
        assert max(ratios) < 3.0

    def test_cameras_on_their_side_are_left_out(self):
        poses = cameras()
        poses[::5, :3, :3] = poses[::5, :3, :3] @ so3_exp([0.0, 0.0, 1.4])
        found = up_direction(poses)
        np.testing.assert_array_equal(~found.agreeing, np.arange(60) % 5 == 0)
        assert off_deg(found.up) < 1.0

    @pytest.mark.parametrize('turn', [0.0, 0.03])
    def test_one_viewing_direction_is_refused(self, turn):
        with pytest.raises(AlignmentError, match='record while turning about'):
            up_direction(cameras(turn=turn))

    def test_cameras_held_anyhow_are_refused(self):
        rng = np.random.default_rng(0)
        poses = np.stack(
            [make_pose(so3_exp(3 * rng.normal(size=3)), np.zeros(3)) for _ in range(40)]
        )
        with pytest.raises(AlignmentError, match='cameras were held upright'):
            up_direction(poses)

    def test_too_few_are_refused(self):
        with pytest.raises(AlignmentError, match='4 cameras are too few'):
            up_direction(cameras()[:4])


def room_points(on_floor=300, above=1500, errors=10, seed=0):
    """Points of a room in `WORLD`: the floor at 0, furniture, and a few errors below."""
    rng = np.random.default_rng(seed)
    parts = [
        (on_floor, rng.normal(0, 0.01, on_floor)),
        (above, rng.uniform(0.05, 2.4, above)),
        (errors, rng.uniform(-1, -0.1, errors)),
    ]
    points = [np.column_stack([rng.uniform(-3, 3, (count, 2)), z]) for count, z in parts]
    return transform_points(WORLD, np.concatenate(points))


def sure(std_deg=0.5):
    """The true up direction."""
    return UpDirection(UP, std_deg, np.ones(60, bool))


class TestFloor:
    def test_a_tilt_makes_a_far_floor_unsure(self):
        points, places = room_points(), cameras()[:, :3, 3]
        away = places + 10.0 * WORLD[:3, 0]
        near, far = (floor_below(points, where, sure()) for where in (places, away))
        assert near.std < 0.05
        assert abs(far.std - 10.0 * np.radians(0.5)) < 0.03

    def test_is_the_lowest_level_of_many_points(self):
        found = floor_below(room_points(), cameras()[:, :3, 3], sure())
        assert abs(found.height - WORLD[:3, 3] @ UP) < 0.01
        assert 0.005 < found.std < 0.05
        assert found.points > 200

    def test_none_stands_out(self):
        with pytest.raises(AlignmentError, match='--camera-height'):
            floor_below(room_points(on_floor=10), cameras()[:, :3, 3], sure())

    def test_from_the_height_of_the_camera(self):
        poses = cameras()
        found = floor_from_height(poses[:, :3, 3], UP, 1.4)
        assert abs(found.height - WORLD[:3, 3] @ UP) < 3 * found.std < 0.5


def test_the_map_is_upright_afterwards():
    poses, points = cameras(roll_deg=0.0), room_points()
    found = up_direction(poses)
    floor = floor_below(points, poses[:, :3, 3], found)
    pose = upright_pose(found.up, floor.height, poses[:, :3, 3])
    there = pose @ poses
    np.testing.assert_allclose(there[:, 2, 0], 0.0, atol=1e-9)  # level x axes
    assert (there[:, 2, 1] < 0).all()
    assert abs(np.median(transform_points(pose, points)[:300, 2])) < 0.01
    middle = poses[:, :3, 3].mean(axis=0)
    np.testing.assert_allclose(transform_points(pose, middle[None])[0, :2], middle[:2])


@pytest.mark.parametrize('up', [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
def test_upright_and_upside_down(up):
    pose = upright_pose(np.array(up), 0.5, np.zeros((1, 3)))
    np.testing.assert_allclose(pose[:3, :3] @ up, [0.0, 0.0, 1.0])
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
