"""The bound on what a choice among tokens can reach."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F

from aceg_ros.datasets.base import Frame
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.pretraining.bound import PerfectChoice, best_evaluation
from aceg_ros.localization.result import LocalizationFailure, Reason
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredTensors

# Two tokens 90 degrees apart as seen from the center; the patches are most like the first.
CENTER = torch.tensor([1.0, 2.0, 3.0])
OFFSETS = torch.tensor([[0.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
KEYS = F.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.4]]), dim=1)
CODE = AnchoredTensors(KEYS, CENTER + OFFSETS, torch.tensor([-1.0, -2.0]), torch.zeros(2))
UNKNOWN = torch.full((3,), torch.nan)
RAYS = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def choice() -> PerfectChoice:
    return PerfectChoice(AnchoredConfig(dim_in=2, tokens_read=2))


def test_the_token_near_the_ray_is_read_however_alike():
    reader = choice()
    reader.told(RAYS, UNKNOWN, CENTER, 0.02)
    read = reader(KEYS[:1].expand(3, 2), CODE)
    assert read.points3d[:2].equal(CODE.anchors)
    torch.testing.assert_close(read.sigma[:2], CODE.log_sigma.exp())
    assert torch.isinf(read.sigma[2])


def test_a_token_on_the_ray_of_another_point_is_not_read():
    reader = choice()
    reader.told(RAYS, torch.tensor([2.05, 5.0, 1.0]), CENTER, 0.03)
    assert torch.isinf(reader(KEYS[:1].expand(3, 2), CODE).sigma).tolist() == [False, True, True]


def test_tokens_that_may_not_be_read_are_not():
    reader = choice()
    reader.told(RAYS, UNKNOWN, CENTER, 0.02)
    tokens = torch.tensor([[0, -1], [0, -1], [0, -1]])
    read = reader(KEYS[:1].expand(3, 2), CODE, None, tokens)
    assert torch.isinf(read.sigma).tolist() == [False, True, True]


def test_the_truth_is_told_in_the_axes_of_the_map():
    reader = choice()
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned[:3, 3] = [11.0, 22.0, 33.0]
    camera = Camera.pinhole(64, 64, 100.0, 100.0, 31.5, 31.5)
    frame = Frame('', camera, lambda: np.zeros((64, 64, 3), np.uint8), turned)

    class Localizer:
        code = SimpleNamespace(info=SimpleNamespace(origin=(10.0, 20.0, 30.0)))

        def encode(self, image, camera):
            patches = SimpleNamespace(
                features=KEYS,
                rays=np.array([[0, 0, 1.0], [-1.0, 0, 0]]),
                focal=100.0,
                camera=camera,
            )
            return SimpleNamespace(patches=patches)

        def localize_encoded(self, encoded):
            read = reader(encoded.patches.features, CODE)
            assert read.points3d.equal(CODE.anchors) and torch.isfinite(read.sigma).all()
            return LocalizationFailure(Reason.NO_POSE, '')

    found = best_evaluation(Localizer(), reader, [frame, frame], 2.0)
    assert len(found.results) == 2
