"""The blocks that correct a reading."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F

from aceg_ros.regressor import blocks
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor, AnchoredTensors
from aceg_ros.regressor.blocks import NEIGHBORS, Candidates, Round, Surroundings

K = 12


def reader(awake: bool = True, **changes) -> AnchoredRegressor:
    """Untrained, or with last layers that are no longer zero."""
    torch.manual_seed(0)
    model = AnchoredRegressor(AnchoredConfig(blocks=2, dim=16, tokens_read=K, **changes))
    if awake:
        with torch.no_grad():
            for parameter in model.parameters():
                if not parameter.any():
                    parameter.normal_(0, 0.1)
    return model.eval()


def make_code(tokens: int = 400, scale: float = 1.0) -> AnchoredTensors:
    """Of three places, in each of which a third of the tokens lie."""
    generator = torch.Generator().manual_seed(1)
    places = torch.tensor([[0.0, 0, 0], [2.0, 1, 0], [-1.0, 0, 2]])[torch.arange(tokens) % 3]
    return AnchoredTensors(
        torch.randn(tokens, 64, generator=generator),
        scale * (places + 0.03 * torch.randn(tokens, 3, generator=generator)),
        torch.randn(tokens, generator=generator) * 0.1 - 3 + math.log(scale),
        torch.randn(tokens, generator=generator) * 0.3,
    )


def make_patches(count: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return F.normalize(torch.randn(count, 64, generator=generator), dim=1)


def make_rays(count: int = 20) -> torch.Tensor:
    """Of an image 60 degrees wide."""
    generator = torch.Generator().manual_seed(3)
    plane = torch.rand(count, 2, generator=generator) - 0.5
    return F.normalize(torch.cat([plane, torch.ones(count, 1)], dim=1), dim=1)


IMAGES = torch.arange(20) // 10
AROUND = Surroundings.of(make_rays(), IMAGES)


def corrected(model, patches, code, tokens, around=None) -> Round:
    """The last reading by the blocks, which choose among ``tokens`` (P, k)."""
    return model.rounds(model.candidates(patches, code, tokens), code, around)[-1]


def difference(first, second) -> float:
    return float((first.points3d - second.points3d).detach().abs().max())


class TestSurroundings:
    def test_nearest_first_and_never_itself(self):
        rays = make_rays(200)
        around = Surroundings.of(rays)
        angles = torch.cdist(rays, rays).fill_diagonal_(9.0).sort(dim=1)
        assert around.beside.shape == (200, NEIGHBORS)
        torch.testing.assert_close(around.angle, angles.values[:, :NEIGHBORS], atol=1e-4, rtol=0)
        assert (around.beside != torch.arange(200)[:, None]).all()

    def test_only_of_the_same_image(self):
        assert torch.isfinite(AROUND.angle).sum(dim=1).eq(9).all()
        known = torch.isfinite(AROUND.angle)
        assert (IMAGES[AROUND.beside] == IMAGES[:, None])[known].all()

    def test_a_single_patch_has_none(self):
        around = Surroundings.of(make_rays(1))
        assert torch.isinf(around.angle).all() and (around.beside == 0).all()


class TestUntrained:
    def test_reads_the_strongest_of_several_places(self):
        code = make_code(3)
        code.embeddings[:] = make_patches(3)
        code.anchors[:] = torch.tensor([[0.0, 0, 0], [9.0, 0, 0], [0.001, 0, 0]])
        code.log_prior[:] = torch.tensor([0.0, 0.5, 0.0])
        patch = F.normalize(code.embeddings.sum(dim=0, keepdim=True), dim=1)
        code.embeddings[:] = patch
        tokens = torch.arange(3)[None]
        read = corrected(reader(awake=False), patch, code, tokens)
        assert float(read.points3d.detach().norm()) < 0.01
        plain = reader(awake=False).among(patch, code, tokens)
        assert float(plain.points3d.detach()[0, 0]) > 3

    def test_surroundings_change_nothing_yet(self):
        code, patches, model = make_code(), make_patches(), reader(awake=False)
        assert difference(model(patches, code), model(patches, code, around=AROUND)) == 0

    def test_gradients_reach_the_last_layers(self):
        model, code = reader(awake=False), make_code()
        rounds = model.rounds(model.candidates(make_patches(), code), code, AROUND)
        sum(read.points3d.square().sum() + read.sigma.log().sum() for read in rounds).backward()
        for block in model.corrector.blocks:
            assert block.change.weight.grad.abs().sum() > 0
            assert block.factor.weight.grad.abs().sum() > 0


class TestCorrecting:
    def test_changes_the_reading(self):
        code, patches, model = make_code(), make_patches(), reader()
        assert difference(model(patches, code), reader(awake=False)(patches, code)) > 1e-4

    def test_not_asked_it_is_the_anchored_reader(self):
        code, patches = make_code(), make_patches()
        plain = AnchoredRegressor(AnchoredConfig(tokens_read=K))(patches, code)
        tokens = reader().similar_tokens(patches, code, K)
        assert difference(reader().among(patches, code, tokens), plain) == 0

    def test_order_of_the_tokens_named_does_not_matter(self):
        code, patches, model = make_code(), make_patches(), reader()
        tokens = model.similar_tokens(patches, code, K)
        order = torch.randperm(K, generator=torch.Generator().manual_seed(3))
        first = corrected(model, patches, code, tokens, AROUND)
        second = corrected(model, patches, code, tokens[:, order], AROUND)
        assert difference(first, second) < 1e-4
        torch.testing.assert_close(first.sigma, second.sigma, atol=1e-4, rtol=1e-4)

    def test_missing_tokens_do_not_count(self):
        code, patches, model = make_code(), make_patches(), reader()
        tokens = model.similar_tokens(patches, code, 5)
        padded = F.pad(tokens, (0, 3), value=-1)
        first, second = (corrected(model, patches, code, named) for named in (tokens, padded))
        # the padding is described too, though it has no weight
        assert difference(first, second) < 0.05

    def test_no_patches(self):
        read = reader()(make_patches()[:0], make_code())
        assert read.points3d.shape == (0, 3) and read.sigma.shape == (0,)

    def test_unit_of_length_does_not_matter(self):
        patches, model = make_patches(), reader()
        meters = model(patches, make_code(), around=AROUND)
        feet = model(patches, make_code(scale=3.28), around=AROUND)
        torch.testing.assert_close(3.28 * meters.points3d, feet.points3d, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(3.28 * meters.sigma, feet.sigma, atol=1e-3, rtol=1e-3)

    def test_axes_do_not_matter(self):
        patches, model, code = make_patches(), reader(), make_code()
        turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
        turned = make_code()
        turned.anchors[:] = code.anchors @ turn.T + 5
        first = model(patches, code, around=AROUND).points3d @ turn.T + 5
        torch.testing.assert_close(
            first, model(patches, turned, around=AROUND).points3d, atol=1e-3, rtol=1e-3
        )

    def test_finite_where_all_anchors_coincide(self):
        code = make_code()
        code.anchors[:] = 1.0
        code.anchors.requires_grad_()
        read = reader()(make_patches(), code, around=AROUND)
        (read.points3d.sum() + read.sigma.sum()).backward()
        assert torch.isfinite(read.sigma).all() and torch.isfinite(code.anchors.grad).all()


class TestImages:
    def test_other_images_do_not_matter(self):
        code, patches, model = make_code(), make_patches(), reader()
        together = model(patches, code, around=AROUND)
        alone = model(patches[:10], code, around=Surroundings.of(make_rays()[:10]))
        assert float((together.points3d[:10] - alone.points3d).detach().abs().max()) < 0.02

    def test_the_patches_beside_do(self):
        code, patches, model = make_code(), make_patches(), reader()
        first = model(patches, code, around=AROUND)
        other = model(patches, code, around=Surroundings.of(make_rays().flip(0), IMAGES))
        assert difference(first, other) > 1e-5

    def test_readings_near_a_token_support_it(self):
        """Where the neighbors read place A, a token there is described as better supported."""
        places = torch.tensor([[[0.0, 0, 0], [1.0, 0, 0]]]).expand(20, 2, 3).contiguous()
        given = Candidates(
            places, torch.zeros(20, 2), torch.zeros(20, 2), torch.zeros(20, 2), torch.zeros(20)
        )
        now = Round(
            torch.zeros(20, 2), torch.zeros(20, 3), torch.full((20,), 0.01), torch.zeros(20, 0)
        )
        scene = blocks._Scene.of(places, torch.tensor(2.0))
        votes = blocks._Votes.of(now, scene, AROUND)
        tokens, _ = blocks._describe(given, scene, votes, now)
        assert (tokens[:, 0, -2:] > tokens[:, 1, -2:]).all()
        unsure = replace(now, sigma=torch.full((20,), 9.0))
        votes = blocks._Votes.of(unsure, scene, AROUND)
        assert (
            blocks._describe(given, scene, votes, unsure)[0][:, 0, -2:] < tokens[:, 0, -2:]
        ).all()
