"""What a real camera adds to a rendered image: blur, vignetting, noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Sensor:
    """A camera's flaws; the default has mild ones of a good webcam.

    blur: px, sigma of a Gaussian. motion: px, length of a straight smear in a random direction.
    vignetting: share of light lost in the corners. noise: standard deviation of a mid-gray pixel as
    a share of full scale.
    """

    blur: float = 0.4
    motion: float = 0.0
    vignetting: float = 0.15
    noise: float = 0.012


def random_sensor(rng: np.random.Generator, strength: float = 1.0) -> Sensor:
    """Sensor with flaws drawn at random, none at strength 0."""
    return Sensor(
        blur=strength * float(rng.uniform(0.0, 1.2)),
        motion=strength * float(rng.uniform(0.0, 6.0)) if rng.random() < 0.3 else 0.0,
        vignetting=strength * float(rng.uniform(0.0, 0.4)),
        noise=strength * float(rng.uniform(0.0, 0.04)),
    )


def sense(rgb: Tensor, sensor: Sensor, seed: int) -> Tensor:
    """Images (B, H, W, 3) uint8 as the sensor would take them; noise depends on the seed."""
    image = rgb.permute(0, 3, 1, 2).to(torch.float32) / 255
    generator = torch.Generator().manual_seed(seed)
    if sensor.blur > 0 or sensor.motion > 0:
        angle = math.pi * float(torch.rand((), generator=generator))
        kernel = _kernel(sensor.blur, sensor.motion, angle).to(image.device)
        reach = kernel.shape[-1] // 2
        padded = torch.nn.functional.pad(image, (reach, reach, reach, reach), mode='replicate')
        image = torch.nn.functional.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)
    if sensor.vignetting > 0:
        height, width = image.shape[-2:]
        y = torch.linspace(-1, 1, height, device=image.device)[:, None]
        x = torch.linspace(-1, 1, width, device=image.device)
        # Light falls off with the square; images hold its square root.
        image = image * (1 - sensor.vignetting * (x.square() + y.square()) / 2).sqrt()
    if sensor.noise > 0:
        # Photon noise keeps its deviation under a square-root tone curve; a share of chroma noise
        # is added.
        grain = torch.randn(image.shape, generator=generator).to(image.device)
        common = torch.randn(image[:, :1].shape, generator=generator).to(image.device)
        image = image + sensor.noise * (0.8 * common + 0.6 * grain)
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _kernel(blur: float, motion: float, angle: float) -> Tensor:
    """(K, K) Gaussian smeared along a segment, sum 1."""
    reach = max(1, math.ceil(3 * blur + motion / 2))
    span = torch.arange(-reach, reach + 1, dtype=torch.float32)
    steps = torch.linspace(-0.5, 0.5, 2 * math.ceil(motion) + 1) * motion
    sigma = max(blur, 0.3)
    dx = span[None, None, :] - (steps * math.cos(angle))[:, None, None]
    dy = span[None, :, None] - (steps * math.sin(angle))[:, None, None]
    kernel = torch.exp(-(dx.square() + dy.square()) / (2 * sigma**2)).sum(0)
    return kernel / kernel.sum()
