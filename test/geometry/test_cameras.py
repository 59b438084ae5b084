"""Camera models: round trips, OpenCV as the oracle, edges of the models, bad calibrations."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from aceg_ros.errors import CameraError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix, turned_from_cam
from aceg_ros.geometry.poses import transform_points

K = intrinsic_matrix(517.3, 431.5, 288.6, 275.3)
WIDE_K = intrinsic_matrix(310.0, 300.0, 350.2, 210.7)
FISHEYE_K = intrinsic_matrix(284.468, 285.51, 424.355, 393.742)

CAMERAS = {
    'pinhole': Camera('pinhole', 640, 480, K),
    'pinhole_center_outside': Camera.pinhole(640, 480, 400.0, 410.0, -30.0, 700.0),
    'plumb_bob': Camera('plumb_bob', 640, 480, K, [0.2624, -0.9531, -0.0054, 0.0026, 1.1633]),
    'plumb_bob_radial_only': Camera('plumb_bob', 640, 480, K, [-0.2, 0.05]),
    'plumb_bob_strong': Camera('plumb_bob', 640, 480, WIDE_K, [-0.28, 0.074, 0.002, -0.003]),
    'rational': Camera(
        'rational_polynomial',
        640,
        480,
        WIDE_K,
        [16.7, 30.3, 1.2e-3, -8e-4, 4.1, 17.0, 36.0, 12.9],
    ),
    'equidistant': Camera('equidistant', 848, 800, FISHEYE_K, [0.0008, 0.031, -0.03, 0.005]),
    'equidistant_strong': Camera('equidistant', 848, 800, FISHEYE_K, [-0.05, 0.01, -0.004, 0.0004]),
}

all_cameras = pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS.keys())
strong_fold = Camera('plumb_bob', 640, 480, K, [-0.4, 0.0])


def pixel_grid(camera, step=13):
    v, u = np.mgrid[0 : camera.height : step, 0 : camera.width : step]
    corners = [[-0.5, -0.5], [camera.width - 0.5, camera.height - 0.5]]
    return np.concatenate([np.stack([u.ravel(), v.ravel()], axis=1), corners]).astype(np.float64)


def project_with_opencv(camera, points):
    zero = np.zeros(3)
    if camera.model == 'equidistant':
        pixels, _ = cv2.fisheye.projectPoints(
            points[:, None], zero, zero, camera.K, camera.distortion
        )
    else:
        coefficients = np.zeros(8)
        coefficients[: camera.distortion.size] = camera.distortion
        pixels, _ = cv2.projectPoints(points, zero, zero, camera.K, coefficients)
    return pixels[:, 0]


class TestTurned:
    @all_cameras
    @pytest.mark.parametrize('turn', [-1, 0, 1, 2, 3])
    def test_a_turned_camera_sees_the_turned_image(self, camera, turn):
        grid = pixel_grid(camera)
        points = 3.0 * camera.rays(grid)
        seen = np.isfinite(points).all(axis=1)
        turned = camera.turned(turn)
        pixels = turned.project(transform_points(turned_from_cam(turn), points[seen]))
        expected = camera.turned_pixels(grid[seen], turn)
        np.testing.assert_allclose(pixels, expected, atol=1e-6)

    @pytest.mark.parametrize('turn', [0, 1, 2, 3])
    def test_pixels_turn_as_numpy_turns_images(self, turn):
        camera = Camera.pinhole(5, 3, 4.0, 4.0, 2.0, 1.0)
        image = np.arange(15).reshape(3, 5)
        turned = camera.turned(turn)
        assert np.rot90(image, turn).shape == (turned.height, turned.width)
        v, u = np.mgrid[:3, :5]
        x, y = camera.turned_pixels(np.stack([u.ravel(), v.ravel()], axis=1), turn).astype(int).T
        np.testing.assert_array_equal(np.rot90(image, turn)[y, x], image.ravel())


class TestRoundTrip:
    @all_cameras
    def test_pixel_ray_pixel(self, camera):
        pixels = pixel_grid(camera)
        rays = camera.rays(pixels)
        np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1.0, atol=1e-12)
        distances = np.linspace(0.1, 50.0, len(rays))[:, None]
        np.testing.assert_allclose(camera.project(rays * distances), pixels, rtol=0, atol=1e-6)

    def test_equidistant_beyond_90_degrees(self):
        camera = Camera('equidistant', 848, 800, FISHEYE_K, [0.0008, 0.0, 0.0, 0.0])
        angles = np.deg2rad([0.0, 45.0, 89.999, 90.0, 91.0, 120.0])
        rays = np.stack([np.sin(angles) * 0.6, -np.sin(angles) * 0.8, np.cos(angles)], axis=1)
        pixels = camera.project(rays)
        assert np.isfinite(pixels).all()
        np.testing.assert_allclose(camera.rays(pixels), rays, atol=1e-9)

    @all_cameras
    def test_empty(self, camera):
        assert camera.project(np.zeros((0, 3))).shape == (0, 2)
        assert camera.rays(np.zeros((0, 2))).shape == (0, 3)


class TestAgainstOpenCV:
    @all_cameras
    def test_project(self, camera):
        rng = np.random.default_rng(3)
        points = rng.uniform([-0.5, -0.4, 1.0], [0.5, 0.4, 4.0], size=(200, 3))
        expected = project_with_opencv(camera, points)
        np.testing.assert_allclose(camera.project(points), expected, atol=1e-8)

    @all_cameras
    def test_rays_meet_their_pixels(self, camera):
        pixels = pixel_grid(camera)
        rays = camera.rays(pixels)
        ahead = rays[:, 2] > 0.1
        assert ahead.mean() > 0.5
        expected = project_with_opencv(camera, rays[ahead])
        np.testing.assert_allclose(expected, pixels[ahead], rtol=0, atol=1e-6)


class TestDomain:
    @pytest.mark.parametrize('name', ['pinhole', 'plumb_bob', 'rational'])
    def test_nan_behind_and_beside(self, name):
        points = np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0], [0.0, 0.0, 0.0], [0.1, 0.1, 1.0]])
        seen = np.isfinite(CAMERAS[name].project(points)).all(axis=1)
        np.testing.assert_array_equal(seen, [False, False, False, True])

    def test_equidistant_straight_behind(self):
        points = np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
        pixels = CAMERAS['equidistant'].project(points)
        assert np.isnan(pixels[:2]).all()
        np.testing.assert_allclose(pixels[2], FISHEYE_K[:2, 2])

    def test_points_beyond_the_fold_are_not_drawn_into_the_image(self):
        # r (1 - 0.4 r^2) turns at r = 0.913; at r = 1.5 OpenCV gives a pixel inside the image.
        pixels = strong_fold.project(np.array([[0.9, 0.0, 1.0], [1.5, 0.0, 1.0]]))
        assert np.isfinite(pixels[0]).all()
        assert np.isnan(pixels[1]).all()

    def test_pixels_no_ray_meets_are_nan(self):
        reach = 517.3 * 0.913 * (1 - 0.4 * 0.913**2)
        pixels = K[:2, 2] + np.array([[reach - 1.0, 0.0], [reach + 1.0, 0.0]])
        finite = np.isfinite(strong_fold.rays(pixels)).all(axis=1)
        np.testing.assert_array_equal(finite, [True, False])

    @all_cameras
    def test_nan_in_nan_out(self, camera):
        assert np.isnan(camera.project(np.full((1, 3), np.nan))).all()
        assert np.isnan(camera.rays(np.full((1, 2), np.nan))).all()

    def test_wrong_shapes(self):
        with pytest.raises(ValueError, match=r'\(N, 3\)'):
            CAMERAS['pinhole'].project(np.zeros((4, 2)))
        with pytest.raises(ValueError, match=r'\(N, 2\)'):
            CAMERAS['pinhole'].rays(np.zeros(2))


class TestScaled:
    @all_cameras
    def test_same_rays_at_half_size(self, camera):
        half = camera.scaled(camera.width // 2, camera.height // 4)
        pixels = pixel_grid(half)
        full = (pixels + 0.5) * [2.0, 4.0] - 0.5
        np.testing.assert_allclose(half.rays(pixels), camera.rays(full), atol=1e-9)
        assert (half.width, half.height) == (camera.width // 2, camera.height // 4)

    def test_matches_area_averaging(self):
        # Four pixels with centers 0..3 average to one pixel center at 1.5.
        camera = Camera.pinhole(640, 480, 500.0, 500.0, 1.5, 1.5)
        np.testing.assert_allclose(camera.scaled(160, 120).K[:2, 2], 0.0)

    def test_back_again(self):
        camera = CAMERAS['plumb_bob']
        back = camera.scaled(320, 160).scaled(640, 480)
        np.testing.assert_allclose(back.K, camera.K)


class TestValue:
    @all_cameras
    def test_json_round_trip(self, camera):
        copy = Camera.from_dict(json.loads(json.dumps(camera.to_dict())))
        assert copy == camera
        assert hash(copy) == hash(camera)

    def test_differs(self):
        distinct = {CAMERAS['plumb_bob'], CAMERAS['pinhole'], CAMERAS['pinhole'].scaled(320, 240)}
        assert len(distinct) == 3
        assert CAMERAS['pinhole'] != 'pinhole'

    def test_arrays_are_read_only_copies(self):
        matrix = K.copy()
        camera = Camera('pinhole', 640, 480, matrix)
        matrix[0, 0] = 1.0
        assert camera.K[0, 0] == 517.3
        with pytest.raises(ValueError, match='read-only'):
            camera.K[0, 0] = 1.0

    def test_focal(self):
        assert Camera.pinhole(64, 48, 400.0, 900.0, 32, 24).focal == pytest.approx(600.0)


class TestBadCalibration:
    @pytest.mark.parametrize(
        ('change', 'reason'),
        [
            ({'K': np.zeros((3, 3))}, 'not calibrated'),
            ({'K': np.full((3, 3), np.nan)}, 'nan'),
            ({'K': np.eye(4)}, 'shape'),
            ({'K': 'none'}, 'no number'),
            ({'K': K + np.eye(3)[[1, 0, 2]] * [5.0, 5.0, 0.0]}, 'order'),
            ({'K': K + np.eye(3)[[1, 0, 2]] * [0.0, 5.0, 0.0]}, 'skew of 5.*fix-skew'),
            ({'width': 0}, 'not positive'),
            ({'model': 'omni'}, 'unknown'),
            ({'distortion': [0.1]}, '0 distortion coefficients'),
            ({'model': 'plumb_bob', 'distortion': [0.1, 0.2, 0.3]}, 'not 3'),
            ({'model': 'rational_polynomial', 'distortion': [0.1] * 5}, 'not 5'),
            ({'model': 'equidistant', 'distortion': []}, 'not 0'),
            ({'model': 'plumb_bob', 'distortion': [0.1, np.inf]}, 'nan or infinite'),
        ],
    )
    def test_refused(self, change, reason):
        values = {'model': 'pinhole', 'width': 640, 'height': 480, 'K': K, 'distortion': []}
        with pytest.raises(CameraError, match=reason):
            Camera(**{**values, **change})

    def test_description_without_an_entry(self):
        values = CAMERAS['pinhole'].to_dict()
        del values['K']
        with pytest.raises(CameraError, match='K'):
            Camera.from_dict(values)

    def test_scaled_to_nothing(self):
        with pytest.raises(CameraError, match='not positive'):
            CAMERAS['pinhole'].scaled(0, 10)
