"""Depth of one camera as another sees it, against what follows from the scene's geometry."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.geometry.cameras import Camera, intrinsic_matrix
from aceg_ros.geometry.depth import register_depth, smooth_depth
from aceg_ros.geometry.poses import make_pose, so3_exp

COLOR = Camera('plumb_bob', 160, 120, intrinsic_matrix(131, 131, 80, 60), [0.1, -0.1, 0, 0, 0])
DEPTH = Camera.pinhole(160, 120, 146.0, 146.0, 81.0, 58.0)
COARSE = Camera.pinhole(48, 36, 43.0, 43.0, 24.0, 17.5)
PLACE = make_pose(so3_exp([0.01, -0.03, 0.02]), [-0.025, 0.004, 0.002])
WALL = (np.array([0.2, -0.1, 1.0]), 2.0)  # normal and offset in the color camera's frame


def of_wall(camera: Camera, color_from_cam: np.ndarray) -> np.ndarray:
    """Depth (H, W) of the wall from a camera."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    rays = camera.rays(np.stack([columns.ravel(), rows.ravel()], axis=1).astype(float))
    normal, offset = WALL
    distance = (offset - normal @ color_from_cam[:3, 3]) / (
        rays @ color_from_cam[:3, :3].T @ normal
    )
    return (distance * rays[:, 2]).reshape(camera.height, camera.width).astype(np.float32)


@pytest.mark.parametrize('camera', [DEPTH, COARSE], ids=['fine', 'coarse'])
def test_wall(camera):
    found = register_depth(of_wall(camera, PLACE), camera, COLOR, PLACE)
    true = of_wall(COLOR, np.eye(4))
    known = found > 0
    assert known[20:-20, 20:-20].mean() > 0.99
    # A pixel's depth may be that of half a pixel beside.
    assert np.abs(found - true)[known].max() < 0.03
    assert np.abs(found - true)[known].mean() < 0.006


def test_without_a_place_the_centers_coincide():
    found = register_depth(of_wall(DEPTH, np.eye(4)), DEPTH, COLOR)
    error = np.abs(found - of_wall(COLOR, np.eye(4)))[found > 0]
    assert error.max() < 0.01


def test_the_nearest_is_seen():
    """A pole before a wall hides what the depth camera sees beside it."""
    depth = np.full((120, 160), 3.0, np.float32)
    depth[:, 78:84] = 1.0
    beside = make_pose(np.eye(3), [0.1, 0.0, 0.0])
    found = register_depth(depth, DEPTH, COLOR, beside)
    assert 4 <= (found[60] == 1.0).sum() <= 6
    gap = found[60] == 0
    assert gap[20:-20].sum() >= 5  # what only the color camera sees


def test_holes_stay():
    depth = of_wall(DEPTH, np.eye(4))
    depth[40:60, 50:80] = 0.0
    depth[70:90, 50:80] = np.nan
    found = register_depth(depth, DEPTH, COLOR)
    assert 0.8 < (found[20:-20, 20:-20] == 0).sum() / (1200 * (131 / 146) ** 2) < 1.1


def test_behind_the_color_camera():
    turned = make_pose(so3_exp([0.0, np.pi, 0.0]), np.zeros(3))
    assert not register_depth(of_wall(DEPTH, np.eye(4)), DEPTH, COLOR, turned).any()


def test_of_another_size():
    with pytest.raises(ValueError, match='not that of its camera'):
        register_depth(np.ones((4, 4), np.float32), DEPTH, COLOR)


class TestSmoothDepth:
    AROUND = np.array([(x, y) for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0)])

    def at(self, depth, x, y):
        return smooth_depth(depth, np.array([[x, y]])[:, None] + self.AROUND)[0]

    def test_mean(self):
        depth = np.fromfunction(lambda y, x: 2.0 + 0.01 * x, (8, 8)).astype(np.float32)
        assert self.at(depth, 3.2, 4.0) == pytest.approx(2.03)

    def test_edge(self):
        depth = np.full((8, 8), 2.0, np.float32)
        depth[:, 4:] = 3.0
        assert self.at(depth, 3, 4) == 0.0
        assert self.at(depth, 2, 4) == 2.0

    @pytest.mark.parametrize('hole', [0.0, np.nan, np.inf, -np.inf])
    def test_holes(self, hole):
        depth = np.full((8, 8), 2.0, np.float32)
        depth[:, 4] = hole
        assert self.at(depth, 3, 4) == 2.0
        depth[:, 3] = hole
        assert self.at(depth, 3, 4) == 0.0

    def test_beyond_the_border(self):
        assert self.at(np.full((8, 8), 2.0, np.float32), -3, 20) == 2.0
