"""Recordings as datasets, and what the sensor adds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds import Sensor, World, record, sense, tour


def test_frames_carry_pose_image_and_depth(world: World, camera: Camera) -> None:
    poses = tour(world, 6, 7)
    dataset = record(world, camera, poses, name='room', split='train', supersample=1)
    assert dataset.metric
    assert [frame.name for frame in dataset.frames][:2] == ['room-000000', 'room-000001']
    frame = dataset.select(split='train').frames[3]
    np.testing.assert_allclose(frame.world_from_cam, poses[3])
    depth = frame.depth()
    assert depth is not None
    assert frame.image().shape == (120, 160, 3)
    assert depth.shape == (120, 160)
    assert frame.stamp == pytest.approx(0.1)
    np.testing.assert_array_equal(frame.image(), frame.image())


class TestSensor:
    @pytest.fixture
    def rgb(self) -> torch.Tensor:
        checks = (torch.arange(64)[:, None] // 8 + torch.arange(64) // 8) % 2
        return (80 + 100 * checks)[None, :, :, None].expand(1, 64, 64, 3).to(torch.uint8)

    def test_perfect_sensor_changes_nothing(self, rgb: torch.Tensor) -> None:
        perfect = Sensor(blur=0, motion=0, vignetting=0, noise=0)
        assert torch.equal(sense(rgb, perfect, 0), rgb)

    def test_noise_is_as_strong_as_asked_for(self, rgb: torch.Tensor) -> None:
        noisy = sense(rgb, Sensor(blur=0, vignetting=0, noise=0.02), 0)
        assert float((noisy.float() - rgb).std()) == pytest.approx(0.02 * 255, rel=0.1)
        assert torch.equal(noisy, sense(rgb, Sensor(blur=0, vignetting=0, noise=0.02), 0))

    def test_vignetting_darkens_corners_only(self, rgb: torch.Tensor) -> None:
        dark = sense(rgb, Sensor(blur=0, vignetting=0.5, noise=0), 0)
        assert float(dark[0, 0, 0].float().mean()) == pytest.approx(80 * 0.5**0.5, abs=2)
        assert torch.equal(dark[0, 32, 32], rgb[0, 32, 32])

    @pytest.mark.parametrize('sensor', [Sensor(blur=2, noise=0), Sensor(blur=0, motion=6, noise=0)])
    def test_blur_lowers_contrast_and_keeps_light(self, rgb: torch.Tensor, sensor: Sensor) -> None:
        soft = sense(rgb, Sensor(sensor.blur, sensor.motion, 0, 0), 3).float()
        assert float(soft.mean()) == pytest.approx(float(rgb.float().mean()), abs=1)
        assert float(soft.std()) < 0.95 * float(rgb.float().std())
