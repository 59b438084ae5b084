"""Fitting a code to a buffer of made-up patches, whose true points are known."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from aceg_ros.errors import FitCancelled
from aceg_ros.mapping.anchored import _hidden_views
from aceg_ros.mapping.buffer import PatchBuffer, fill_buffer
from aceg_ros.mapping.fit import FitStart, _Adam, fit_code
from aceg_ros.mapping.options import FitOptions
from aceg_ros.mapping.views import compare_views
from aceg_ros.monitor import Monitor
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor, AnchoredTensors

VIEWS, POINTS, FOCAL = 6, 300, 300.0
OPTIONS = FitOptions(epochs=30, batch=300)
READER = AnchoredConfig(temperature=32.0)  # whatever the shipped one is tuned to
OWN = torch.eye(VIEWS, dtype=torch.bool).repeat_interleave(2, dim=0)  # by group of the buffer


@dataclass
class Scene:
    """300 points, each with a feature of its own, seen by 6 cameras in a row."""

    points3d: torch.Tensor
    features: torch.Tensor
    centers: torch.Tensor

    def buffer(self) -> PatchBuffer:
        """All points in all views; cameras look along z and are not turned."""
        parts = []
        for view, center in enumerate(self.centers):
            ray = F.normalize(self.points3d - center, dim=1)
            across = F.normalize(torch.linalg.cross(ray, torch.tensor([[0.0, 1, 0]])), dim=1)
            frames = torch.stack([across, torch.linalg.cross(ray, across), ray], dim=1)
            parts.append(
                (
                    self.features.half(),
                    torch.full((POINTS,), 2 * view),
                    frames,
                    center.expand(POINTS, 3),
                    torch.full((POINTS,), FOCAL),
                )
            )
        return PatchBuffer(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def start(self, error: float) -> FitStart:
        """Each point as token of two views, its logarithm of the distance off by `error`."""
        generator = torch.Generator().manual_seed(1)
        owner = torch.arange(2 * POINTS) % VIEWS
        origins = self.centers[owner]
        points = self.points3d.repeat(2, 1)
        factor = torch.exp(error * torch.randn(2 * POINTS, 1, generator=generator))
        code = AnchoredTensors(
            self.features.repeat(2, 1),
            origins + (points - origins) * factor,
            torch.full((2 * POINTS,), np.log(0.1).item()),
            torch.zeros(2 * POINTS),
        )
        return FitStart(code, owner, OWN)


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(POINTS, 3, generator=generator) * torch.tensor([3.0, 2.0, 1.0])
    features = F.normalize(torch.randn(POINTS, 64, generator=generator), dim=1)
    centers = torch.stack([torch.tensor([0.5 * view, 1.0, 0.0]) for view in range(VIEWS)])
    return Scene(points + torch.tensor([0.0, 0.0, 2.5]), features, centers)


def fit(scene, error=0.1, options=OPTIONS, seconds=60.0, reader=None, **calls):
    return fit_from(scene.start(error), scene.buffer(), options, seconds, reader, **calls)


def fit_from(start, buffer, options=OPTIONS, seconds=60.0, reader=None, **calls):
    return fit_code(
        start,
        buffer,
        reader or AnchoredRegressor(READER),
        options,
        0,
        time.monotonic() + seconds,
        Monitor(**calls),
    )


class Spy(AnchoredRegressor):
    """Notes which tokens each patch was allowed to read."""

    def __init__(self):
        super().__init__(READER)
        self.reads = []

    def candidates(self, features, code, tokens=None):
        self.reads.append((features.detach(), tokens))
        return super().candidates(features, code, tokens)


class TestFit:
    def test_wrong_tokens_are_read_less_and_trusted_less(self, scene):
        """Every third point is shown by one token that is right, and one that is far off."""
        start = scene.start(0.0)
        wrong = torch.arange(0, POINTS, 3)
        start.code.anchors[wrong] += torch.tensor([0.0, 0.7, 0.0])
        code, history = fit_from(start, scene.buffer())
        assert (code.log_prior[wrong + POINTS] - code.log_prior[wrong]).median() > 0.5
        assert (code.log_sigma[wrong] > code.log_sigma[wrong + POINTS]).float().mean() > 0.9
        assert history.losses[-1] < history.losses[0] - 1.0
        assert history.inlier_ratio > 0.8

    def test_points_stay_where_they_were_found(self, scene):
        start = scene.start(0.1)
        code, _ = fit_from(start, scene.buffer())
        torch.testing.assert_close(code.anchors, start.code.anchors, rtol=0, atol=0)

    def test_strangers_change_nothing(self, scene):
        """Patches of what no token shows, far off all of them, do not spoil the rest."""
        start, buffer = scene.start(0.0), scene.buffer()
        strange = torch.arange(len(buffer)) % 3 == 0
        frames = torch.where(strange[:, None, None], buffer.frames.roll(7, dims=0), buffer.frames)
        alone, _ = fit_from(start, buffer)
        beside, _ = fit_from(start, replace(buffer, frames=frames))
        assert (beside.log_sigma - alone.log_sigma).median() < 0.5

    def test_blocks_make_no_difference(self, scene):
        """A code is fitted for the anchored reading, whatever blocks read it later."""
        torch.manual_seed(0)
        blocks = AnchoredRegressor(replace(READER, blocks=1, dim=16)).requires_grad_(False)
        codes = [fit(scene, seconds=math.inf, reader=reader)[0] for reader in (None, blocks)]
        for first, second in zip(*(vars(code).values() for code in codes), strict=True):
            torch.testing.assert_close(first, second, atol=0, rtol=0)

    def test_anchors_behind_the_camera_are_no_trouble(self, scene):
        start = scene.start(0.0)
        lost = torch.arange(0, 2 * POINTS, 10)
        origins = scene.centers[start.owner]
        start.code.anchors[lost] = 2 * origins[lost] - start.code.anchors[lost]
        code, _ = fit_from(start, scene.buffer())
        assert all(torch.isfinite(part).all() for part in vars(code).values())
        assert code.log_prior[lost].median() < code.log_prior.median()

    def test_sigma_learns_the_errors_size(self, scene):
        code, _ = fit(scene)
        assert code.log_sigma.exp().median() < 0.07

    def test_same_seed_same_code(self, scene):
        options = replace(OPTIONS, epochs=4)
        torch.manual_seed(1)
        first = fit(scene, options=options, seconds=1000)[0]
        torch.manual_seed(2)
        second = fit(scene, options=options, seconds=1000)[0]
        torch.testing.assert_close(first.embeddings, second.embeddings, rtol=0, atol=0)

    def test_the_start_is_not_changed(self, scene):
        start = scene.start(0.1)
        before = start.code.embeddings.clone()
        fit_from(start, scene.buffer(), replace(OPTIONS, epochs=2))
        torch.testing.assert_close(start.code.embeddings, before)
        assert not start.code.embeddings.requires_grad

    def test_stops_at_the_deadline(self, scene):
        began = time.monotonic()
        _, history = fit(scene, options=replace(OPTIONS, epochs=10**6), seconds=1.0)
        assert 0.5 < time.monotonic() - began < 3.0
        assert history.losses

    def test_a_deadline_in_the_past_still_gives_a_code(self, scene):
        code, _ = fit(scene, seconds=-1.0)
        assert torch.isfinite(code.embeddings).all()

    def test_progress_rises_to_the_end(self, scene):
        counted = []
        fit(scene, progress=lambda stage, fraction, detail: counted.append(fraction))
        assert counted == sorted(counted)
        assert counted[-1] == 1.0

    def test_cancelled(self, scene):
        steps = []
        with pytest.raises(FitCancelled):
            fit(
                scene,
                progress=lambda *_: steps.append(1),
                cancelled=lambda: len(steps) >= 3,
            )
        assert len(steps) == 3


class TestSteps:
    def test_are_those_of_the_optimizer(self):
        start = [torch.randn(5, 3), torch.randn(7)]
        ours, theirs = ([each.clone().requires_grad_() for each in start] for _ in range(2))
        quick = _Adam(ours)
        optimizer = torch.optim.Adam([{'params': [each]} for each in theirs], betas=(0.9, 0.99))
        for step in range(1, 6):
            for tensors in (ours, theirs):
                ((tensors[0] - step).square().sum() + tensors[1].pow(4).sum()).backward()
            quick.step([0.1 / step, 0.02])
            for group, rate in zip(optimizer.param_groups, (0.1 / step, 0.02), strict=True):
                group['lr'] = rate
            optimizer.step()
            optimizer.zero_grad()
        for mine, other, before in zip(ours, theirs, start, strict=True):
            assert not torch.equal(mine, before)
            torch.testing.assert_close(mine, other)

    def test_load_no_compiler(self):
        """It takes two seconds, and nothing here is compiled."""
        program = (
            'import sys, torch; from aceg_ros.mapping.fit import _Adam; '
            'x = torch.ones(3, requires_grad=True); x.square().sum().backward(); '
            '_Adam([x]).step([0.1]); assert "torch._dynamo" not in sys.modules'
        )
        subprocess.run([sys.executable, '-c', program], check=True, timeout=120)


class TestHidden:
    def test_tokens_of_hidden_views_are_never_read(self, scene):
        """Views 0 and 1 are hidden from each other; each feature begins with its group's number."""
        hidden = OWN.clone()
        hidden[0, 1] = hidden[2, 0] = True
        buffer = scene.buffer()
        marked = buffer.features.clone()
        marked[:, : 2 * VIEWS] = F.one_hot(buffer.group, 2 * VIEWS).half()
        start = replace(scene.start(0.1), hidden=hidden)
        spy = Spy()
        fit_from(start, replace(buffer, features=marked), replace(OPTIONS, epochs=4), reader=spy)
        assert spy.reads
        for features, tokens in spy.reads:
            group = features[:, : 2 * VIEWS].argmax(dim=1)
            assert not hidden[group[:, None], start.owner[tokens]].any()

    def test_no_view_reads_itself_and_none_loses_more_than_half(self, keyframes):
        hidden = _hidden_views(compare_views(keyframes, 1.8), near_view_angle=90.0)
        count = len(keyframes)
        assert hidden.shape == (2 * count, count)
        own = np.eye(count, dtype=bool)
        np.testing.assert_array_equal(hidden[0::2], own)
        assert hidden[1::2][own].all()
        assert (hidden[1::2].sum(axis=1) <= count / 2 + 1).all()
        assert hidden[1::2].sum() > 2 * count


class TestBuffer:
    @pytest.mark.parametrize('size', [200, 4_000, 10**6])
    def test_bounded_whatever_the_number_of_keyframes(self, keyframes, size):
        few, many = (fill_buffer(chosen, size, 0.5) for chosen in (keyframes[:5], keyframes))
        assert len(few) <= size
        assert len(many) <= size
        assert many.features.dtype == torch.float16

    def test_patches_of_a_group_lie_together(self, keyframes):
        buffer = fill_buffer(keyframes, 3000, 0.5)
        assert (buffer.group.diff() >= 0).all()
        assert (buffer.group // 2).unique().tolist() == list(range(len(keyframes)))

    def test_frames_are_orthonormal_and_end_with_the_ray(self, keyframes):
        buffer = fill_buffer(keyframes[:3], 600, 0.5)
        product = buffer.frames @ buffer.frames.transpose(1, 2)
        torch.testing.assert_close(product, torch.eye(3).expand_as(product), atol=1e-5, rtol=0)
        first = keyframes[0]
        in_camera = buffer.frames[:50, 2].double().numpy() @ first.world_from_cam[:3, :3]
        pixels = first.camera.project(in_camera)
        best = first.patches.best(100).points2d[:50].numpy()
        np.testing.assert_allclose(pixels, best, atol=1e-2)

    def test_augmented_patches_show_the_same_places(self, keyframes):
        """The ray of a patch of the changed copy leads to a like patch of the original."""
        similar = []
        for keyframe in keyframes[:5]:
            changed = keyframe.augmented.best(100)
            columns = keyframe.feature_map.shape[2]
            column, row = ((changed.points2d - 3.5) / 8).round().long().T
            original = keyframe.patches.features[row * columns + column].float()
            similar.append((original * changed.features.float()).sum(dim=1))
            other = keyframe.patches.features[torch.randperm(1200)[: len(row)]].float()
            similar.append((other * changed.features.float()).sum(dim=1))
        assert torch.cat(similar[::2]).median() > torch.cat(similar[1::2]).median() + 0.3
