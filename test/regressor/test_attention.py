"""Attention, against slow and obvious versions of itself."""

from __future__ import annotations

import math

import pytest
import torch

from aceg_ros.regressor.attention import CrossAttentionBlock, top_tokens


class TestTopTokens:
    @pytest.mark.parametrize('k', [1, 2, 8, 16])
    @pytest.mark.parametrize('tokens', [1, 5, 16, 63, 127, 511, 512, 513, 1024, 1031, 3000, 6144])
    def test_same_as_topk(self, tokens, k):
        logits = torch.randn(37, tokens, generator=torch.Generator().manual_seed(tokens + k))
        values, indices = top_tokens(logits, k)
        expected = logits.topk(min(k, tokens), dim=1)
        torch.testing.assert_close(values, expected.values, rtol=0, atol=0)
        torch.testing.assert_close(indices, expected.indices, rtol=0, atol=0)

    @pytest.mark.parametrize('tokens', [40, 1024, 1030])
    def test_ties_give_k_different_tokens(self, tokens):
        logits = torch.randint(
            0, 3, (50, tokens), generator=torch.Generator().manual_seed(0)
        ).float()
        values, indices = top_tokens(logits, 8)
        torch.testing.assert_close(values, logits.topk(8, dim=1).values)
        torch.testing.assert_close(values, logits.gather(1, indices))
        assert all(len(row.unique()) == 8 for row in indices)

    @pytest.mark.parametrize('tokens', [40, 1030, 2049])
    @pytest.mark.parametrize('seen', [0, 3])
    def test_hidden_tokens(self, tokens, seen):
        """With fewer visible tokens than asked for, the visible come first and all are tokens."""
        logits = torch.full((20, tokens), -math.inf)
        logits[:, 7 : 7 + seen] = torch.arange(1.0, seen + 1)
        _, indices = top_tokens(logits, 8)
        assert ((indices >= 0) & (indices < tokens)).all()
        assert (indices[:, :seen].sort(dim=1).values == torch.arange(7, 7 + seen)).all()

    def test_a_view_of_a_larger_tensor(self):
        logits = torch.randn(30, 2000, generator=torch.Generator().manual_seed(3))[:, ::2]
        torch.testing.assert_close(top_tokens(logits, 4)[1], logits.topk(4, dim=1).indices)

    def test_no_rows(self):
        values, indices = top_tokens(torch.zeros(0, 2000), 4)
        assert values.shape == indices.shape == (0, 4)


def slow_block(block: CrossAttentionBlock, patches, code):
    """The block's formula, patch by patch and head by head."""
    rows = []
    for patch in patches:
        query = block.q_proj(block.q_norm(patch))
        keys = block.k_proj(block.k_norm(code))
        values = block.v_proj(block.v_norm(code))
        width = len(query) // block.heads
        attended = []
        for head in range(block.heads):
            part = slice(head * width, (head + 1) * width)
            logits = torch.stack([query[part] @ key[part] for key in keys]) / math.sqrt(width)
            weights = logits.exp() / logits.exp().sum()
            attended.append(sum(w * value[part] for w, value in zip(weights, values, strict=True)))
        row = patch + block.proj(torch.cat(attended))
        rows.append(row + block.mlp(block.norm2(row)))
    return torch.stack(rows)


class TestBlock:
    @pytest.fixture
    def block(self):
        torch.manual_seed(0)
        return CrossAttentionBlock(dim=24, heads=3, mlp_ratio=2.0).double()

    def test_same_as_the_formula(self, block):
        patches, code = torch.randn(5, 24).double(), torch.randn(11, 24).double()
        torch.testing.assert_close(block(patches, code), slow_block(block, patches, code))

    def test_order_of_tokens_does_not_matter(self, block):
        patches, code = torch.randn(5, 24).double(), torch.randn(11, 24).double()
        order = torch.randperm(11)
        torch.testing.assert_close(block(patches, code), block(patches, code[order]))

    def test_gradient(self, block):
        patches = torch.randn(2, 24).double().requires_grad_()
        code = torch.randn(3, 24).double().requires_grad_()
        assert torch.autograd.gradcheck(block, (patches, code))
