"""A place as the panel draws it from above."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.ros.panel.topview import AUTO, Ground, Scene, Z, drawing, ground_below

# Optical axes of a camera that looks along y of a map whose z is up: x right, y down, z forward.
ALONG_Y = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
NO_TURN = np.eye(3)
GRAY = np.array([128, 128, 128], np.uint8)


def cameras(count: int, turn: np.ndarray = NO_TURN, start=(0.0, 0.0, 1.0)) -> np.ndarray:
    """Poses (count, 4, 4) that look along y, each 1 m to the right of the last; all turned."""
    return np.stack(
        [make_pose(turn @ ALONG_Y, turn @ (start + np.eye(3)[0] * i)) for i in range(count)]
    )


def scene(points, count: int = 3) -> Scene:
    points = np.array(points, dtype=float).reshape(-1, 3)
    return Scene(cameras(count), points, np.tile(GRAY, (len(points), 1)))


def test_x_is_to_the_right_and_y_ahead_where_z_is_up():
    ground = ground_below(cameras(3))
    assert np.allclose(ground.axes, np.eye(3))
    drawn = drawing(scene([[1.0, 4.0, 0.5]]), ground)
    right, ahead, *view = np.array(drawn['keyframes']).reshape(3, 4)[2]
    assert np.allclose([right, ahead] + ground.origin[:2], [2.0, 0.0])
    assert np.allclose(view, [0.0, 1.0])
    assert np.allclose(drawn['points'] + ground.origin[:2], [1.0, 4.0])
    assert drawn['colors'] == '808080'


@pytest.mark.parametrize('turn', [[np.pi / 2, 0, 0], [-2.0, 0.3, 0.1], [0, np.pi, 0]])
def test_cameras_tell_what_is_up_in_other_frames(turn):
    """The same place in a frame that is turned about is drawn alike, but for a turn on the page."""
    rotation = so3_exp(turn)
    seen = cameras(3, rotation)
    ground = ground_below(seen, AUTO)
    assert np.allclose(ground.axes[2], rotation @ [0, 0, 1])
    assert np.allclose(ground.axes @ ground.axes.T, np.eye(3))
    assert np.linalg.det(ground.axes) == pytest.approx(1.0)
    assert np.allclose(ground_below(seen, Z).axes, np.eye(3))


def test_cameras_that_do_not_agree_tell_nothing():
    looking_down = [
        make_pose(so3_exp([0, 0, a]) @ so3_exp([np.pi, 0, 0]), [0, 0, 2]) for a in (0, 2, 4)
    ]
    assert np.allclose(ground_below(np.stack(looking_down)).axes, np.eye(3))


def test_cameras_that_look_down_a_little_do_not_tilt_the_ground():
    tilted = cameras(3, so3_exp([-0.6, 0, 0]))
    assert np.allclose(ground_below(tilted).axes, np.eye(3))


def test_a_base_looks_along_x_and_a_camera_along_z():
    ground = Ground(np.eye(3), np.zeros(3))
    assert np.allclose(ground.heading(make_pose(so3_exp([0, 0, np.pi / 2]), np.zeros(3))), [0, 1])
    assert np.allclose(ground.heading(make_pose(ALONG_Y, np.zeros(3))), [0, 1])


def test_ceilings_outliers_and_what_is_no_number_are_left_out():
    room = np.random.default_rng(0).uniform([-3, -3, 0], [3, 3, 1], (500, 3))
    odd = [[0, 0, 2.5], [0, 500, 0.5], [np.nan, 0, 0]]
    given = scene([*room, *odd])
    drawn = drawing(given, ground_below(given.world_from_cams))
    ahead = np.array(drawn['points']).reshape(-1, 2)[:, 1]
    assert len(ahead) > 450
    assert ahead.max() < 4
    assert drawn['bounds'][3] < 4
    assert len(drawn['colors']) == 6 * len(ahead)


def test_lower_points_come_first_so_that_higher_ones_cover_them():
    given = scene([[0, 0, 0.9], [1, 1, 0.1], [2, 2, 0.5]])
    drawn = drawing(given, ground_below(given.world_from_cams))
    assert np.allclose(np.diff(np.array(drawn['points']).reshape(-1, 2)[:, 0]), [1, -2])


def test_large_scenes_are_thinned_alike_each_time():
    many = np.random.default_rng(0).uniform(0, 1, (20_000, 3))
    given = scene(many, count=2500)
    ground = ground_below(given.world_from_cams)
    drawn = drawing(given, ground)
    assert len(drawn['points']) <= 2 * 5000
    assert 800 <= len(drawn['keyframes']) / 4 <= 1000
    assert drawn == drawing(given, ground)
    assert len(json.dumps(drawn)) < 200_000


def test_far_from_the_origin_millimeters_are_kept():
    utm = np.array([500_000.0, 5_000_000.0, 100.0])
    seen = cameras(2, start=utm)
    drawn = drawing(Scene(seen), ground_below(seen))
    first, second = np.array(drawn['keyframes']).reshape(2, 4)[:, 0]
    assert second - first == pytest.approx(1.0, abs=1e-6)
    assert abs(first) < 10


def test_nothing_is_drawn_of_nothing():
    drawn = drawing(Scene(), ground_below(Scene().world_from_cams))
    assert drawn == {'keyframes': [], 'points': [], 'colors': '', 'bounds': None}
