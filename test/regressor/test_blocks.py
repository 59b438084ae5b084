"""The blocks that correct a reading."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from aceg_ros.regressor.blocks import image_support
from aceg_ros.regressor.regressor import CodeTensors, Regressor, RegressorConfig
from aceg_ros.worlds.tours import look

K = 12


def reader(awake: bool = True, **changes) -> Regressor:
    """Untrained, or with last layers that are no longer zero."""
    torch.manual_seed(0)
    model = Regressor(RegressorConfig(blocks=2, dim=32, tokens_read=K, **changes))
    if awake:
        with torch.no_grad():
            for parameter in model.parameters():
                if not parameter.any():
                    parameter.normal_(0, 0.1)
    return model.eval()


def make_code(tokens: int = 400, scale: float = 1.0) -> CodeTensors:
    generator = torch.Generator().manual_seed(1)
    return CodeTensors(
        torch.randn(tokens, 64, generator=generator),
        scale * torch.randn(tokens, 3, generator=generator),
        torch.randn(tokens, generator=generator) * 0.1 - 3 + math.log(scale),
        torch.randn(tokens, generator=generator) * 0.3,
    )


def make_patches(count: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return F.normalize(torch.randn(count, 64, generator=generator), dim=1)


IMAGES = torch.arange(20) // 10


def difference(first, second) -> float:
    return float((first.points3d - second.points3d).detach().abs().max())


class TestUntrained:
    @pytest.mark.parametrize('images', [None, IMAGES])
    def test_equals_the_anchored_reader(self, images):
        code, patches = make_code(), make_patches()
        read = reader(awake=False)(patches, code, images=images)
        plain = Regressor(RegressorConfig(tokens_read=K))(patches, code)
        torch.testing.assert_close(read.points3d, plain.points3d, atol=0, rtol=0)
        torch.testing.assert_close(read.sigma, plain.sigma, atol=0, rtol=0)

    def test_gradients_reach_the_last_layers(self):
        model = reader(awake=False)
        read = model(make_patches(), make_code())
        (read.points3d.square().sum() + read.sigma.log().sum()).backward()
        assert model.corrector.out.weight.grad.abs().sum() > 0
        for block in model.corrector.blocks:
            assert block.change.weight.grad.abs().sum() > 0


class TestCorrecting:
    def test_changes_the_reading(self):
        code, patches, model = make_code(), make_patches(), reader()
        assert difference(model(patches, code), model(patches, code, corrected=False)) > 1e-3

    def test_not_asked_it_is_the_anchored_reader(self):
        code, patches = make_code(), make_patches()
        plain = Regressor(RegressorConfig(tokens_read=K))(patches, code)
        assert difference(reader()(patches, code, corrected=False), plain) == 0

    def test_order_of_the_tokens_named_does_not_matter(self):
        code, patches, model = make_code(), make_patches(), reader()
        tokens = model.similar_tokens(patches, code, K)
        order = torch.randperm(K, generator=torch.Generator().manual_seed(3))
        first, second = model(patches, code, tokens), model(patches, code, tokens[:, order])
        assert difference(first, second) < 1e-5
        torch.testing.assert_close(first.sigma, second.sigma)

    def test_missing_tokens_do_not_count(self):
        code, patches, model = make_code(), make_patches(), reader()
        tokens = model.similar_tokens(patches, code, 5)
        padded = F.pad(tokens, (0, 3), value=-1)
        first, second = model(patches, code, tokens), model(patches, code, padded)
        # the anchors' distances to each other are measured from another middle
        assert difference(first, second) < 1e-4

    def test_in_pieces_as_at_once(self):
        code, patches, model = make_code(), make_patches(600), reader()
        images = torch.zeros(600, dtype=torch.long)
        whole = model(patches, code, images=images)
        with torch.no_grad():
            pieces = model(patches, code, images=images)
        assert difference(whole, pieces) < 1e-5

    def test_unit_of_length_does_not_matter(self):
        patches, model = make_patches(), reader()
        metres, feet = model(patches, make_code()), model(patches, make_code(scale=3.28))
        torch.testing.assert_close(3.28 * metres.points3d, feet.points3d, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(3.28 * metres.sigma, feet.sigma, atol=1e-4, rtol=1e-3)

    def test_finite_where_all_anchors_coincide(self):
        code = make_code()
        code.anchors[:] = 1.0
        code.anchors.requires_grad_()
        read = reader()(make_patches(), code, images=IMAGES)
        (read.points3d.sum() + read.sigma.sum()).backward()
        assert torch.isfinite(read.sigma).all() and torch.isfinite(code.anchors.grad).all()


class TestImages:
    def test_other_images_do_not_matter(self):
        code, patches, model = make_code(), make_patches(), reader()
        together = model(patches, code, images=IMAGES)
        alone = model(patches[:10], code, images=IMAGES[:10])
        assert float((together.points3d[:10] - alone.points3d).abs().max()) < 1e-5

    def test_the_rest_of_the_image_does(self):
        code, patches, model = make_code(), make_patches(), reader()
        first = model(patches, code, images=torch.zeros(20, dtype=torch.long))
        assert difference(first, model(patches, code, images=IMAGES)) > 1e-6

    def test_support_is_highest_where_the_image_looks(self):
        anchors = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [9.0, 0, 0]])
        seen = 0.05 * torch.from_numpy(look(anchors[0].numpy(), 0.3, 0.1)[:3, :3]).float()
        support = image_support(anchors, seen, torch.ones(3), torch.tensor(2.0))
        assert (support[0] > support[1]).all() and (support[1] > support[2]).all()

    def test_unsure_readings_do_not_vote(self):
        anchors = torch.tensor([[0.0, 0, 0], [9.0, 0, 0]])
        points3d = anchors.repeat_interleave(200, dim=0)
        sigma = torch.ones(400)
        sigma[:200] = 0.1
        support = image_support(anchors, points3d, sigma, torch.tensor(2.0))
        assert (support[0] > support[1] + 0.5).all()
