"""Training the encoder: losses, pairs with true correspondences, and a run of seconds."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pictures import cloudy

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.encoder.compact import CompactEncoder
from aceg_ros.errors import DatasetError, WeightsError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.encoder_training.light import relight, relit
from aceg_ros.lab.encoder_training.loop import TrainingOptions, train
from aceg_ros.lab.encoder_training.losses import distillation, matching, reading, sample
from aceg_ros.lab.encoder_training.pairs import HomographyPairs, PosedPairs
from aceg_ros.lab.encoder_training.sources import collect
from aceg_ros.lab.encoder_training.teacher import Teacher


@pytest.fixture
def rng():
    return np.random.default_rng(3)


class TestDistillation:
    def test_by_hand(self):
        teacher = F.normalize(torch.randn(2, 64, 3, 4), dim=1)
        assert float(distillation(teacher, teacher)) == pytest.approx(0, abs=1e-6)
        assert float(distillation(-teacher, teacher)) == pytest.approx(2, abs=1e-6)


class TestSample:
    def test_at_patch_centers_gives_the_features(self):
        features = F.normalize(torch.randn(64, 5, 7), dim=0)
        centers = torch.from_numpy(PatchFeatures.grid(7, 5, 8)).float()
        torch.testing.assert_close(
            sample(features, centers), features.flatten(1).T, atol=1e-5, rtol=0
        )

    def test_between_two_patches_gives_their_mean(self):
        features = F.normalize(torch.randn(64, 5, 7), dim=0)
        (read,) = sample(features, torch.tensor([[7.5, 3.5]]))
        mean = F.normalize(features[:, 0, 0] + features[:, 0, 1], dim=0)
        torch.testing.assert_close(read, mean, atol=1e-5, rtol=0)


class TestReading:
    @pytest.fixture
    def smooth(self):
        """Features whose similarity falls off with the distance between patches."""
        noise = torch.randn(1, 64, 12, 14, generator=torch.Generator().manual_seed(0))
        return F.normalize(F.interpolate(noise, scale_factor=2, mode='bicubic')[0], dim=0)

    def test_places_at_patch_centers(self, smooth):
        centers = torch.from_numpy(PatchFeatures.grid(28, 24, 8)).float()
        own = smooth.flatten(1).T
        assert float(reading(own, smooth, centers, torch.tensor(1e4))) == pytest.approx(0, abs=1e-4)

    def test_is_the_distance_in_patches(self, smooth):
        centers = torch.from_numpy(PatchFeatures.grid(28, 24, 8)).float()
        inner = (centers > 40).all(dim=1) & (centers < 150).all(dim=1)
        own = smooth.flatten(1).T[inner]
        off = reading(own, smooth, centers[inner] + torch.tensor([8.0, 0.0]), torch.tensor(1e4))
        assert float(off) == pytest.approx(1, abs=1e-3)

    def test_falls_where_similarity_tells_places_between_patches(self, smooth):
        points2d = 40 + 100 * torch.rand(200, 2, generator=torch.Generator().manual_seed(1))
        between = sample(smooth, points2d)
        sharp = reading(between, smooth, points2d, torch.tensor(40.0))
        blunt = reading(between, smooth, points2d, torch.tensor(1e4))  # the nearest patch at best
        assert float(sharp) < 0.8 * float(blunt)


class TestMatching:
    PLACES = torch.tensor([[4.0, 4.0], [100.0, 4.0], [200.0, 4.0]])

    def test_perfect_features(self):
        same = torch.eye(3, 8)
        loss, probability = matching(same, same, torch.zeros(3), self.PLACES, torch.tensor(50.0))
        assert float(loss) == pytest.approx(0, abs=1e-4)
        torch.testing.assert_close(probability, torch.ones(3), atol=1e-4, rtol=0)

    def test_features_that_say_nothing(self):
        same = F.normalize(torch.ones(3, 8), dim=1)
        loss, probability = matching(same, same, torch.zeros(3), self.PLACES, torch.tensor(50.0))
        assert float(loss) == pytest.approx(math.log(3), abs=1e-4)
        torch.testing.assert_close(probability, torch.full((3,), 1 / 9), atol=1e-4, rtol=0)

    def test_wrong_features(self):
        first = torch.eye(3, 8)
        loss, _ = matching(
            first, first.roll(1, dims=0), torch.zeros(3), self.PLACES, torch.tensor(50.0)
        )
        assert float(loss) > 40

    def test_neighbors_are_no_wrong_answers(self):
        places = torch.tensor([[4.0, 4.0], [10.0, 4.0], [200.0, 4.0]])
        same = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), dim=1)
        near, _ = matching(same, same, torch.zeros(3), places, torch.tensor(50.0))
        apart, _ = matching(same, same, torch.tensor([0, 1, 0]), places, torch.tensor(50.0))
        assert float(near) == pytest.approx(0, abs=1e-4)
        assert float(apart) == pytest.approx(2 / 3 * math.log(2), abs=1e-4)

    def test_probability_carries_no_gradient(self):
        first = torch.randn(3, 8, requires_grad=True)
        loss, probability = matching(first, first, torch.zeros(3), self.PLACES, torch.tensor(5.0))
        assert loss.requires_grad
        assert not probability.requires_grad


def colors_at(image, points2d):
    """Smoothed colors (N, 3) at pixels (N, 2)."""
    smooth = cv2.GaussianBlur(image, (0, 0), 2.0).astype(np.float32)
    x, y = points2d.astype(np.float32).T
    return cv2.remap(smooth, x[None], y[None], cv2.INTER_LINEAR)[0]


def color_differences(pair):
    """Of corresponding points, and of points paired at random."""
    first, second = colors_at(pair.image_a, pair.points_a), colors_at(pair.image_b, pair.points_b)
    mixed = np.random.default_rng(0).permutation(len(first))
    return np.abs(first - second).mean(axis=1), np.abs(first - second[mixed]).mean(axis=1)


class TestHomographyPairs:
    def test_correspondences_show_the_same(self, rng):
        source = HomographyPairs([cloudy(400, 0), cloudy(300, 1)])
        pairs = [pair for pair in (source.draw(rng, 192) for _ in range(20)) if pair]
        assert len(pairs) > 10
        for pair in pairs:
            true, mixed = color_differences(pair)
            assert np.median(true) < 0.35 * np.median(mixed)

    def test_shapes(self, rng):
        source = HomographyPairs([cloudy(150, 0)])
        pair = next(filter(None, (source.draw(rng, 192) for _ in range(50))))
        assert pair.image_a.shape == pair.image_b.shape == (192, 192, 3)
        assert pair.image_a.dtype == np.uint8
        assert pair.points_a.shape == pair.points_b.shape
        for points in (pair.points_a, pair.points_b):
            assert ((points >= 0) & (points <= 191)).all()

    def test_points_a_are_patch_centers(self, rng):
        source = HomographyPairs([cloudy(400, 0)])
        pair = next(filter(None, (source.draw(rng, 192) for _ in range(50))))
        np.testing.assert_allclose((pair.points_a - 3.5) % 8, 0)


class TestPosedPairs:
    def test_correspondences_show_the_same(self, rng, views):
        source = PosedPairs(views, reach=4)
        pairs = [pair for pair in (source.draw(rng, 192) for _ in range(25)) if pair]
        assert len(pairs) > 8
        ratios = []
        for pair in pairs:
            assert pair.image_a.shape == pair.image_b.shape == (192, 192, 3)
            np.testing.assert_allclose((pair.points_a - 3.5) % 8, 0, atol=1e-9)
            true, mixed = color_differences(pair)
            ratios.append(np.median(true) / np.median(mixed))
        assert np.median(ratios) < 0.35

    def test_correspondences_are_the_same_point_in_space(self, views):
        """Of two views, a point behind something in the other has no correspondence."""
        source = PosedPairs(views, reach=4)
        points_a, points_b = source._correspondences(4, 8)
        assert len(points_a) > 200
        in_world = []
        for frame, points in ((views[4], points_a), (views[8], points_b)):
            column, row = points.round().astype(int).T
            rays = frame.camera.rays(points)
            in_camera = rays / rays[:, 2:] * frame.depth()[row, column][:, None]
            pose = frame.world_from_cam
            in_world.append(in_camera @ pose[:3, :3].T + pose[:3, 3])
        assert np.median(np.linalg.norm(in_world[0] - in_world[1], axis=1)) < 0.03

    def test_frames_without_depth_or_pose(self, rng, views):
        assert len(PosedPairs([replace(view, load_depth=None) for view in views], 4)) == 0
        lost = PosedPairs([replace(view, world_from_cam=None) for view in views[:6]], 4)
        assert all(lost.draw(rng, 192) is None for _ in range(10))


class TestRelight:
    def test_changes_light_but_not_place(self, rng):
        image, correlations = cloudy(128, 0), []
        for _ in range(20):
            changed = relight(image, rng)
            assert (changed.shape, changed.dtype) == (image.shape, image.dtype)
            assert (changed != image).any()
            gray = (picture.mean(axis=2).ravel() for picture in (changed, image))
            correlations.append(np.corrcoef(*gray)[0, 1])
        assert np.median(correlations) > 0.6


def plain_teacher(images):
    """Stands for a teacher: every patch has the same feature, which is soon learned."""
    height, width = images.shape[2] // 8, images.shape[3] // 8
    return torch.full((len(images), 64, height, width), 1 / 8)


SMALL = TrainingOptions(minutes=4 / 60, pairs=2, size=96, points=32, checkpoint_seconds=1e9)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The weights after a run of seconds, what each step reported, and the pairs' source."""
    output = tmp_path_factory.mktemp('training') / 'small.safetensors'
    steps = []
    sources = [(1.0, HomographyPairs([cloudy(200, seed) for seed in range(3)]))]
    train(sources, plain_teacher, output, SMALL, torch.device('cpu'), steps.append)
    return output, steps, sources


class TestTraining:
    def test_lowers_the_loss(self, trained):
        losses = [step.distillation for step in trained[1]]
        assert len(losses) >= 8
        part = max(len(losses) // 4, 1)
        assert np.mean(losses[-part:]) < np.mean(losses[:part]) - 0.1

    def test_steps_count_up(self, trained):
        steps = trained[1]
        assert [step.step for step in steps] == list(range(1, len(steps) + 1))
        assert steps[-1].minutes >= SMALL.minutes
        for step in steps:
            assert np.isfinite(
                [step.distillation, step.matching, step.reading, step.reliability]
            ).all()

    def test_weights_can_be_used(self, trained):
        encoder = CompactEncoder.load(trained[0])
        encoded = encoder.encode(torch.randint(0, 256, (1, 3, 96, 128), dtype=torch.uint8))
        assert torch.isfinite(encoded.features).all()

    def test_goes_on_from_the_checkpoint(self, trained, tmp_path):
        output, steps, sources = trained
        copy = tmp_path / output.name
        checkpoint = output.with_suffix('.checkpoint')
        copy.with_suffix('.checkpoint').write_bytes(checkpoint.read_bytes())
        again = []
        longer = replace(SMALL, minutes=steps[-1].minutes + 0.5 / 60)
        train(sources, plain_teacher, copy, longer, torch.device('cpu'), again.append)
        assert again[0].step == steps[-1].step + 1
        assert again[0].minutes > steps[-1].minutes
        assert copy.read_bytes() != output.read_bytes()

    def test_nothing_left_to_do(self, trained):
        output, _, sources = trained
        again = []
        train(sources, plain_teacher, output, SMALL, torch.device('cpu'), again.append)
        assert not again

    def test_damaged_checkpoint(self, trained, tmp_path):
        output, _, sources = trained
        copy = tmp_path / output.name
        data = output.with_suffix('.checkpoint').read_bytes()
        copy.with_suffix('.checkpoint').write_bytes(data[: len(data) // 2])
        with pytest.raises(WeightsError, match='cannot be resumed'):
            train(sources, plain_teacher, copy, SMALL, torch.device('cpu'), lambda _: None)


class TestSources:
    def test_folder_of_pictures(self, tmp_path):
        for seed in range(2):
            cv2.imwrite(str(tmp_path / f'{seed}.png'), cloudy(160, seed))
        said = []
        sources = collect([tmp_path], worlds=0, frames_per_world=0, seed=0, report=said.append)
        assert len(sources) == 1
        assert '2 pictures, 0 of them with depth' in said[0]

    def test_nothing(self):
        with pytest.raises(DatasetError, match='nothing to train on'):
            collect([], worlds=0, frames_per_world=0, seed=0, report=lambda _: None)


class TestTeacher:
    def test_published_weights(self, shared):
        (path,) = (shared / 'weights/xfeat').glob('*.pt*')
        teacher = Teacher(path, torch.device('cpu'))
        features = teacher(torch.rand(1, 3, 64, 96) * 255)
        assert features.shape == (1, 64, 8, 12)
        torch.testing.assert_close(features.norm(dim=1), torch.ones(1, 8, 12))

    @pytest.mark.parametrize('content', [b'', b'no weights'])
    def test_no_weights(self, tmp_path, content):
        (tmp_path / 'weights.pt').write_bytes(content)
        with pytest.raises(WeightsError, match='holds no teacher weights'):
            Teacher(tmp_path / 'weights.pt', torch.device('cpu'))

    def test_weights_of_another_network(self, tmp_path):
        torch.save({'weight': torch.zeros(3)}, tmp_path / 'weights.pt')
        with pytest.raises(WeightsError, match='not the fused XFeat'):
            Teacher(tmp_path / 'weights.pt', torch.device('cpu'))


def test_a_frame_relit_is_the_same_whenever_it_is_read():
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    camera = Camera.pinhole(96, 64, 90.0, 90.0, 47.5, 31.5)
    frame = relit(Frame('one', camera, lambda: image, np.eye(4)), 5)
    assert (frame.image() == frame.image()).all()
    assert (frame.image() != image).mean() > 0.5
    assert (frame.image() != relit(frame, 6).image()).any()
    assert (frame.world_from_cam == np.eye(4)).all()
