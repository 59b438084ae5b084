"""Photometric augmentation: the same view under another exposure, light and sensor."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from aceg_ros.datasets.base import Frame

_LARGEST_BLUR = 5  # px, the radius of its kernel


def relit(frame: Frame, seed: int) -> Frame:
    """The frame as it might look under other light; the same ``seed`` always does the same."""
    return replace(frame, load_image=partial(_relit, frame, seed))


def _relit(frame: Frame, seed: int) -> np.ndarray:
    return relight(frame.image(), np.random.default_rng([seed, 22]))


def relight(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image (H, W, 3) uint8 with another tone curve, color, light, noise and sharpness."""
    x = image.astype(np.float32) / 255.0
    x = x * rng.uniform(0.8, 1.2, 3).astype(np.float32)  # white balance
    x = np.clip(x, 0, None) ** np.exp(rng.normal(0, 0.35))
    x = (x - 0.5) * np.exp(rng.normal(0, 0.25)) + 0.5 + rng.normal(0, 0.1)
    if rng.random() < 0.5:
        x = x * _light_field(x.shape[:2], rng)[..., None]
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.6))
    noise = rng.standard_normal(x.shape, dtype=np.float32)
    x = x + noise * np.float32(rng.uniform(0, 0.03))
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def _light_field(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A smooth gain over the image, like a lamp at one side or a shadow's soft edge."""
    coarse = np.exp(rng.normal(0, 0.4, (3, 3))).astype(np.float32)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC).clip(0.15, 4)


def relight_batch(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """`relight` for images (B, 3, H, W) of 0..255 on their own device, each in its own way."""
    device = images.device
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**31)))

    def each(values: np.ndarray) -> torch.Tensor:
        flat = torch.from_numpy(np.asarray(values, np.float32)).to(device)
        return flat.reshape(len(images), -1, 1, 1)

    count = len(images)
    x = images.float() / 255
    x = x * each(rng.uniform(0.8, 1.2, (count, 3)))  # white balance
    x = x.clamp_min(1e-6) ** each(np.exp(rng.normal(0, 0.35, count)))
    contrast = np.exp(rng.normal(0, 0.25, count))
    x = x * each(contrast) + each(0.5 - 0.5 * contrast + rng.normal(0, 0.1, count))
    coarse = np.exp(rng.normal(0, 0.4, (count, 1, 3, 3)))
    coarse[rng.random(count) < 0.5] = 1.0
    field = torch.from_numpy(coarse.astype(np.float32)).to(device)
    field = F.interpolate(field, x.shape[2:], mode='bicubic', align_corners=False)
    x = x * field.clamp(0.15, 4)
    soft = np.flatnonzero(rng.random(count) < 0.3)
    if len(soft):
        chosen = torch.from_numpy(soft).to(device)
        x = x.index_copy(0, chosen, _blurred(x[chosen], rng.uniform(0.4, 1.6, len(soft))))
    noise = torch.randn(x.shape, generator=generator, device=device)
    x = x + noise * each(rng.uniform(0, 0.03, count))
    return (x.clamp(0, 1) * 255).floor()


def _blurred(images: torch.Tensor, sigma: np.ndarray) -> torch.Tensor:
    """Images (B, 3, H, W) after a Gaussian of ``sigma`` (B,) px."""
    offsets = np.arange(-_LARGEST_BLUR, _LARGEST_BLUR + 1)
    kernel = np.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    weight = torch.from_numpy(kernel.astype(np.float32)).to(images.device).repeat_interleave(3, 0)
    x = images.reshape(1, -1, *images.shape[2:])
    x = F.pad(x, [_LARGEST_BLUR] * 4, mode='reflect')
    x = F.conv2d(x, weight[:, None, :, None], groups=len(weight))
    return F.conv2d(x, weight[:, None, None, :], groups=len(weight)).reshape(images.shape)
