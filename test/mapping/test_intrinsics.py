"""Calibrations of keyframes, changed."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.geometry.cameras import Camera
from aceg_ros.mapping.intrinsics import DEVIATIONS, Intrinsics, changed

PINHOLE = Camera.pinhole(320, 240, 300.0, 301.0, 158.0, 121.0)
K = PINHOLE.K
DISTORTED = Camera('plumb_bob', 320, 240, K, [-0.2, 0.05, 0.001, -0.002, 0.01])
CAMERAS = {
    'pinhole': PINHOLE,
    'one coefficient': Camera('plumb_bob', 320, 240, K, [-0.1]),
    'plumb_bob': DISTORTED,
    'rational': Camera('rational_polynomial', 320, 240, K, [0.1, 0, 0, 0, 0, 0.2, 0, 0]),
    'fisheye': Camera('equidistant', 320, 240, K, [-0.01, 0.004, -0.001, 0.0001]),
}
CHANGE = np.array([0.01, -0.02, 0.03, -0.05, 0.02])


class TestChanged:
    @pytest.mark.parametrize('camera', CAMERAS.values(), ids=list(CAMERAS))
    def test_by_nothing(self, camera):
        assert changed(camera, np.zeros(5)) == camera

    @pytest.mark.parametrize('camera', CAMERAS.values(), ids=list(CAMERAS))
    def test_by_all(self, camera):
        after = changed(camera, CHANGE)
        np.testing.assert_allclose(after.K[[0, 1], [0, 1]], [303.0, 304.01])
        np.testing.assert_allclose(after.K[:2, 2], [158.0 - 6.0, 121.0 + 9.03])
        before = np.zeros(2)
        before[: camera.distortion.size] = camera.distortion[:2]
        np.testing.assert_allclose(after.distortion[:2], before + [-0.05, 0.02])
        np.testing.assert_array_equal(after.distortion[2:], camera.distortion[2:])
        assert after.model == ('plumb_bob' if camera.model == 'pinhole' else camera.model)

    def test_a_change_is_the_same_at_any_size(self):
        """Keyframes are worked on at another size than their images have."""
        half = changed(DISTORTED.scaled(160, 120), CHANGE)
        assert half.is_like(changed(DISTORTED, CHANGE))


class TestIntrinsics:
    CHANGES = np.stack([CHANGE, -CHANGE])

    @pytest.fixture
    def intrinsics(self):
        return Intrinsics.of([DISTORTED, PINHOLE, DISTORTED])

    def test_each_camera_once(self, intrinsics):
        assert intrinsics.given == (DISTORTED, PINHOLE)
        assert intrinsics.of_keyframe.tolist() == [0, 1, 0]
        assert intrinsics.unchanged().shape == (2, len(DEVIATIONS))
        np.testing.assert_allclose(intrinsics.focals, np.sqrt(300 * 301.0))

    def test_cameras_of_keyframes(self, intrinsics):
        first, second, third = intrinsics.cameras(self.CHANGES)
        assert first == third == changed(DISTORTED, CHANGE)
        assert second == changed(PINHOLE, -CHANGE)

    def test_rays_are_of_the_own_camera(self, intrinsics):
        pixels = np.array([[10.0, 20], [300, 30], [150, 200]])
        keyframe = np.array([1, 0, 2])
        rays = intrinsics.rays(pixels, keyframe, self.CHANGES)
        for ray, pixel, index in zip(rays, pixels, keyframe, strict=True):
            camera = intrinsics.cameras(self.CHANGES)[index]
            np.testing.assert_allclose(ray, camera.rays(pixel[None])[0], atol=1e-9)

    def test_pixels_of_rays(self, intrinsics):
        pixels = np.array([[10.0, 20], [300, 30], [150, 200]])
        keyframe = np.array([1, 0, 2])
        rays = intrinsics.rays(pixels, keyframe, self.CHANGES)
        again = intrinsics.pixels(rays, keyframe, self.CHANGES)
        np.testing.assert_allclose(again, pixels, atol=1e-4)

    def test_cameras_of_few_keyframes_are_not_adjusted(self):
        """A phone's is another in each image."""
        each = [Camera.pinhole(320, 240, 300.0 + f, 300.0 + f, 158.0, 121.0) for f in range(8)]
        assert not Intrinsics.of(each).adjustable.any()
        assert Intrinsics.of([PINHOLE] * 8 + each).adjustable.tolist() == [True] + [False] * 8
        assert Intrinsics.of([PINHOLE] * 4).adjustable.all()
