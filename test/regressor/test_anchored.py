"""The regressor: what it reads from a code, with blocks and without."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor, AnchoredTensors

BLOCKS = pytest.mark.parametrize('blocks', [0, 2])


def regressor(blocks: int = 0, **changes) -> AnchoredRegressor:
    """With blocks, one whose last layers are no longer zero."""
    torch.manual_seed(4)
    model = AnchoredRegressor(AnchoredConfig(blocks=blocks, dim=32, **changes))
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return model


def random_code(tokens: int = 700, seed: int = 0) -> AnchoredTensors:
    generator = torch.Generator().manual_seed(seed)
    return AnchoredTensors(
        torch.randn(tokens, 64, generator=generator),
        torch.randn(tokens, 3, generator=generator),
        torch.randn(tokens, generator=generator) * 0.1 - 3,
        torch.randn(tokens, generator=generator) * 0.3,
    )


def coinciding(tokens: int, place: torch.Tensor) -> AnchoredTensors:
    """Weak random embeddings, all anchored in one place with a sigma of 1 m."""
    embeddings = 0.1 * torch.randn(tokens, 64, generator=torch.Generator().manual_seed(0))
    return AnchoredTensors(
        embeddings, place.repeat(tokens, 1), torch.zeros(tokens), torch.zeros(tokens)
    )


def random_patches(count: int = 9, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, 64, generator=generator), dim=1)


def slow_reading(config: AnchoredConfig, patch: torch.Tensor, code: AnchoredTensors):
    """Point and sigma of one patch by the formula, token by token."""
    scored = []
    for index in range(len(code.anchors)):
        key = code.embeddings[index] / code.embeddings[index].norm()
        scored.append((float(config.temperature * patch @ key + code.log_prior[index]), index))
    best = sorted(scored, reverse=True)[: config.tokens_read]
    total = sum(math.exp(logit) for logit, _ in best)
    weights = [(math.exp(logit) / total, index) for logit, index in best]
    point = sum(weight * code.anchors[index] for weight, index in weights)
    variance = sum(weight * math.exp(2 * float(code.log_sigma[index])) for weight, index in weights)
    spread = sum(weight * float(((code.anchors[i] - point) ** 2).sum()) for weight, i in weights)
    return point, math.sqrt(variance + config.spread_weight**2 * spread)


class TestReading:
    def test_same_as_the_formula(self):
        model, code, patches = regressor(), random_code(), random_patches()
        read = model(patches, code)
        for index, patch in enumerate(patches):
            point, sigma = slow_reading(model.config, patch, code)
            torch.testing.assert_close(read.points3d[index], point, atol=1e-4, rtol=1e-4)
            assert float(read.sigma[index]) == pytest.approx(sigma, rel=1e-4)

    def test_a_known_patch_reads_its_own_anchor(self):
        code = random_code()
        patches = F.normalize(code.embeddings[:20], dim=1)
        read = regressor(temperature=200.0)(patches, code)
        torch.testing.assert_close(read.points3d, code.anchors[:20], atol=1e-3, rtol=0)

    def test_only_the_tokens_named(self):
        model, code, patches = regressor(), random_code(), random_patches(5)
        tokens = torch.tensor([[3, -1, 7]]).expand(5, 3)
        named = torch.tensor([3, 7])
        few = AnchoredTensors(*(part[named] for part in vars(code).values()))
        torch.testing.assert_close(
            model.among(patches, code, tokens).points3d, model(patches, few).points3d
        )

    @BLOCKS
    def test_shapes(self, blocks):
        read = regressor(blocks)(random_patches(13), random_code())
        assert read.points3d.shape == (13, 3)
        assert read.sigma.shape == (13,)

    def test_no_patches(self):
        assert regressor()(random_patches(0), random_code()).points3d.shape == (0, 3)

    @BLOCKS
    def test_fewer_tokens_than_are_read(self, blocks):
        read = regressor(blocks)(random_patches(), random_code(tokens=3))
        assert torch.isfinite(read.points3d).all()

    @BLOCKS
    def test_order_of_tokens_does_not_matter(self, blocks):
        model, code, patches = regressor(blocks), random_code(), random_patches()
        order = torch.randperm(700, generator=torch.Generator().manual_seed(2))
        mixed = AnchoredTensors(*(part[order] for part in vars(code).values()))
        first, second = model(patches, code), model(patches, mixed)
        torch.testing.assert_close(first.points3d, second.points3d, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(first.sigma, second.sigma, atol=1e-4, rtol=1e-4)

    @BLOCKS
    def test_patches_do_not_see_each_other(self, blocks):
        model, code, patches = regressor(blocks), random_code(), random_patches()
        together = model(patches, code)
        alone = torch.cat([model(patch[None], code).points3d for patch in patches])
        torch.testing.assert_close(together.points3d, alone, atol=1e-4, rtol=1e-4)

    def test_only_the_named_tokens_are_read(self):
        code, patches = random_code(), random_patches()
        tokens = torch.arange(18).view(9, 2)
        read = regressor().among(patches, code, tokens)
        low, high = (f(code.anchors[tokens], dim=1) for f in (torch.amin, torch.amax))
        assert ((read.points3d >= low - 1e-5) & (read.points3d <= high + 1e-5)).all()

    def test_the_length_of_an_embedding_does_not_matter(self):
        code, patches = random_code(), random_patches()
        longer = AnchoredTensors(5 * code.embeddings, code.anchors, code.log_sigma, code.log_prior)
        first, second = regressor()(patches, code), regressor()(patches, longer)
        torch.testing.assert_close(first.points3d, second.points3d, atol=1e-5, rtol=1e-4)


class TestCodeOfOnePlace:
    PLACE = torch.tensor([4.0, -2.0, 1.0])

    def test_reads_that_place(self):
        read = regressor()(random_patches(), coinciding(900, self.PLACE))
        torch.testing.assert_close(read.points3d, self.PLACE.expand(9, 3), atol=1e-5, rtol=0)
        torch.testing.assert_close(read.sigma, torch.ones(9), atol=1e-3, rtol=0)


class TestGradients:
    @BLOCKS
    @pytest.mark.parametrize('name', ['embeddings', 'anchors', 'log_sigma', 'log_prior'])
    def test_reach_the_code(self, blocks, name):
        code = random_code()
        # two places, and so several tokens of the same
        code.anchors.mul_(0.02)[::2] += 5.0
        getattr(code, name).requires_grad_()
        read = regressor(blocks)(random_patches(), code)
        (read.points3d.square().sum() + read.sigma.log().sum()).backward()
        gradient = getattr(code, name).grad
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0

    def test_reach_only_tokens_that_are_read(self):
        code = random_code()
        code.anchors.requires_grad_()
        regressor()(random_patches(2), code).points3d.sum().backward()
        assert (code.anchors.grad.abs().sum(dim=1) > 0).sum() <= 16

    def test_reach_the_weights(self):
        model, code = regressor(blocks=2), random_code()
        rounds = model.rounds(model.candidates(random_patches(), code), code, None)
        losses = [r.sigma.log().sum() + r.logits.softmax(dim=1).square().sum() for r in rounds]
        sum(losses).backward()
        missing = [name for name, p in model.named_parameters() if p.grad is None]
        assert not missing

    def test_stay_finite_where_all_anchors_coincide(self):
        code = coinciding(600, torch.zeros(3))
        code.anchors.requires_grad_()
        regressor()(random_patches(), code).sigma.sum().backward()
        assert torch.isfinite(code.anchors.grad).all()


class TestSigma:
    @BLOCKS
    def test_positive(self, blocks):
        code = random_code()
        code.log_sigma[:] = -50.0
        code.anchors[:] = 1.0
        sigma = regressor(blocks)(random_patches(), code).sigma
        assert (sigma > 0).all() and torch.isfinite(sigma).all()

    def test_grows_with_the_spread_of_the_anchors(self):
        code, model = random_code(), regressor()
        wider = AnchoredTensors(code.embeddings, 10 * code.anchors, code.log_sigma, code.log_prior)
        assert (model(random_patches(), wider).sigma > model(random_patches(), code).sigma).all()

    def test_is_that_of_the_tokens_where_anchors_agree(self):
        code = random_code()
        code.anchors[:] = 2.0
        code.log_sigma[:] = math.log(0.05)
        sigma = regressor()(random_patches(), code).sigma
        torch.testing.assert_close(sigma, torch.full((9,), 0.05), atol=1e-4, rtol=0)


class TestIdentity:
    def test_same_for_equals(self):
        assert regressor().identity() == regressor().identity()
        assert regressor(2).identity() == regressor(2).identity()

    def test_differs_by_configuration(self):
        identities = {
            AnchoredRegressor(AnchoredConfig(temperature=t)).identity() for t in (20.0, 32.0)
        }
        assert len(identities) == 2

    def test_differs_by_weights(self):
        model = regressor(2)
        before = model.identity()
        with torch.no_grad():
            model.corrector.blocks[1].mlp[0].weight[0, 0] += 1e-3
        assert model.identity() != before

    def test_without_blocks_there_is_nothing_to_train(self):
        assert not list(AnchoredRegressor().parameters())

    def test_blocks_read_the_codes_that_are_read_without(self):
        assert regressor(2, tokens_read=16).codes() == AnchoredRegressor().codes()
        assert (
            AnchoredRegressor(AnchoredConfig(temperature=20.0)).codes()
            != AnchoredRegressor().codes()
        )

    def test_codes_keep_the_name_that_maps_have(self):
        assert AnchoredRegressor().codes() == 'anchored-codes-e5700fee22d7c1ca'
