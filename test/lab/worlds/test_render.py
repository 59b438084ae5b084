"""Rendering: depth against geometry, agreement between views, light, lenses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.lab.worlds import LIGHTS, Light, World, look, render, render_depth, tour


def _pixels(camera: Camera) -> np.ndarray:
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float64)


class TestDepth:
    def test_wall_seen_straight_on_has_one_depth(self, bare: World, camera: Camera) -> None:
        pose = look(np.array([-1.0, 0.0, 2.0]), np.pi, 0.0)
        depth = render_depth(bare, camera, pose[None])[0]
        assert float(depth[40:80, 60:100].min()) == pytest.approx(1.0, abs=1e-5)
        assert float(depth[40:80, 60:100].max()) == pytest.approx(1.0, abs=1e-5)

    def test_points_lie_on_the_surfaces(self, bare: World, camera: Camera) -> None:
        pose = look(np.array([-1.6, -1.5, 2.2]), 0.8, -0.6, 0.2)
        depth = render_depth(bare, camera, pose[None])[0].numpy().ravel()
        rays = camera.rays(_pixels(camera))
        points = transform_points(pose, rays / rays[:, 2:] * depth[:, None])
        room = np.minimum(np.abs(np.abs(points) - (2, 2, 9)).min(1), np.abs(points[:, 2]))
        room = np.minimum(room, np.abs(points[:, 2] - 3))
        box = np.abs(np.abs(points - (0, 0, 0.5)).max(1) - 0.5)
        assert np.minimum(room, box).max() < 1e-4
        assert (box < 1e-4).mean() > 0.05

    def test_supersampled_depth_belongs_to_pixel_centers(
        self, world: World, camera: Camera
    ) -> None:
        pose = tour(world, 3, 1)[:1]
        exact = render_depth(world, camera, pose)
        for supersample in (1, 2, 3):
            depth = render(world, camera, pose, supersample=supersample).depth
            torch.testing.assert_close(depth, exact, rtol=1e-4, atol=1e-4)

    def test_nothing_outside_the_world(self, bare: World, camera: Camera) -> None:
        pose = look(np.array([9.0, 0.0, 1.0]), 0.0, 0.0)
        view = render(bare, camera, pose[None], supersample=1)
        assert not view.depth.any()
        assert not view.rgb.any()


def test_views_agree_where_both_see(world: World, camera: Camera) -> None:
    poses = tour(world, 40, 2)[[5, 13]]
    view = render(world, camera, poses, supersample=3)
    depth, rgb = view.depth.numpy(), view.rgb.numpy().astype(np.float32)
    rays = camera.rays(_pixels(camera))
    points = transform_points(poses[0], rays / rays[:, 2:] * depth[0].reshape(-1, 1))
    in_second = transform_points(inverse(poses[1]), points)
    where = camera.project(in_second)
    inside = (where > 1).all(1) & (where < (camera.width - 2, camera.height - 2)).all(1)
    assert inside.mean() > 0.2
    x, y = where[inside].T.astype(np.float32)
    seen = cv2.remap(depth[1], x[None], y[None], cv2.INTER_LINEAR)[0]
    same = np.abs(seen / in_second[inside, 2] - 1) < 0.01
    assert same.mean() > 0.7
    color = cv2.remap(rgb[1], x[None], y[None], cv2.INTER_LINEAR)[0]
    difference = np.abs(color - rgb[0].reshape(-1, 3)[inside])[same].mean(1)
    assert np.median(difference) < 5


def test_batch_equals_single_views(world: World, camera: Camera) -> None:
    poses = tour(world, 30, 3)[::6]
    batch = render(world, camera, poses, supersample=1)
    for k, pose in enumerate(poses):
        single = render(world, camera, pose[None], supersample=1)
        assert torch.equal(single.rgb[0], batch.rgb[k])
        torch.testing.assert_close(single.depth[0], batch.depth[k])


class TestLight:
    @pytest.mark.parametrize('name', sorted(set(LIGHTS) - {'all'}))
    def test_changes_color_not_depth(self, world: World, camera: Camera, name: str) -> None:
        pose = tour(world, 5, 4)[:1]
        plain = render(world, camera, pose, supersample=1)
        other = render(world, camera, pose, LIGHTS[name], supersample=1)
        assert (plain.rgb.float() - other.rgb.float()).abs().mean() > 2
        assert torch.equal(plain.depth, other.depth)

    def test_exposure_brightens(self, world: World, camera: Camera) -> None:
        pose = tour(world, 5, 4)[:1]
        dark, plain, bright = (
            render(world, camera, pose, Light(exposure=stops), supersample=1).rgb.float().mean()
            for stops in (-1.0, 0.0, 1.0)
        )
        assert dark < 0.85 * plain < 0.85 * bright

    def test_box_shades_the_floor(self, bare: World) -> None:
        # The lamp hangs over the cube: the floor beside it is dark, near the walls it is lit.
        light = Light(ambient=0.0)
        lit = bare.light_map.lit(torch.tensor(light.levels()))
        top = torch.nonzero(bare.solids.center[:, 2] == -0.5)[0] * 6 + 4
        beside, away = torch.tensor([[0.5], [0.6]]), torch.tensor([[0.5], [0.8]])
        dark = bare.light_map.sample(lit, top, beside).mean()
        bright = bare.light_map.sample(lit, top, away).mean()
        assert dark < 0.5 * bright


def test_fisheye_sees_beyond_a_right_angle(bare: World) -> None:
    K = np.array([[60.0, 0, 99.5], [0, 60.0, 99.5], [0, 0, 1]])
    camera = Camera('equidistant', 200, 200, K, np.zeros(4))
    pose = look(np.array([-1.0, 0.0, 2.0]), np.pi, 0.0)
    view = render(bare, camera, pose[None], supersample=1)
    rays = camera.rays(_pixels(camera)).reshape(200, 200, 3)
    ahead = np.isfinite(rays).all(-1) & (rays[..., 2] > 0.05)
    depth = view.depth[0].numpy()
    assert (depth[ahead] > 0).all()
    # A point behind the image plane has negative depth along the axis; it is seen all the same.
    behind = np.isfinite(rays).all(-1) & (rays[..., 2] < -0.05)
    assert behind.any()
    assert (view.rgb[0].numpy()[behind].sum(-1) > 0).mean() > 0.99
    middle = view.depth[0, 90:110, 90:110]
    torch.testing.assert_close(middle, torch.ones_like(middle), rtol=0, atol=1e-4)


def test_typical_views_have_features(world: World) -> None:
    camera = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)
    images = render(world, camera, tour(world, 60, 6)[::20], supersample=1).rgb.numpy()
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    assert np.median([len(cv2.SIFT_create().detect(image)) for image in gray]) > 300


@pytest.mark.parametrize(
    ('poses', 'supersample', 'message'),
    [(np.eye(4), 1, r'\(B, 4, 4\)'), (np.eye(4)[None], 0, 'supersample')],
)
def test_bad_arguments_are_named(
    bare: World, camera: Camera, poses: np.ndarray, supersample: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        render(bare, camera, poses, supersample=supersample)
