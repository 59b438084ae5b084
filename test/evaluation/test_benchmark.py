"""Runs side by side, each in its own process."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from fakes import (
    DyingMethod,
    FailingMethod,
    PerfectMethod,
    numbered_frames,
    scene_frames,
)

from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.encoder.view import bounded_view
from aceg_ros.errors import DatasetError
from aceg_ros.evaluation.benchmark import (
    BenchmarkRow,
    benchmark,
    peak_rss_mb,
    run,
    run_isolated,
    scaling,
    spread,
)
from aceg_ros.evaluation.methods import (
    SiftMethod,
    baseline_methods,
)
from aceg_ros.evaluation.tables import benchmark_table
from aceg_ros.monitor import Monitor


class FakeEncoder:
    """Mean colors of blocks of 8 px."""

    name = identity = 'fake'
    stride, dim = 8, 3
    device = torch.device('cpu')
    max_similarity = 1.0
    short_steps = True
    view = staticmethod(bounded_view)

    def encode(self, images: torch.Tensor) -> PatchFeatures:
        features = torch.nn.functional.avg_pool2d(images.float() / 255, self.stride)
        return PatchFeatures(features, torch.ones_like(features[:, 0]), self.stride)


@pytest.fixture
def frames():
    return numbered_frames(6)


class TestIsolatedRuns:
    def test_memory_is_the_methods_own(self, frames):
        parents = np.ones(600_000_000, dtype=np.uint8)
        row = benchmark('fake', frames, frames, [PerfectMethod(megabytes=100)])[0]
        assert 100 < row.peak_rss_mb < parents.nbytes / 1e6
        assert row.map_bytes == 100_000_000 + 6
        assert row.queries['recall_5cm_5deg'] == 1.0

    def test_a_dying_process_costs_one_row(self, frames):
        row = run_isolated('fake', DyingMethod(), frames, frames)
        assert 'died' in row.error and row.queries is None


class TestScaling:
    @pytest.fixture(autouse=True)
    def in_this_process(self, monkeypatch):
        monkeypatch.setattr('aceg_ros.evaluation.benchmark.run_isolated', run)

    def test_takes_the_counts_there_are(self, frames):
        reports = []
        monitor = Monitor(lambda *report: reports.append(report))
        rows = scaling('fake', frames, frames, [PerfectMethod()], (5, 2, 9), monitor)
        assert [row.keyframes for row in rows] == [2, 5]
        assert reports[1] == ('benchmark', 0.5, 'fake: perfect, 5 keyframes')

    def test_too_few_frames_are_an_error(self, frames):
        with pytest.raises(DatasetError, match='has 6 frames'):
            scaling('fake', frames, frames, [PerfectMethod()], (50, 100))


class TestRun:
    def test_a_method_that_fails_says_why(self, frames):
        row = run('fake', FailingMethod(), frames, frames)
        assert (row.error, row.queries) == ('no parallax', None)

    def test_queries_without_truth_say_why(self, frames):
        assert 'none of the 0 frames' in run('fake', PerfectMethod(), frames, []).error

    def test_sift_has_all_figures(self):
        row = run('niche', SiftMethod(), scene_frames(6), scene_frames(2, phase=0.5))
        assert row.queries['localized'] == 2
        assert row.mapping_seconds > 0 and row.map_bytes > 10_000
        json.dumps(asdict(row), allow_nan=False)


class TestTable:
    def test_rows_have_their_figures(self, frames):
        row = run('fake', PerfectMethod(), frames, frames)
        header, _, cells = benchmark_table([row]).splitlines()
        assert header.count('|') == cells.count('|')
        assert cells.startswith('| fake | perfect | 6 |')
        assert '| 6/6 | 0.00 / 0.00 | 100 % | 100 % | 100 % |' in cells

    def test_errors_take_the_place_of_figures(self):
        table = benchmark_table([BenchmarkRow('fake', 'failing', 6, error='no parallax')])
        assert '| no parallax |' in table


def test_spread_covers_the_whole_recording(frames):
    assert spread(frames, 3) == [frames[0], frames[2], frames[5]]


def test_peak_memory_may_be_unknown(monkeypatch):
    def no_proc(self):
        raise FileNotFoundError(self)

    monkeypatch.setattr('pathlib.Path.read_text', no_proc)
    assert peak_rss_mb() is None


def test_baselines_are_registered_by_name():
    assert list(baseline_methods(FakeEncoder)) == ['sift', 'nearest']
