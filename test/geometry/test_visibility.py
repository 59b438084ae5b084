"""Points that a camera sees."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose
from aceg_ros.geometry.visibility import visible_points

CAMERA = Camera.pinhole(64, 48, 50.0, 50.0, 31.5, 23.5)


def seen(points, pose=None):
    world_from_cam = np.eye(4) if pose is None else pose
    return visible_points(np.array(points, float), world_from_cam, CAMERA, 8.0)


def test_points_in_the_image_are_seen_and_others_are_not():
    view = seen([[0, 0, 2], [0, 0, -2], [5, 0, 2], [0.5, 0.3, 2]])
    assert view.index.tolist() == [0, 3]
    np.testing.assert_allclose(view.pixels[0], [31.5, 23.5])
    np.testing.assert_allclose(view.distance, [2.0, np.sqrt(4.34)])


def test_a_point_behind_a_nearer_one_is_hidden():
    assert seen([[0, 0, 2], [0.01, 0, 4], [0.02, 0, 2.2]]).index.tolist() == [0, 2]


def test_cells_are_counted_row_by_row():
    view = seen([[-1.2, -0.9, 2], [1.2, -0.9, 2], [-1.2, 0.9, 2]])
    assert view.cell.tolist() == [0, 7, 40]
    assert view.cells == 48


def test_the_camera_may_be_anywhere():
    pose = make_pose(np.diag([1.0, -1.0, -1.0]), [1.0, 2.0, 3.0])
    assert seen([[1, 2, 0]], pose).index.tolist() == [0]


def test_nothing_is_seen_of_nothing():
    view = seen(np.zeros((0, 3)))
    assert len(view.index) == len(view.cell) == 0


@pytest.mark.parametrize('edge', [-0.49, 63.49])
def test_pixels_at_the_edge_are_in_the_image(edge):
    x = (edge - 31.5) / 50.0
    assert len(seen([[x, 0, 1]]).index) == 1
