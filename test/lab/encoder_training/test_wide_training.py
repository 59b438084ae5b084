"""Training the wide encoder: groups of views, losses, the start, and a run of seconds."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pictures import cloudy

from aceg_ros.encoder.base import image_tensor, similarity
from aceg_ros.encoder.compact import CompactEncoder
from aceg_ros.encoder.trunk import Trunk
from aceg_ros.encoder.wide import WideEncoder
from aceg_ros.errors import DatasetError, WeightsError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.encoder_training.ensemble import EdgePoint, Ensemble
from aceg_ros.lab.encoder_training.groups import StoredGroups, ViewGroup, surface
from aceg_ros.lab.encoder_training.light import relight, relight_batch
from aceg_ros.lab.encoder_training.real import HomographyGroups, PosedCrops, PosedSequence
from aceg_ros.lab.encoder_training.rendering import Rendered, TexturedArea, rendering
from aceg_ros.lab.encoder_training.spots import ProceduralSpots, draw_group, read_environments
from aceg_ros.lab.encoder_training.teacher import Teacher
from aceg_ros.lab.encoder_training.textured import clip_from_world, environment_light
from aceg_ros.lab.encoder_training.whitening import whitened
from aceg_ros.lab.encoder_training.wide_loop import Source, WideOptions, train_wide
from aceg_ros.lab.encoder_training.wide_losses import Patches, reading, relational
from aceg_ros.lab.encoder_training.wide_sources import collect_groups
from aceg_ros.lab.encoder_training.wide_start import read_trunk, starting_network
from aceg_ros.lab.worlds import look
from aceg_ros.models import model_path

CPU = torch.device('cpu')


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture(scope='module')
def compact():
    return CompactEncoder.load(model_path('compact.safetensors'))


class TestGroups:
    def test_points_lie_where_patches_look(self):
        camera = Camera.pinhole(64, 48, 50.0, 50.0, 31.5, 23.5)
        pose = look(np.array([1.0, 2.0, 1.5]), 0.4, -0.2, 0.1)
        points, footprint = surface(np.full((48, 64), 2.0), camera, pose)
        local = (points.reshape(-1, 3) - pose[:3, 3]) @ pose[:3, :3]
        centers = np.stack(np.meshgrid(np.arange(8), np.arange(6)), -1).reshape(-1, 2) * 8 + 3.5
        np.testing.assert_allclose(camera.project(local), centers, atol=1e-3)
        np.testing.assert_allclose(footprint, 2.0 * 8 / 50)

    def test_holes_are_unknown(self):
        camera = Camera.pinhole(64, 48, 50.0, 50.0, 31.5, 23.5)
        points, footprint = surface(np.zeros((48, 64)), camera, np.eye(4))
        assert np.isnan(points).all()
        assert np.isnan(footprint).all()

    def test_of_files(self, tmp_path, rng):
        group = HomographyGroups([cloudy(200, 0)], size=96).draw(rng, 4)
        group.save(tmp_path / 'one.npz')
        read = StoredGroups(tmp_path).draw(rng, 3)
        assert read.images.shape == (3, 96, 96, 3)
        assert read.points.shape == (3, 12, 12, 3)

    def test_no_files(self, tmp_path):
        with pytest.raises(DatasetError, match='no groups'):
            StoredGroups(tmp_path)

    def test_damaged_file(self, tmp_path):
        (tmp_path / 'one.npz').write_bytes(b'nothing')
        with pytest.raises(DatasetError, match='no group of views'):
            ViewGroup.load(tmp_path / 'one.npz')

    def test_homographies_keep_what_a_patch_shows(self, rng):
        picture = cv2.GaussianBlur(cloudy(300, 1), (0, 0), 3)
        group = HomographyGroups([picture], size=128).draw(rng, 3)
        for image, points in zip(group.images, group.points, strict=True):
            known = np.isfinite(points).all(axis=2)
            known[[0, -1]] = known[:, [0, -1]] = False
            x, y = points[known][:, :2].round().astype(int).T
            row, column = np.argwhere(known).T * 8 + 4
            difference = image[row, column].astype(float) - picture[y, x]
            assert np.median(np.abs(difference)) < 12


class TestReading:
    def patches(self):
        """Two views of four points in a row, each a patch wide."""
        points = np.zeros((2, 1, 4, 3), np.float32)
        points[:, 0, :, 0] = np.arange(4)
        group = ViewGroup(np.zeros((2, 8, 32, 3), np.uint8), points, np.full((2, 1, 4), 0.4))
        return Patches.of(group, 100, torch.Generator().manual_seed(0), CPU)

    def test_relations(self):
        patches = self.patches()
        queries, relation = patches.queries(100, torch.Generator().manual_seed(0))
        assert len(queries) == 8
        for query, row in zip(queries, relation, strict=True):
            for other in range(8):
                same_view = patches.view[query] == patches.view[other]
                same = torch.equal(patches.points[query], patches.points[other])
                assert row[other] == (-1 if same_view else int(same))

    def test_perfect_features(self):
        patches = self.patches()
        queries, relation = patches.queries(100, torch.Generator().manual_seed(0))
        features = F.one_hot(patches.points[:, 0].long(), 8).float()
        loss, probability = reading(features, queries, relation)
        assert float(loss) == pytest.approx(0, abs=1e-4)
        torch.testing.assert_close(probability, torch.ones(8))

    def test_features_that_say_nothing(self):
        patches = self.patches()
        queries, relation = patches.queries(100, torch.Generator().manual_seed(0))
        _, probability = reading(torch.eye(1, 8).expand(8, 8), queries, relation)
        torch.testing.assert_close(probability, torch.full((8,), 0.25))

    def test_pairs_of_views(self):
        patches = self.patches()
        queries, relation = patches.queries(100, torch.Generator().manual_seed(0))
        assert int(patches.pairs_of_views(queries, relation, 2)) == 2
        one_way = patches.view[queries] == 0
        assert int(patches.pairs_of_views(queries[one_way], relation[one_way], 2)) == 1

    def test_far_origins_change_nothing(self):
        patches = self.patches()
        moved = replace(patches, points=patches.points + 1000)
        first, second = (
            p.queries(100, torch.Generator().manual_seed(0))[1] for p in (patches, moved)
        )
        torch.testing.assert_close(first, second)

    def test_a_student_that_reads_like_its_teacher(self):
        features = F.normalize(torch.randn(20, 8, generator=torch.Generator().manual_seed(0)))
        view = torch.arange(2).repeat_interleave(10)
        same = relational(features, features, torch.arange(5), view)
        other = relational(features, features.flip(0), torch.arange(5), view)
        assert float(same) == pytest.approx(0, abs=1e-4)
        assert float(other) > 0.5


class TestWorlds:
    def test_a_spot_is_seen_from_many_sides(self):
        spots = ProceduralSpots(100_000)
        rng = np.random.default_rng(0)
        groups = (draw_group(spots, rng, views=3) for _ in range(20))
        group = next(group for group in groups if group is not None)
        assert group.images.shape == (3, 360, 480, 3)
        patches = Patches.of(group, 5000, torch.Generator().manual_seed(0), CPU)
        queries, relation = patches.queries(500, torch.Generator().manual_seed(0))
        assert len(queries) > 50
        assert ((relation == 1).sum(dim=1) < 60).all()

    def test_the_same_pixel_for_opengl_and_for_cameras(self):
        camera = Camera.pinhole(64, 48, 50.0, 52.0, 30.0, 25.0)
        pose = look(np.array([1.0, 2.0, 1.5]), 0.4, -0.2, 0.1)
        local = np.array([[0.1, -0.2, 1.0], [-0.5, 0.3, 3.0]])
        world = local @ pose[:3, :3].T + pose[:3, 3]
        clip = np.concatenate([world, np.ones((2, 1))], axis=1) @ clip_from_world(camera, pose).T
        place = clip[:, :2] / clip[:, 3:]
        pixel = (place * [1, -1] + 1) / 2 * [64, 48] - 0.5
        np.testing.assert_allclose(pixel, camera.project(local), atol=1e-9)

    def test_light_comes_from_where_the_sky_is_bright(self):
        picture = np.full((16, 32, 3), 0.5)
        picture[:8] = 1.0
        ambient = environment_light(picture)
        assert ambient.mean() == pytest.approx(1)
        assert (ambient[4] > ambient[:4].max(axis=0)).all()
        assert (ambient[5] < ambient[:4].min(axis=0)).all()

    def test_no_environments(self, tmp_path):
        with pytest.raises(DatasetError, match='no environment maps'):
            read_environments(tmp_path)

    def test_textured_worlds_by_text(self):
        assert TexturedArea.parse('flat').low == -np.inf
        assert TexturedArea.parse('flat:-9:2.5').high == 2.5
        with pytest.raises(DatasetError, match='FOLDER:LOW:HIGH'):
            TexturedArea.parse('flat:x')


class TestPosedCrops:
    def test_show_the_point_they_are_around(self, views, compact, rng):
        sequence = PosedSequence.of(views[:12], compact)
        known = np.isfinite(sequence.footprint)
        assert 20 < known.sum() < known.size
        crops = PosedCrops(sequence)
        group = next(group for _ in range(200) if (group := crops.draw(rng, 4)) is not None)
        patches = Patches.of(group, 5000, torch.Generator().manual_seed(0), CPU)
        assert 0 < len(patches.points) < group.footprint.size


class TestStart:
    @pytest.fixture(scope='class')
    def start(self, compact):
        torch.manual_seed(0)
        pictures = [cloudy(128, seed) for seed in range(8)]
        return starting_network(compact, Trunk(), pictures)

    def test_tells_patches_apart(self, start):
        with torch.no_grad():
            features, _ = start(torch.from_numpy(cloudy(128, 9)).permute(2, 0, 1)[None].float())
        flat = features[0].flatten(1).T
        similar = flat @ flat.T
        assert similar.fill_diagonal_(0).median() < 0.5

    def test_no_trunk(self, tmp_path):
        (tmp_path / 'trunk.pth').write_bytes(b'nothing')
        with pytest.raises(WeightsError, match='EfficientNet'):
            read_trunk(tmp_path / 'trunk.pth')


SMALL = WideOptions(
    minutes=4 / 60, groups=1, views=2, patches=400, queries=60, checkpoint_seconds=1e9, frozen=0.5
)


def plain_teacher(images):
    """Stands for a teacher: every patch has the same feature."""
    return torch.full((len(images), 4, images.shape[2] // 8, images.shape[3] // 8), 0.5)


@pytest.fixture(scope='module')
def trained(tmp_path_factory, compact):
    """The weights after a run of seconds, what each step reported, and the source."""
    output = tmp_path_factory.mktemp('training') / 'small.safetensors'
    steps = []
    pictures = [cloudy(200, seed) for seed in range(3)]
    sources = [Source('pictures', HomographyGroups(pictures, size=128), 1.0, taught=True)]
    torch.manual_seed(0)
    start = starting_network(compact, Trunk(), [picture[:192, :192] for picture in pictures])
    train_wide(sources, start, output, SMALL, CPU, steps.append, plain_teacher)
    return output, steps, sources


class TestTraining:
    def test_steps_count_up(self, trained):
        steps = trained[1]
        assert [step.step for step in steps] == list(range(1, len(steps) + 1))
        assert steps[-1].minutes >= SMALL.minutes
        assert steps[-1].pairs > len(steps)
        for step in steps:
            assert np.isfinite([step.reading, step.relational, step.reliability]).all()

    def test_weights_can_be_used(self, trained):
        encoded = WideEncoder.load(trained[0]).encode(torch.zeros(1, 3, 96, 128))
        assert torch.isfinite(encoded.features).all()

    def test_goes_on_from_the_checkpoint(self, trained, tmp_path):
        output, steps, sources = trained
        copy = tmp_path / output.name
        checkpoint = output.with_suffix('.checkpoint')
        copy.with_suffix('.checkpoint').write_bytes(checkpoint.read_bytes())
        again = []
        longer = replace(SMALL, minutes=steps[-1].minutes + 0.5 / 60)
        start = WideEncoder.load(output).network
        train_wide(sources, start, copy, longer, CPU, again.append)
        assert again[0].step == steps[-1].step + 1
        assert again[0].pairs > steps[-1].pairs
        assert copy.read_bytes() != output.read_bytes()

    def test_whitens_only_what_it_is_told_to(self, trained, tmp_path):
        output, _, sources = trained
        copy = tmp_path / output.name
        checkpoint = output.with_suffix('.checkpoint').read_bytes()
        copy.with_suffix('.checkpoint').write_bytes(checkpoint)
        average = torch.load(output.with_suffix('.checkpoint'), weights_only=True)['average']
        weights = []
        for whiten in (True, False):
            options = replace(SMALL, minutes=0, whiten=whiten)
            start = WideEncoder.load(output).network
            ended = train_wide(sources, start, copy, options, CPU, lambda _: None)
            weights.append(ended.output.weight)
        torch.testing.assert_close(weights[1], average['module.output.weight'])
        assert not torch.allclose(weights[0], weights[1])

    def test_damaged_checkpoint(self, trained, tmp_path):
        output, _, sources = trained
        copy = tmp_path / output.name
        data = output.with_suffix('.checkpoint').read_bytes()
        copy.with_suffix('.checkpoint').write_bytes(data[: len(data) // 2])
        with pytest.raises(WeightsError, match='cannot be resumed'):
            start = WideEncoder.load(output).network
            train_wide(sources, start, copy, SMALL, CPU, lambda _: None)


class TestLight:
    def test_on_the_device_as_beside_it(self, rng):
        images = np.stack([cloudy(96, seed) for seed in range(100)])
        plain = np.stack([relight(image, rng) for image in images]).astype(float)
        batch = relight_batch(image_tensor(images), rng)
        assert batch.shape == (100, 3, 96, 96)
        assert batch.min() >= 0
        assert batch.max() <= 255
        mean, spread = batch.mean(dim=(1, 2, 3)), batch.std(dim=(1, 2, 3))
        expected, contrast = plain.mean(axis=(1, 2, 3)), plain.std(axis=(1, 2, 3))
        assert float(mean.mean()) == pytest.approx(expected.mean(), abs=12)
        assert float(mean.std()) == pytest.approx(expected.std(), rel=0.3)
        assert float(spread.mean()) == pytest.approx(contrast.mean(), rel=0.15)

    def test_follows_its_seeds(self):
        images = image_tensor(np.stack([cloudy(64, seed) for seed in range(4)]))
        found = [relight_batch(images, np.random.default_rng(seed)) for seed in (2, 2, 3)]
        assert torch.equal(found[0], found[1])
        assert not torch.equal(found[0], found[2])


class TestRendering:
    def test_before_the_training(self, tmp_path):
        said = []
        rendered = Rendered(tmp_path, 1, 1, [], None, 0, 100_000)
        with rendering(rendered, 0, said.append):
            assert StoredGroups(tmp_path, 'world-*.npz').draw(np.random.default_rng(0), 8)
        assert said == ['1 of 1 parts rendered']

    def test_while_it_runs(self, tmp_path):
        # each world has as many groups as a training begins with: no other one is waited for
        rendered = Rendered(tmp_path, 300, 4, [], None, 0, 100_000)
        began = time.monotonic()
        with rendering(rendered, 1, print):
            first = list(tmp_path.glob('world-*.npz'))
            assert first
        # it does not wait for hundreds of worlds
        assert time.monotonic() - began < 240
        ended = len(list(tmp_path.glob('world-*.npz')))
        assert len(first) <= ended < 300
        assert not multiprocessing.active_children()

    def test_a_world_that_cannot_be_read(self, tmp_path):
        (tmp_path / 'day.hdr').write_bytes(b'nothing')
        rendered = Rendered(tmp_path, 0, 0, [TexturedArea(tmp_path / 'flat')], tmp_path, 4, 0)
        with (
            pytest.raises(DatasetError, match='no environment maps'),
            rendering(rendered, 1, print),
        ):
            pass

    def test_no_light(self, tmp_path):
        rendered = Rendered(tmp_path, 0, 0, [TexturedArea(tmp_path / 'flat')], None, 4, 0)
        with (
            pytest.raises(DatasetError, match='give --environments'),
            rendering(rendered, 1, print),
        ):
            pass


class TestCollecting:
    def test_pictures(self, tmp_path, compact):
        (tmp_path / 'pictures').mkdir()
        for seed in range(2):
            cv2.imwrite(str(tmp_path / f'pictures/{seed}.png'), cloudy(160, seed))
        said = []
        rendered = Rendered(tmp_path / 'cache', 0, 0, [], None, 0, 0)
        (source,) = collect_groups([tmp_path / 'pictures'], rendered, compact, said.append)
        assert source.taught
        assert '2 pictures' in said[0]

    def test_nothing(self, tmp_path, compact):
        rendered = Rendered(tmp_path / 'cache', 0, 0, [], None, 0, 0)
        with pytest.raises(DatasetError, match='nothing to train on'):
            collect_groups([], rendered, compact, lambda _: None)


PICTURES = [cloudy(128, seed) for seed in range(6)]


class TestWhitening:
    @pytest.fixture(scope='class')
    def start(self, compact):
        torch.manual_seed(0)
        start = starting_network(compact, Trunk(), PICTURES)
        with torch.no_grad():
            start.output.bias += 1.0  # what all features share
        return start

    def features(self, network):
        with torch.no_grad():
            return torch.cat(
                [network(image_tensor(picture))[0][0].flatten(1).T for picture in PICTURES]
            )

    def test_makes_patches_less_alike(self, start):
        assert similarity(self.features(start)) > 0.8
        assert similarity(self.features(whitened(start, PICTURES, 0.0))) < 0.4

    def test_leaves_the_network_as_it_is(self, start):
        before = self.features(start)
        whitened(start, PICTURES)
        torch.testing.assert_close(self.features(start), before)

    def test_evens_the_spread(self, start):
        def largest(strength):
            features = self.features(whitened(start, PICTURES, strength))
            values = torch.linalg.eigvalsh(torch.cov(features.T))
            return float(values.max() / values.sum())

        assert largest(0.5) < largest(0.0)


class TestEnsemble:
    def test_published_weights(self, shared):
        edgepoint = EdgePoint(shared / 'weights/edgepoint2/E64.pth', CPU)
        (path,) = (shared / 'weights/xfeat').glob('*.pt*')
        ensemble = Ensemble(Teacher(path, CPU), edgepoint, Trunk())
        features = ensemble(torch.rand(1, 3, 72, 96) * 255)
        assert features.shape == (1, 64 + 64 + 152, 9, 12)
        torch.testing.assert_close(features.norm(dim=1), torch.ones(1, 9, 12))

    def test_no_weights(self, tmp_path):
        (tmp_path / 'weights.pth').write_bytes(b'nothing')
        with pytest.raises(WeightsError, match='holds no teacher weights'):
            EdgePoint(tmp_path / 'weights.pth', CPU)

    def test_weights_of_another_network(self, tmp_path):
        torch.save({'weight': torch.zeros(3)}, tmp_path / 'weights.pth')
        with pytest.raises(WeightsError, match='not the state of EdgePoint2'):
            EdgePoint(tmp_path / 'weights.pth', CPU)
