"""The buffer: changed copies whose patches are still supervised by the right rays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.encoder.view import cropped_view
from aceg_ros.errors import FitCancelled, FitError, ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, so3_exp, transform_points
from aceg_ros.mapping.ace_g.buffer import changed_view, fill_ace_g_buffer
from aceg_ros.mapping.ace_g.schedule import AceGSchedule
from aceg_ros.monitor import Monitor

SCHEDULE = AceGSchedule(steps=5, batch=10, buffer=500, per_view=40, light=0.0)
CPU = torch.device('cpu')
MIDDLE = np.array([[0, 0, 80.0], [0, 0, 60.0], [0, 0, 0]])
CAMERAS = [
    Camera.pinhole(160, 120, 130.0, 130.0, 77.0, 62.0),
    Camera(
        'plumb_bob', 160, 120, np.diag([130.0, 130.0, 1.0]) + MIDDLE, np.array([-0.2, 0.05, 0, 0])
    ),
    Camera('equidistant', 160, 120, np.diag([70.0, 70.0, 1.0]) + MIDDLE, np.array([0.01, 0, 0, 0])),
]


class ColorEncoder:
    """The color at the middle of each patch, as a feature."""

    name = identity = 'colors'
    stride, dim = 14, 3
    device = CPU
    max_similarity = 1.0
    short_steps = False

    def __init__(self):
        self.sizes: list[tuple[int, int]] = []

    def view(self, image, camera):
        return cropped_view(image, camera, 480, 14)

    def encode(self, images):
        self.sizes.append(tuple(images.shape[2:]))
        rows, columns = images.shape[2] // 14, images.shape[3] // 14
        whole = images[..., : rows * 14, : columns * 14].float()
        features = torch.nn.functional.avg_pool2d(whole, 14)
        return PatchFeatures(features, torch.ones(1, rows, columns), 14)


def graded(camera: Camera, index: int = 0) -> Frame:
    """An image whose colors tell their place: red is x, green is y, up to 240 at the far side."""
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    channels = [240 * x / camera.width, 240 * y / camera.height, np.full_like(x, 128)]
    image = np.stack(channels, axis=-1).round().astype(np.uint8)
    pose = make_pose(so3_exp(np.array([0.3, -0.2, 0.1 * index])), np.array([1.0, 2.0, index]))
    return Frame(f'view {index}', camera, lambda: image, pose)


class TestChangedView:
    @pytest.mark.parametrize('camera', CAMERAS, ids=lambda camera: camera.model)
    @pytest.mark.parametrize('seed', range(4))
    def test_targets_are_where_the_patch_looks(self, camera, seed):
        """A point on the ray of the patch's own place projects onto its target."""
        frame, encoder = graded(camera), ColorEncoder()
        view = changed_view(frame, encoder, SCHEDULE, 40, np.random.default_rng(seed))
        assert len(view.features) == 40
        size = np.array([camera.width, camera.height])
        places = view.features[:, :2].double().numpy() / 240 * size
        points = transform_points(frame.world_from_cam, 5.0 * camera.rays(places))
        local = transform_points(view.cam_from_world, points)
        projected = view.focal * local[:, :2] / local[:, 2:]
        error = np.abs(projected - view.targets.numpy()).max(axis=1) * camera.focal / view.focal
        assert np.median(error) < 0.5  # px of the image; colors are good to a third

    def test_sizes_and_turns_are_those_of_the_paper(self):
        frame, encoder, rng = graded(CAMERAS[0]), ColorEncoder(), np.random.default_rng(0)
        views = [changed_view(frame, encoder, SCHEDULE, 5, rng) for _ in range(60)]
        short = np.array([min(size) for size in encoder.sizes])
        assert (short.min() >= 320, short.max() <= 720) == (True, True)
        assert short.std() > 80
        np.testing.assert_allclose([v.focal for v in views], 130 * short / 120, rtol=0.01)
        turns = []
        for view in views:
            turning = view.cam_from_world[:3, :3] @ frame.world_from_cam[:3, :3]
            np.testing.assert_allclose(turning[2], [0, 0, 1], atol=1e-9)
            turns.append(np.degrees(np.arctan2(turning[0, 1], turning[0, 0])))
        assert (np.abs(turns).max() <= 15, np.std(turns) > 5) == (True, True)

    def test_light_changes_by_a_tenth_at_most(self):
        frame, rng = graded(CAMERAS[0]), np.random.default_rng(0)
        schedule = replace(SCHEDULE, light=0.1, zoom=(1.0, 1.0), turn=0.0)
        blue = [
            float(changed_view(frame, ColorEncoder(), schedule, 40, rng).features[:, 2].mean())
            for _ in range(40)
        ]
        assert (min(blue) > 128 * 0.8, max(blue) < 128 * 1.2) == (True, True)
        assert np.std(blue) > 3


def fill(frames, size=500, schedule=SCHEDULE, **calls):
    rng = np.random.default_rng(0)
    monitor = Monitor(**calls)
    return fill_ace_g_buffer(frames, ColorEncoder(), schedule, size, CPU, rng, monitor)


class TestFilling:
    def test_all_frames_in_turn_until_it_is_full(self):
        frames = [graded(CAMERAS[0], index) for index in range(6)]
        buffer, used, skipped = fill(frames)
        assert len(buffer) == 500
        assert used == frames
        assert not skipped
        assert len(buffer.focal) == len(buffer.cam_from_world) == 13  # 40 of each
        counts = buffer.view.bincount()
        assert counts[:-1].tolist() == [40] * 12
        assert buffer.features.dtype == torch.float16
        assert torch.isfinite(buffer.targets).all()

    def test_a_small_one_has_some_of_every_frame(self):
        buffer, _, _ = fill([graded(CAMERAS[0], index) for index in range(10)], size=60)
        assert buffer.view.bincount().tolist() == [6] * 10

    def test_broken_frames_are_named(self):
        frames = [graded(CAMERAS[0], index) for index in range(7)]

        def broken():
            raise ImageError('torn')

        frames[2] = replace(frames[2], load_image=broken)
        frames[4] = replace(frames[4], world_from_cam=None)
        buffer, used, skipped = fill(frames)
        assert [frame.name for frame in used] == [f'view {i}' for i in (0, 1, 3, 5, 6)]
        assert [words.split(':')[0] for words in skipped] == ['view 2', 'view 4']
        assert len(buffer) == 500

    def test_too_few(self):
        with pytest.raises(FitError, match='at least 5'):
            fill([graded(CAMERAS[0], index) for index in range(4)])

    def test_cancelled(self):
        with pytest.raises(FitCancelled):
            fill([graded(CAMERAS[0], index) for index in range(6)], cancelled=lambda: True)
