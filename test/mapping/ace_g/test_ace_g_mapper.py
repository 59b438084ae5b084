"""Posed images in, a free code out, and poses in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from free_room import SCHEDULE

from aceg_ros.datasets import Frame
from aceg_ros.engine import Engine
from aceg_ros.errors import FitCancelled, FitError
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.geometry.poses import shifted
from aceg_ros.localization.localizer import Localizer
from aceg_ros.mapping.ace_g.memory import MemoryPlan
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import FreeOptions, MappingOptions, ValidationOptions
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.monitor import Monitor
from aceg_ros.regressor.ace_g import AceGConfig, AceGRegressor

ECEF = np.array([2511673.6, 1438633.7, 5664733.7])
SHORT = replace(SCHEDULE, steps=3, batch=64, buffer=600, tokens=8)
OPTIONS = MappingOptions(free=FreeOptions(SHORT))
SMALL = MemoryPlan(piece=64, buffer=300, buffer_on_device=True)


def moved(frame: Frame) -> Frame:
    """In ECEF coordinates."""
    return replace(frame, world_from_cam=shifted(frame.pose(), ECEF))


@pytest.fixture(scope='module')
def untaught(engine) -> Engine:
    """With a regressor that reads the wide encoder's features, and knows nothing."""
    torch.manual_seed(0)
    config = AceGConfig(dim_in=96, dim=32, blocks=1, heads=2)
    return Engine(engine.encoder, AceGRegressor(config).requires_grad_(False).eval())


class TestMap:
    def test_finds_views_between_those_mapped(self, free_mapped, free_engine, queries, tmp_path):
        """Of a code written and read again; its errors are those of a network made in seconds."""
        write_map(tmp_path / 'room.aceg', free_mapped.code)
        localizer = Localizer(read_map(tmp_path / 'room.aceg'), free_engine)
        summary = evaluate(localizer, queries).summary()
        assert summary['localized'] >= 6
        assert summary['median_cm'] < 40
        assert summary['median_deg'] < 12

    def test_far_from_the_origin_it_is_as_good(self, free_mapped, free_engine, views, queries):
        there, asked = ([moved(f) for f in frames] for frames in (views, queries))
        far = map_scene(there, free_engine, MappingOptions(free=FreeOptions(SCHEDULE)))
        near_errors, far_errors = (
            np.median([r.meters for r in evaluate(Localizer(code, free_engine), frames).results])
            for code, frames in ((free_mapped.code, queries), (far.code, asked))
        )
        assert far_errors < 1.2 * near_errors + 0.01

    def test_says_what_it_was_made_of(self, free_mapped, free_regressor, engine, views):
        code = free_mapped.code
        assert code.kind == 'free'
        assert code.embeddings.shape == (SCHEDULE.tokens, 64)
        assert code.info.regressor == free_regressor.identity()
        assert code.info.encoder == engine.encoder.identity
        assert code.info.cameras == (views[0].camera,)
        assert len(code.keyframes) == 23  # five were held out
        assert code.info.quality.held_out == 5
        room = np.median(views[5].depth())
        assert code.info.quality.median_depth == pytest.approx(room, rel=0.6)

    def test_history(self, free_mapped):
        history = free_mapped.history
        assert len(history.losses) == SCHEDULE.steps
        assert history.losses[-1] < history.losses[0]
        assert 0 < history.inlier_ratio < 1


class TestRun:
    def test_is_repeatable(self, views, untaught):
        first, second, third = (
            map_scene(views, untaught, replace(OPTIONS, seed=seed)).code.embeddings
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, third)

    def test_less_memory_gives_the_same_code(self, views, untaught):
        schedule = replace(SHORT, batch=600, dropout=0.0)
        codes = [
            map_scene(
                views,
                untaught,
                MappingOptions(
                    validation=ValidationOptions(held_out=0.0), free=FreeOptions(schedule, memory)
                ),
            ).code
            for memory in (0.0, 0.0014)
        ]
        np.testing.assert_allclose(codes[0].embeddings, codes[1].embeddings, atol=1e-4)

    def test_without_frames_to_judge_by(self, views, untaught):
        code = map_scene(
            views, untaught, replace(OPTIONS, validation=ValidationOptions(held_out=0.0))
        ).code
        assert code.info.quality.rating == 'unknown'

    def test_reports_and_is_cancelled(self, views, untaught):
        stages = []

        def note(stage, fraction, detail):
            assert 0 <= fraction <= 1
            stages.append(stage)

        def in_the_fit():
            return 'fit' in stages

        with pytest.raises(FitCancelled):
            map_scene(views, untaught, OPTIONS, monitor=Monitor(note, in_the_fit))
        assert list(dict.fromkeys(stages))[:2] == ['compare', 'encode']

    def test_too_few_frames(self, views, untaught):
        with pytest.raises(FitError, match='at least 5'):
            map_scene(views[:4], untaught, OPTIONS)

    def test_says_where_memory_makes_the_buffer_smaller(self, views, untaught, monkeypatch):
        monkeypatch.setattr('aceg_ros.mapping.ace_g.mapper.plan_memory', lambda *_: SMALL)
        result = map_scene(
            views, untaught, replace(OPTIONS, validation=ValidationOptions(held_out=0.0))
        )
        (note,) = result.notes
        assert '300 patches instead of 600' in note
        assert not result.skipped
