"""Check downloaded networks: that they load, fit together and have the shapes expected."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import torch

from aceg_ros.cli.common import add_device, add_networks, networks
from aceg_ros.encoder.base import image_tensor
from aceg_ros.engine import PUBLISHED, Engine
from aceg_ros.errors import WeightsError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.maps.code import FREE

# Of DINOv2 ViT-L/14 with registers, and of codes that take 12 MB for 4096 vectors.
_FEATURES, _CODE, _TOKENS = 1024, 768, 4096
_CAMERA = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_networks(parser)
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Load them, send an image of noise through them, and say what they are."""
    chosen = networks(arguments)
    engine = Engine.load(arguments.device, replace(chosen, regressor=chosen.regressor or PUBLISHED))
    encoder, regressor = engine.encoder, engine.regressor
    print(f'encoder    {encoder.identity}: features of {encoder.dim} numbers, on {encoder.device}')
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    view, camera = encoder.view(noise, _CAMERA)
    began = time.perf_counter()
    encoded = encoder.encode(image_tensor(view, encoder.device))
    features = encoded.features[0].flatten(1).T
    print(
        f'           640x480 px seen at {camera.width}x{camera.height}: {len(features)} patches, '
        f'{time.perf_counter() - began:.2f} s'
    )
    if not torch.isfinite(features).all():
        raise WeightsError('the encoder gives values that are no numbers; download it again')
    weights = sum(tensor.numel() for tensor in regressor.parameters())
    print(f'regressor  {regressor.identity()}: reads {regressor.kind} codes, {weights} weights')
    began = time.perf_counter()
    with torch.inference_mode():
        code = regressor.random_code(_TOKENS, torch.Generator().manual_seed(0))
        read = regressor.to(encoder.device)(features, *(part.to(encoder.device) for part in code))
    print(f'           {_TOKENS} vectors read in {time.perf_counter() - began:.2f} s')
    if not (torch.isfinite(read.points3d).all() and torch.isfinite(read.sigma).all()):
        raise WeightsError('the regressor gives values that are no numbers; import it again')
    if regressor.kind == FREE:
        width = regressor.config.dim
        if (encoder.dim, width) == (_FEATURES, _CODE):
            print('all shapes are those of the published ACE-G')
        else:
            print(
                'they work together, but are not the published ACE-G, which has features of '
                f'{_FEATURES} and codes of {_CODE} numbers'
            )
    return 0
