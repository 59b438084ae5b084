"""The published ACE-G by the command line, with tiny networks in place of the published ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dinov2_networks import tiny_dinov2
from published_heads import CONFIG, published_state, random_network

from aceg_ros.cli.main import main
from aceg_ros.datasets import open_dataset
from aceg_ros.evaluation.benchmark import run as run_here
from aceg_ros.mapping.ace_g.schedule import SCHEDULES, AceGSchedule
from aceg_ros.maps.file import read_map

TINY = AceGSchedule(steps=3, batch=64, buffer=300, tokens=20, per_view=20)

NAME = 'dinov2-with-registers-large'


@pytest.fixture(scope='module')
def networks(tmp_path_factory) -> Path:
    """A folder of models: an encoder, and two published heads."""
    folder = tmp_path_factory.mktemp('models')
    tiny_dinov2(folder / NAME, width=CONFIG.dim_in)
    torch.save(published_state(random_network()), folder / 'ace_g_pretrained.pt')
    torch.save(published_state(random_network(seed=1)), folder / 'other.pt')
    return folder


@pytest.fixture(autouse=True)
def models(networks, tmp_path, monkeypatch) -> Path:
    """Where this test's models are: the encoder alone, at first."""
    folder = tmp_path / 'models'
    folder.mkdir()
    (folder / NAME).symlink_to(networks / NAME)
    monkeypatch.setenv('ACEG_MODELS', str(folder))
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))
    monkeypatch.setitem(SCHEDULES, 'ace-g-5min', TINY)
    return folder


@pytest.fixture
def imported(aceg, networks, models) -> Path:
    """The published regressor, imported among the models."""
    output = models / 'ace_g_pretrained.safetensors'
    assert aceg('import-regressor', networks / 'ace_g_pretrained.pt', '-o', output).status == 0
    return output


@pytest.fixture
def their_map(tmp_path) -> Path:
    content = {'map_embeddings': torch.randn(30, CONFIG.dim), 'mean': torch.tensor([1.0, 2, 1 / 3])}
    torch.save(content, tmp_path / 'theirs.pt')
    return tmp_path / 'theirs.pt'


class TestRegressor:
    def test_import_says_identity_and_license(self, aceg, networks, tmp_path):
        outcome = aceg('import-regressor', networks / 'ace_g_pretrained.pt')
        assert outcome.status == 0
        assert random_network().identity() in outcome.out
        assert 'non-commercial' in outcome.out
        assert (tmp_path / 'data/aceg_ros/models/ace_g_pretrained.safetensors').is_file()

    def test_something_else(self, aceg, their_map, tmp_path):
        outcome = aceg('import-regressor', their_map, '-o', tmp_path / 'x.safetensors')
        assert outcome.status == 1
        assert 'is no published head' in outcome.err

    def test_check(self, aceg, imported):
        outcome = aceg('check-models', '--device', 'cpu')
        assert outcome.status == 0
        assert '1530 patches' in outcome.out
        assert 'not the published ACE-G' in outcome.out

    def test_check_without(self, aceg):
        outcome = aceg('check-models', '--device', 'cpu')
        assert outcome.status == 1
        assert 'ace_g_pretrained.safetensors is missing' in outcome.err

    def test_check_of_networks_that_do_not_fit(self, aceg, imported):
        outcome = aceg('check-models', '--device', 'cpu', '--encoder', 'compact')
        assert outcome.status == 1
        assert 'takes features of 24 numbers' in outcome.err


class TestMaps:
    def test_there_and_back(self, aceg, imported, their_map, tmp_path):
        scene, back = tmp_path / 'scene.aceg', tmp_path / 'back.pt'
        assert aceg('import-map', their_map, '-o', scene).status == 0
        assert aceg('export-map', scene, '-o', back).status == 0
        first, second = (torch.load(path, weights_only=True) for path in (their_map, back))
        assert all(torch.equal(first[name], second[name]) for name in first)

    def test_info(self, aceg, imported, their_map, tmp_path):
        aceg('import-map', their_map, '-o', tmp_path / 'scene.aceg', '--frame-id', 'hall')
        told = json.loads(aceg('info', tmp_path / 'scene.aceg', '--json', '-').out)
        assert 'free, 30 vectors' in aceg('info', tmp_path / 'scene.aceg').out
        assert (told['kind'], told['tokens'], told['keyframes']) == ('free', 30, 0)
        assert told['frame_id'] == 'hall'

    def test_has_no_points_to_export(self, aceg, imported, their_map, tmp_path):
        aceg('import-map', their_map, '-o', tmp_path / 'scene.aceg')
        outcome = aceg('export', tmp_path / 'scene.aceg', tmp_path / 'points.ply')
        assert outcome.status == 1
        assert 'export-map' in outcome.err

    def test_vectors_of_another_width(self, aceg, imported, tmp_path):
        torch.save({'map_embeddings': torch.zeros(3, 8), 'mean': torch.zeros(3)}, tmp_path / 'm.pt')
        outcome = aceg('import-map', tmp_path / 'm.pt', '-o', tmp_path / 'scene.aceg')
        assert outcome.status == 1
        assert 'have 8 numbers' in outcome.err
        assert not (tmp_path / 'scene.aceg').exists()

    def test_for_our_own_regressor(self, aceg, their_map, tmp_path):
        options = ['--regressor', 'anchored']
        outcome = aceg('import-map', their_map, '-o', tmp_path / 'scene.aceg', *options)
        assert outcome.status == 1
        assert 'published regressor' in outcome.err

    def test_a_map_with_anchors_is_not_exported(self, aceg, room_map, tmp_path):
        outcome = aceg('export-map', room_map, '-o', tmp_path / 'map.pt')
        assert outcome.status == 1
        assert 'has anchors' in outcome.err


class TestMapping:
    @pytest.fixture(scope='class')
    def scene(self, networks, recording, tmp_path_factory) -> Path:
        """A map of the room by the schedule; the networks are random, and so it is no good."""
        folder = tmp_path_factory.mktemp('published')
        (folder / NAME).symlink_to(networks / NAME)
        regressor = ('import-regressor', networks / 'ace_g_pretrained.pt', '-o')
        command = ['map', recording, '-o', folder / 'scene.aceg', '--json', folder / 'map.json']
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv('ACEG_MODELS', str(folder))
            patch.setitem(SCHEDULES, 'ace-g-5min', TINY)
            for words in (
                (*regressor, folder / 'ace_g_pretrained.safetensors'),
                (*command, '--schedule', 'ace-g-5min', '--device', 'cpu'),
            ):
                assert main([str(word) for word in words]) == 0
        return folder / 'scene.aceg'

    def test_makes_a_free_code(self, scene):
        code = read_map(scene)
        assert code.embeddings.shape == (20, CONFIG.dim)
        assert code.info.regressor == random_network().identity()
        assert code.info.encoder.startswith('dinov2-')
        np.testing.assert_allclose(code.mean, code.keyframes[:, :3, 3].mean(axis=0), atol=1e-6)
        assert json.loads(scene.with_name('map.json').read_text())['quality']['rating'] == 'poor'

    def test_is_used_with_the_networks_it_names(self, aceg, imported, scene, questions, tmp_path):
        outcome = aceg('localize', scene, questions, '--device', 'cpu')
        assert outcome.status == 1  # random networks know nothing
        assert '0 of 8 images localized' in outcome.err
        report = tmp_path / 'report'
        outcome = aceg(
            'evaluate', scene, questions, '--device', 'cpu', '--report', report, '--json', '-'
        )
        assert outcome.status == 0, outcome.err
        assert json.loads(outcome.out)['localized'] == 0
        assert list(report.iterdir())

    def test_without_the_regressor(self, aceg, scene, questions):
        outcome = aceg('localize', scene, questions, '--device', 'cpu')
        assert outcome.status == 1
        assert 'import-regressor' in outcome.err

    def test_without_the_encoder(self, aceg, imported, scene, models, questions):
        (models / NAME).unlink()
        outcome = aceg('localize', scene, questions, '--device', 'cpu')
        assert outcome.status == 1
        assert 'hf download' in outcome.err

    def test_with_another_regressor(self, aceg, imported, networks, scene, questions, tmp_path):
        other = tmp_path / 'other.safetensors'
        aceg('import-regressor', networks / 'other.pt', '-o', other)
        outcome = aceg('localize', scene, questions, '--device', 'cpu', '--regressor', other)
        assert outcome.status == 1
        assert 'made with regressor published-' in outcome.err

    def test_a_regressor_without_a_schedule_takes_the_short_one(
        self, aceg, imported, recording, tmp_path
    ):
        command = ['map', recording, '-o', tmp_path / 'm.aceg', '--regressor', imported]
        assert aceg(*command, '--device', 'cpu', '--tokens', 7).status == 0
        assert read_map(tmp_path / 'm.aceg').embeddings.shape == (7, CONFIG.dim)

    def test_a_schedule_without_the_regressor(self, aceg, recording, tmp_path):
        command = ['map', recording, '-o', tmp_path / 'm.aceg', '--schedule', 'ace-g-5min']
        outcome = aceg(*command, '--device', 'cpu')
        assert outcome.status == 1
        assert 'ace_g_pretrained.safetensors is missing' in outcome.err

    def test_a_schedule_with_our_own_regressor(self, aceg, recording, tmp_path):
        command = ['map', recording, '-o', tmp_path / 'm.aceg', '--schedule', 'ace-g-5min']
        outcome = aceg(*command, '--device', 'cpu', '--regressor', 'anchored')
        assert outcome.status == 1
        assert 'reads free codes' in outcome.err

    def test_too_little_memory(self, aceg, imported, recording, tmp_path, monkeypatch):
        monkeypatch.setitem(SCHEDULES, 'ace-g-5min', replace(TINY, batch=10_000))
        command = ['map', recording, '-o', tmp_path / 'm.aceg', '--schedule', 'ace-g-5min']
        outcome = aceg(*command, '--device', 'cpu', '--memory', 0.0003)
        assert outcome.status == 1
        assert 'GB are needed' in outcome.err


class TestBenchmark:
    def test_compares_encoders_and_has_the_published_method(
        self, aceg, imported, recording, tmp_path, monkeypatch
    ):
        monkeypatch.setattr('aceg_ros.evaluation.benchmark.run_isolated', run_here)
        command = ['benchmark', recording, '--every', 3, '--budget', 2, '--device', 'cpu']
        command += ['--methods', 'published,first,sift', '--encoders', 'compact,dinov2']
        command += ['-o', tmp_path / 'out']
        outcome = aceg(*command)
        assert outcome.status == 0, outcome.err
        rows = json.loads((tmp_path / 'out/benchmark.json').read_text())['rows']
        assert [row['method'] for row in rows] == [
            'published',
            'first map compact',
            'sift',
            'first map dinov2',
        ]
        assert all(row['error'] is None for row in rows[:3])

    def test_an_unknown_method(self, aceg, recording):
        outcome = aceg('benchmark', recording, '--methods', 'magic')
        assert outcome.status == 1
        assert 'there are aceg, first, depth, blocks, published, sift, nearest' in outcome.err

    def test_queries_of_another_dataset(self, aceg, recording, questions, tmp_path, monkeypatch):
        monkeypatch.setattr('aceg_ros.evaluation.benchmark.run_isolated', run_here)
        command = ['benchmark', recording, '--queries', questions, '--every', 3, '--budget', 2]
        command += ['--methods', 'aceg,depth', '--encoders', 'compact', '--device', 'cpu']
        outcome = aceg(*command, '-o', tmp_path / 'out')
        assert outcome.status == 0, outcome.err
        rows = json.loads((tmp_path / 'out/benchmark.json').read_text())['rows']
        assert [row['method'] for row in rows] == ['aceg', 'aceg with depth']
        asked = len(open_dataset(questions).frames)
        assert [row['queries']['frames'] for row in rows] == [asked, asked]

    def test_queries_are_of_one_dataset(self, aceg, recording, questions):
        outcome = aceg('benchmark', recording, recording, '--queries', questions)
        assert outcome.status == 1
        assert 'name only that one' in outcome.err

    @pytest.mark.parametrize('step', [0, 1, -3])
    def test_something_is_left_to_map(self, aceg, recording, step):
        outcome = aceg('benchmark', recording, '--hold-out', step)
        assert outcome.status == 1
        assert 'give 2 or more' in outcome.err

    @pytest.mark.parametrize(
        'options',
        [
            ('--halves', '--hold-out', 2),
            ('--query-split', 'b', '--halves'),
            ('--queries', 'b', '--hold-out', 5),
        ],
    )
    def test_frames_are_divided_in_one_way(self, aceg, recording, options):
        outcome = aceg('benchmark', recording, *options)
        assert outcome.status == 1
        assert 'give only one' in outcome.err


class TestAnchoredOnDinov2:
    def test_maps_and_finds_its_networks(self, aceg, recording, questions, tmp_path):
        """The features are of a random network; that a map comes out is all that is asked."""
        scene = tmp_path / 'scene.aceg'
        command = ['map', recording, '-o', scene, '--encoder', 'dinov2', '--device', 'cpu']
        outcome = aceg(*command, '--budget', 8, '--tokens', 256)
        if outcome.status:
            assert 'Traceback' not in outcome.err
            assert 'triangulated' in outcome.err or 'hardly agree' in outcome.err
            pytest.skip('random features do not triangulate')
        code = read_map(scene)
        assert code.info.encoder.endswith('-unit')
        assert code.kind == 'anchored'
        assert aceg('localize', scene, questions, '--device', 'cpu').status in (0, 1)
