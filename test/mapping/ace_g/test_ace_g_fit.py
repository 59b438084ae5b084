"""The paper's steps, against a slow computation of the same with loops and the textbook's AdamW."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from aceg_ros.errors import FitError
from aceg_ros.mapping.ace_g.buffer import AceGBuffer
from aceg_ros.mapping.ace_g.fit import ace_g_losses, ace_g_steps
from aceg_ros.mapping.ace_g.memory import MemoryPlan, plan_memory
from aceg_ros.mapping.ace_g.schedule import SCHEDULES, AceGSchedule, schedule_named
from aceg_ros.regressor.ace_g import AceGConfig, AceGRegressor
from aceg_ros.regressor.base import SceneCoordinates

CONFIG = AceGConfig(dim_in=12, dim=16, blocks=2, heads=2)
TINY = AceGSchedule(steps=14, batch=24, buffer=60, tokens=10)
MEAN = torch.tensor([0.3, -0.2, 0.1])


@pytest.fixture
def network() -> AceGRegressor:
    torch.manual_seed(0)
    return AceGRegressor(CONFIG).requires_grad_(False).eval()


@pytest.fixture
def start() -> torch.Tensor:
    return torch.randn(10, 16, generator=torch.Generator().manual_seed(1)) * 0.1


@pytest.fixture
def buffer() -> AceGBuffer:
    """60 patches of 3 views; some predictions are behind the camera, some far off in the image."""
    generator = torch.Generator().manual_seed(2)
    pose = torch.eye(4)[:3].repeat(3, 1, 1)
    pose[:, 2, 3] = torch.tensor([2.0, 3.0, -2.0])
    pose[1, 0, 3] = 20.0
    return AceGBuffer(
        torch.randn(60, 12, generator=generator).half(),
        200 * torch.randn(60, 2, generator=generator),
        torch.arange(60, dtype=torch.int32) % 3,
        pose,
        torch.tensor([300.0, 310.0, 320.0]),
    )


def slow_loss(point, sigma, target, pose, f) -> torch.Tensor:
    """Of one patch, from the description of the method."""
    x, y, z = pose[:, :3] @ point + pose[:, 3]
    if 0.1 <= z <= 1000:
        d = abs(f * x / z - target[0]) + abs(f * y / z - target[1])
        if d <= 1000:
            sigma_px = sigma * f / z
            return torch.log(sigma_px) + math.sqrt(2) * d / sigma_px
    return abs(x - 0.1 * target[0] / f) + abs(y - 0.1 * target[1] / f) + abs(z - 0.1)


def slow_run(network, start, buffer, schedule, seed):
    """The code before each step, and its loss and rate."""
    code = start.clone().double()
    first, second = torch.zeros_like(code), torch.zeros_like(code)
    order = torch.Generator().manual_seed(seed)
    masks = torch.Generator().manual_seed(seed)
    rows: list[int] = []
    peak = 0.3 * schedule.steps - 1
    for step in range(schedule.steps):
        while len(rows) < schedule.batch:
            rows += torch.randperm(len(buffer), generator=order).tolist()
        batch, rows = rows[: schedule.batch], rows[schedule.batch :]
        mask = torch.rand(schedule.batch, 12, generator=masks) >= schedule.dropout
        leaf = code.float().requires_grad_()
        total = torch.zeros(())
        for place, row in enumerate(batch):
            features = buffer.features[row].float() * mask[place] / (1 - schedule.dropout)
            read = network(features[None], leaf, MEAN)
            view = int(buffer.view[row])
            total = total + slow_loss(
                read.points3d[0],
                read.sigma[0],
                buffer.targets[row],
                buffer.cam_from_world[view],
                buffer.focal[view],
            )
        loss = total / schedule.batch
        loss.backward()
        if step <= peak:
            rate = 2e-3 + (4e-4 - 2e-3) * (1 + math.cos(math.pi * step / peak)) / 2
        else:
            part = (step - peak) / (schedule.steps - 1 - peak)
            rate = 4e-7 + (2e-3 - 4e-7) * (1 + math.cos(math.pi * part)) / 2
        gradient = leaf.grad.double()
        code = code * (1 - rate * 0.01)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = (first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1)))
        code = code - rate * corrected[0] / (corrected[1].sqrt() + 1e-8)
        yield code, float(loss.detach()), rate


class TestSteps:
    @pytest.mark.parametrize('dropout', [0.0, 0.1])
    def test_are_those_of_the_description(self, network, start, buffer, dropout):
        schedule = replace(TINY, dropout=dropout)
        steps = ace_g_steps(start, MEAN, buffer, network, schedule, 1000, seed=5)
        slow = slow_run(network, start, buffer, schedule, seed=5)
        for step, (code, loss, rate) in zip(steps, slow, strict=True):
            assert step.rate == pytest.approx(rate, rel=1e-9)
            assert step.loss == pytest.approx(loss, rel=1e-4)
            torch.testing.assert_close(step.embeddings.double(), code, atol=2e-6, rtol=1e-4)

    def test_pieces_add_up_to_the_batch(self, network, start, buffer):
        schedule = replace(TINY, dropout=0.0)
        whole = list(ace_g_steps(start, MEAN, buffer, network, schedule, 24, seed=5))
        parts = list(ace_g_steps(start, MEAN, buffer, network, schedule, 7, seed=5))
        for first, second in zip(whole, parts, strict=True):
            assert first.loss == pytest.approx(second.loss, rel=1e-4)
        torch.testing.assert_close(whole[-1].embeddings, parts[-1].embeddings, atol=1e-5, rtol=1e-3)

    def test_leave_start_and_network_alone(self, network, start, buffer):
        before, identity = start.clone(), network.identity()
        *_, last = ace_g_steps(start, MEAN, buffer, network, TINY, 24, seed=5)
        assert torch.equal(start, before)
        assert network.identity() == identity
        assert not torch.equal(last.embeddings, before)

    def test_are_repeatable(self, network, start, buffer):
        runs = [
            list(ace_g_steps(start, MEAN, buffer, network, TINY, 24, seed=s)) for s in (5, 5, 6)
        ]
        assert runs[0][-1].loss == runs[1][-1].loss != runs[2][-1].loss

    def test_bring_the_loss_down(self, network, start, buffer):
        schedule = replace(TINY, steps=150, batch=60, first_rate=1e-2, peak_rate=5e-2)
        steps = list(ace_g_steps(start, MEAN, buffer, network, schedule, 60, seed=0))
        assert steps[-1].loss < steps[0].loss - 0.5

    def test_a_buffer_smaller_than_a_batch(self, network, start, buffer):
        schedule = replace(TINY, steps=2, batch=200)
        assert len(list(ace_g_steps(start, MEAN, buffer, network, schedule, 64, seed=0))) == 2


class TestLoss:
    def losses(self, points, target=(0.0, 0.0), sigma=0.1):
        points = torch.tensor(points)
        count = len(points)
        return ace_g_losses(
            SceneCoordinates(points, torch.full((count,), sigma)),
            torch.tensor([target] * count),
            torch.eye(4)[:3].expand(count, 3, 4),
            torch.full((count,), 100.0),
            TINY,
        )

    def test_limits_of_what_is_valid(self):
        _, errors = self.losses(
            [[0, 0, 0.11], [0, 0, 0.09], [0, 0, 999.0], [0, 0, 1001.0], [9.9, 0, 1], [10.1, 0, 1]]
        )
        assert torch.isfinite(errors).tolist() == [True, False, True, False, True, False]

    def test_error_is_l1(self):
        _, errors = self.losses([[0.03, 0.04, 1.0]])
        assert float(errors[0]) == pytest.approx(7.0)

    def test_behind_the_camera_pulls_to_the_ray(self):
        losses, _ = self.losses([[0.0, 0.0, -1.0]], target=(50.0, -100.0))
        assert float(losses[0]) == pytest.approx(0.05 + 0.1 + 1.1)

    def test_gradients_are_finite_everywhere(self):
        points = torch.tensor(
            [[0.0, 0, 0], [0, 0, -5], [1e4, 0, 1], [0, 0, 1e6]], requires_grad=True
        )
        log_sigma = torch.tensor([0.0, 10, -10, 3], requires_grad=True)
        losses, _ = ace_g_losses(
            SceneCoordinates(points, log_sigma.exp()),
            torch.zeros(4, 2),
            torch.eye(4)[:3].expand(4, 3, 4),
            torch.full((4,), 500.0),
            TINY,
        )
        losses.sum().backward()
        assert torch.isfinite(points.grad).all()
        assert torch.isfinite(log_sigma.grad).all()


class TestSchedule:
    def test_the_two_of_the_paper(self):
        quick, long = SCHEDULES['ace-g-5min'], SCHEDULES['ace-g-25min']
        assert (quick.steps, quick.batch, quick.buffer) == (1000, 40_960, 4_000_000)
        assert (long.steps, long.batch, long.buffer) == (4000, 51_200, 8_000_000)
        for schedule in (quick, long):
            assert (schedule.tokens, schedule.per_view) == (4096, 1024)
            assert (schedule.weight_decay, schedule.dropout) == (0.01, 0.1)

    @pytest.mark.parametrize('name', SCHEDULES)
    def test_rates_are_onecycle(self, name):
        schedule = SCHEDULES[name]
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
        reference = OneCycleLR(
            optimizer,
            max_lr=2e-3,
            total_steps=schedule.steps,
            div_factor=5,
            final_div_factor=1000,
            cycle_momentum=False,
        )
        rates = []
        for _ in range(schedule.steps):
            rates.append(reference.get_last_lr()[0])
            optimizer.step()
            reference.step() if len(rates) < schedule.steps else None
        ours = [schedule.learning_rate(step) for step in range(schedule.steps)]
        np.testing.assert_allclose(ours, rates, rtol=1e-9)
        assert (ours[0], max(ours)) == (pytest.approx(4e-4), pytest.approx(2e-3, rel=1e-5))
        assert ours[-1] == pytest.approx(4e-7)

    @pytest.mark.parametrize('steps', [1, 2, 3, 10])
    def test_short_ones_have_rates_too(self, steps):
        rates = [replace(TINY, steps=steps).learning_rate(step) for step in range(steps)]
        assert all(4e-7 <= rate <= 2e-3 for rate in rates)

    def test_an_unknown_one(self):
        with pytest.raises(FitError, match='there are ace-g-5min, ace-g-25min'):
            schedule_named('ace-g-1min')


PUBLISHED = AceGConfig()
NETWORKS = 1_700_000_000  # bytes of DINOv2 ViT-L and the head
CUDA, CPU = torch.device('cuda'), torch.device('cpu')


class TestMemory:
    @pytest.mark.parametrize('schedule', SCHEDULES.values(), ids=SCHEDULES)
    def test_8_gb_hold_either_schedule(self, schedule):
        plan = plan_memory(schedule, PUBLISHED, NETWORKS, CUDA, 8.0, host=64.0)
        assert 1000 < plan.piece < schedule.batch
        assert plan.buffer == schedule.buffer
        assert not plan.buffer_on_device
        assert plan.note(schedule) == ''

    def test_a_large_gpu_holds_all(self):
        schedule = SCHEDULES['ace-g-5min']
        plan = plan_memory(schedule, PUBLISHED, NETWORKS, CUDA, 120.0, host=64.0)
        assert plan == MemoryPlan(schedule.batch, schedule.buffer, True)

    def test_a_computer_with_little_memory_has_a_smaller_buffer_and_says_so(self):
        schedule = SCHEDULES['ace-g-5min']
        plan = plan_memory(schedule, PUBLISHED, NETWORKS, CUDA, 8.0, host=8.0)
        assert 2_000_000 < plan.buffer < schedule.buffer
        assert 'instead of 4000000' in plan.note(schedule)

    @pytest.mark.parametrize('device', [CPU, CUDA])
    def test_too_little(self, device):
        with pytest.raises(FitError, match='GB are needed'):
            plan_memory(SCHEDULES['ace-g-5min'], PUBLISHED, NETWORKS, device, 1.5, host=8.0)

    def test_the_estimate_covers_what_the_backward_pass_keeps(self):
        config = AceGConfig(dim_in=32, dim=64, blocks=4, heads=4)
        network = AceGRegressor(config).requires_grad_(False)
        embeddings = torch.randn(8, 64, requires_grad=True)
        kept: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            held.append(tensor)
            return tensor

        held: list[torch.Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            network(torch.randn(2000, 32), embeddings, torch.zeros(3))
        per_patch = sum(kept.values()) / 2000
        plan = plan_memory(
            replace(TINY, batch=10**6), config, 0, CPU, 2.0 * 1000 * per_patch / 1e9, host=1.0
        )
        assert 600 < plan.piece <= 1000
