"""Convolutions by Winograd's algorithm against PyTorch's own, where the CPU has AVX2 only."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from aceg_ros.encoder.winograd import Convolution, _is_quick
from aceg_ros.threads import side_by_side

NEEDED = pytest.mark.skipif(not _is_quick(), reason='this CPU does not multiply quicker so')


def pair(inputs=24, outputs=40, kernel=3, stride=1):
    """A convolution, and PyTorch's of the same weights."""
    ours = Convolution(inputs, outputs, kernel, stride)
    plain = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


@pytest.mark.parametrize('shape', [(1, 24, 60, 80), (3, 24, 17, 9), (1, 24, 2, 3)])
@pytest.mark.parametrize(('kernel', 'stride'), [(3, 1), (3, 2), (1, 1)])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_same_numbers(shape, kernel, stride, layout):
    ours, plain = pair(kernel=kernel, stride=stride)
    images = 100 * torch.randn(shape).contiguous(memory_format=layout)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), plain(images), rtol=1e-3, atol=1e-2)


def test_weights_have_the_same_names():
    ours, plain = pair()
    assert list(ours.state_dict()) == list(plain.state_dict())


def test_gradients_are_the_same():
    ours, plain = pair()
    images = torch.randn(2, 24, 12, 16)
    for convolution in (ours, plain):
        convolution(images).square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad)


@NEEDED
def test_in_inference_mode_only(monkeypatch):
    ours, plain = pair()
    images = torch.randn(1, 24, 12, 16)
    monkeypatch.setattr('aceg_ros.encoder.winograd._convolved', lambda *given: 'by Winograd')
    with torch.inference_mode():
        assert ours(images) == 'by Winograd'
        assert ours.double()(images.double()) is not None
    ours.float()
    torch.testing.assert_close(ours(images), plain(images))


@NEEDED
def test_side_by_side():
    """Threads that work on an image each do not mix them up."""
    ours, plain = pair()
    images = [torch.randn(1, 24, 60, 80) for _ in range(40)]

    def convolved(image):
        with torch.inference_mode():
            return ours(image)

    for image, found in zip(images, side_by_side(convolved, images), strict=True):
        torch.testing.assert_close(found, plain(image).detach(), rtol=1e-3, atol=1e-3)
