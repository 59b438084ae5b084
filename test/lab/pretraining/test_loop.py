"""Mapping and query iterations, resuming, and several processes."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from made_up_scenes import FEATURES, make_options

from aceg_ros.errors import ConfigError, WeightsError
from aceg_ros.lab.pretraining.config import ReaderOptions
from aceg_ros.lab.pretraining.loop import Ranks, is_mapping, iterate, pretrain
from aceg_ros.lab.pretraining.losses import choice_loss, prediction_loss
from aceg_ros.lab.pretraining.pool import Pool
from aceg_ros.lab.pretraining.sampling import find_tokens, sample_patches
from aceg_ros.regressor.anchored import AnchoredRegressor
from aceg_ros.regressor.blocks import Surroundings
from aceg_ros.regressor.files import load_regressor

CPU = torch.device('cpu')


def train(files, output, ranks=None, **changes) -> AnchoredRegressor:
    return pretrain(files, output, make_options(**changes), CPU, lambda _: None, ranks)


def reader_of() -> AnchoredRegressor:
    return AnchoredRegressor(make_options().reader.shape(FEATURES))


def same_weights(
    first: AnchoredRegressor, second: AnchoredRegressor, tolerance: float = 0.0
) -> None:
    for name, value in first.state_dict().items():
        torch.testing.assert_close(value, second.state_dict()[name], atol=tolerance, rtol=0)


@pytest.fixture
def setting(files):
    """A reader, a scene in the pool, the schedule, and a generator."""
    options = make_options()
    torch.manual_seed(0)
    reader = AnchoredRegressor(options.reader.shape(FEATURES))
    generator = torch.Generator().manual_seed(0)
    active = Pool(files[:1], options.schedule, [0, 1], CPU).scene(0, generator)
    return reader, active, options.schedule, generator


class TestIterations:
    def test_alternate(self):
        schedule = make_options(mapping=2, query=3).schedule
        kinds = [is_mapping(i, schedule) for i in range(7)]
        assert kinds == [True, True, False, False, False, True, True]

    def test_without_query_iterations_all_map(self):
        schedule = make_options(query=0).schedule
        assert all(is_mapping(i, schedule) for i in range(9))

    @pytest.mark.parametrize('mapping', [True, False])
    def test_only_mapping_changes_the_code(self, setting, mapping):
        reader, active, schedule, generator = setting
        before = {n: v.clone() for n, v in active.code.state_dict().items()}
        iterate(reader, active, schedule, mapping, generator)
        changed = {n for n, v in active.code.state_dict().items() if not v.equal(before[n])}
        names = {'embeddings', 'anchors', 'log_sigma', 'log_prior'}
        assert changed == (names if mapping else set())

    @pytest.mark.parametrize('mapping', [True, False])
    def test_both_teach_the_network(self, setting, mapping):
        reader, active, schedule, generator = setting
        iterate(reader, active, schedule, mapping, generator)
        assert reader.corrector.blocks[0].change.weight.grad.abs().sum() > 0

    def test_mapping_views_do_not_read_their_own_tokens(self, setting):
        reader, active, _, generator = setting
        sample = sample_patches(active.buffer.mapping, 3, 30, generator)
        tokens = find_tokens(reader, sample, active.code.tensors(), active.hidden())
        keyframe = torch.tensor(sample.views)[sample.images] // 2
        assert (active.buffer.owner[tokens] != keyframe[:, None]).all()

    def test_a_random_start_knows_nothing_and_is_not_read_by_its_own_views(self, files):
        schedule = make_options(start='random').schedule
        generator = torch.Generator().manual_seed(0)
        active = Pool(files[:1], schedule, [0, 1], CPU).scene(0, generator)
        start, fitted = active.code.tensors(), active.buffer.fitted
        assert (start.embeddings * fitted.embeddings).sum(dim=1).abs().mean() < 0.3
        distance = (start.anchors - active.buffer.origins).norm(dim=1)
        torch.testing.assert_close(
            distance, torch.full_like(distance, active.buffer.depth), atol=1e-4, rtol=0
        )
        sample = sample_patches(active.buffer.mapping, 3, 30, generator)
        tokens = find_tokens(reader_of(), sample, start, active.hidden())
        keyframe = torch.tensor(sample.views)[sample.images] // 2
        centers = active.buffer.mapping.centers[2 * keyframe]
        assert (active.buffer.origins[tokens] != centers[:, None]).any(dim=2).all()


class TestLearning:
    def test_query_loss_falls(self, files, tmp_path):
        trained = train(files[:2], tmp_path / 'r.safetensors', iterations=80)
        options = make_options()
        active = Pool(files[:1], options.schedule, [0], CPU)
        scene = active.scene(0, torch.Generator().manual_seed(0))
        losses = []
        for reader in (AnchoredRegressor(options.reader.shape(FEATURES)), trained):
            sample = sample_patches(scene.buffer.query, 3, 120, torch.Generator().manual_seed(5))
            around = Surroundings.of(sample.rays, sample.images)
            read = reader(sample.features, scene.code.tensors(), around=around)
            losses.append(float(prediction_loss(read, sample, scene.buffer.depth).detach()))
        assert losses[1] < losses[0] - 0.05

    def test_same_seed_same_weights(self, files, tmp_path):
        first = train(files, tmp_path / 'a.safetensors')
        same_weights(first, train(files, tmp_path / 'b.safetensors'))

    def test_another_seed_other_weights(self, files, tmp_path):
        first = train(files, tmp_path / 'a.safetensors')
        with pytest.raises(AssertionError):
            same_weights(first, train(files, tmp_path / 'b.safetensors', seed=1))

    def test_writes_what_it_returns(self, files, tmp_path):
        trained = train(files, tmp_path / 'r.safetensors', iterations=4)
        same_weights(load_regressor(tmp_path / 'r.safetensors'), trained)


class Stopped(Exception):
    pass


class TestResuming:
    def stop_at(self, files, output, iteration):
        def report(progress):
            if progress.iteration == iteration:
                raise Stopped

        with pytest.raises(Stopped):
            pretrain(files, output, make_options(checkpoint_seconds=-1.0), CPU, report)

    def test_as_if_never_stopped(self, files, tmp_path):
        self.stop_at(files, tmp_path / 'a.safetensors', 9)
        resumed = train(files, tmp_path / 'a.safetensors')
        same_weights(resumed, train(files, tmp_path / 'b.safetensors'))

    def test_a_finished_one_is_finished(self, files, tmp_path):
        first = train(files, tmp_path / 'a.safetensors')
        same_weights(first, train(files, tmp_path / 'a.safetensors'))

    def test_other_options_are_refused(self, files, tmp_path):
        train(files, tmp_path / 'a.safetensors', iterations=4)
        with pytest.raises(WeightsError, match='life'):
            train(files, tmp_path / 'a.safetensors', life=5)

    def test_other_scenes_are_refused(self, files, tmp_path):
        train(files, tmp_path / 'a.safetensors', iterations=4)
        with pytest.raises(WeightsError, match='missing'):
            train(files[:1], tmp_path / 'a.safetensors')

    def test_a_damaged_checkpoint_is_refused(self, files, tmp_path):
        (tmp_path / 'a.checkpoint0').write_bytes(b'nothing')
        with pytest.raises(WeightsError, match='remove it'):
            train(files, tmp_path / 'a.safetensors')


WORKER = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from made_up_scenes import FEATURES, make_options
from aceg_ros.lab.pretraining.loop import Ranks, pretrain
cpu = torch.device('cpu')
ranks = Ranks.join(cpu)
assert ranks.world == 2
files = sorted(Path(sys.argv[1]).iterdir())
pretrain(files, Path(sys.argv[2]), make_options(), cpu, lambda _: None, ranks)
"""


class TestProcesses:
    def test_two_equal_one(self, files, tmp_path):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        shared = {
            **os.environ,
            'WORLD_SIZE': '2',
            'MASTER_ADDR': '127.0.0.1',
            'MASTER_PORT': str(port),
            'PYTHONPATH': os.pathsep.join(filter(None, sys.path)),
        }
        arguments = [str(files[0].parent)]
        output = tmp_path / 'two.safetensors'
        workers = [
            subprocess.Popen(
                [sys.executable, '-c', WORKER, *arguments, str(output)],
                env={**shared, 'RANK': str(rank)},
            )
            for rank in range(2)
        ]
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
        alone = train(files, tmp_path / 'one.safetensors')
        same_weights(load_regressor(output), alone, tolerance=1e-6)
        untrained = AnchoredRegressor(make_options().reader.shape(FEATURES))
        assert any(
            not value.equal(untrained.state_dict()[name])
            for name, value in alone.state_dict().items()
        )

    def test_without_blocks_there_is_nothing_to_train(self, files, tmp_path):
        options = replace(make_options(), reader=ReaderOptions(blocks=0))
        with pytest.raises(ConfigError, match='nothing to train'):
            pretrain(files, tmp_path / 'r.safetensors', options, CPU, lambda _: None)

    def test_slots_must_divide(self, files, tmp_path):
        with pytest.raises(ConfigError, match='slots'):
            train(files, tmp_path / 'r.safetensors', Ranks(0, 3))


class TestLosses:
    @pytest.mark.parametrize('points', [True, False])
    def test_weight_on_right_candidates_is_best(self, setting, points):
        reader, active, _, generator = setting
        sample = sample_patches(active.buffer.query, 2, 50, generator)
        given = reader.candidates(sample.features, active.code.tensors())
        error = (given.anchors - sample.points3d[:, None]).norm(dim=2)
        losses = [choice_loss(given, -s * error, sample, points).mean() for s in (20.0, 0.0, -20.0)]
        assert losses[0] < losses[1] < losses[2]

    def test_off_the_ray_is_all_that_counts_without_points(self, setting):
        reader, active, _, generator = setting
        sample = sample_patches(active.buffer.query, 2, 50, generator)
        given = reader.candidates(sample.features, active.code.tensors())
        moved = replace(
            given, anchors=sample.centers[:, None] + 2 * sample.rays[:, None] + 0 * given.anchors
        )
        logits = given.logits
        assert float(choice_loss(moved, logits, sample, False).max()) < 0
        assert float(choice_loss(moved, logits, sample, True).mean()) > 0.1

    def test_right_and_sure_is_best(self, setting):
        reader, active, _, generator = setting
        sample = sample_patches(active.buffer.query, 2, 50, generator)
        read = reader(sample.features, active.code.tensors())
        right = replace(read, points3d=sample.points3d, sigma=torch.full_like(read.sigma, 0.01))
        for points in (True, False):
            best = prediction_loss(right, sample, active.buffer.depth, points)
            assert best < prediction_loss(read, sample, active.buffer.depth, points)

    def test_without_points_the_ray_supervises(self, setting):
        reader, active, _, generator = setting
        sample = sample_patches(active.buffer.query, 2, 50, generator)
        unknown = replace(sample, points3d=torch.full_like(sample.points3d, math.nan))
        read = reader(sample.features, active.code.tensors())
        loss = prediction_loss(read, unknown, active.buffer.depth)
        assert float(loss) == pytest.approx(
            float(prediction_loss(read, sample, active.buffer.depth, points=False)), abs=1e-5
        )

    def test_turning_scene_and_reading_together_changes_nothing(self, setting):
        reader, active, _, generator = setting
        sample = sample_patches(active.buffer.query, 2, 50, generator)
        read = reader(sample.features, active.code.tensors())
        turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
        turned = replace(read, points3d=read.points3d @ turn.T)
        for points in (True, False):
            first = prediction_loss(read, sample, 3.0, points)
            torch.testing.assert_close(
                first, prediction_loss(turned, sample.turned(turn), 3.0, points)
            )
