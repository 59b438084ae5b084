"""The methods that `benchmark` compares, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
import torch

from aceg_ros.datasets import Frame
from aceg_ros.encoder.base import Encoder, image_tensor
from aceg_ros.evaluation.baselines.keyframes import posed_images
from aceg_ros.evaluation.baselines.scene_mlp import (
    PatchImage,
    SceneMlpLocalizer,
    SceneMlpOptions,
    fit_scene_mlp,
)
from aceg_ros.evaluation.baselines.sift import SiftLocalizer, SiftOptions
from aceg_ros.localization.result import Localizes


class Method(Protocol):
    """A way to map a scene and localise in it.

    It must pickle, because each run has a process of its own; large things like networks are better loaded
    in `build` than carried along.
    """

    @property
    def name(self) -> str:
        """What tables call it."""

    def build(self, frames: Sequence[Frame]) -> tuple[Localizes, int]:
        """Map `frames`; the localizer and its map's size in bytes. Raises AcegError when it cannot."""


@dataclass(frozen=True)
class SiftMethod:
    """Classical features and triangulated points."""

    options: SiftOptions = field(default_factory=SiftOptions)
    name: str = 'sift'

    def build(self, frames: Sequence[Frame]) -> tuple[Localizes, int]:
        """See `Method.build`."""
        localizer = SiftLocalizer.fit(frames, self.options)
        return localizer, localizer.map_bytes


@dataclass(frozen=True)
class SceneMlpMethod:
    """One network per scene on an encoder's features, trained for `seconds`."""

    load_encoder: Callable[[], Encoder]
    seconds: float
    options: SceneMlpOptions = field(default_factory=SceneMlpOptions)
    name: str = 'mlp'

    def build(self, frames: Sequence[Frame]) -> tuple[Localizes, int]:
        """See `Method.build`."""
        describe = PatchDescriber(self.load_encoder())
        images = [
            PatchImage(*describe(image), frame.camera, world_from_cam)
            for frame, image, world_from_cam in posed_images(frames)
        ]
        network = fit_scene_mlp(images, self.seconds, self.options, describe.encoder.device)
        return SceneMlpLocalizer(network, describe, self.options), network.map_bytes


@dataclass(frozen=True)
class PatchDescriber:
    """All patches of an image as `encoder` sees them, larger images brought to a short side of 480 px."""

    encoder: Encoder
    short_side: int = 480

    def __call__(self, image: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
        """Features (P, D) and patch centres (P, 2) px of `image` (H, W, 3) uint8 RGB."""
        height, width = image.shape[:2]
        factor = min(1.0, self.short_side / min(height, width))
        if factor < 1.0:
            size = (round(width * factor), round(height * factor))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        patches = self.encoder.encode(image_tensor(image, self.encoder.device))
        # Both ways of counting put the image's corner, not its first pixel's centre, at the same place.
        scale = np.array([width / image.shape[1], height / image.shape[0]])
        points2d = (patches.centres().double().cpu().numpy() + 0.5) * scale - 0.5
        return patches.features[0].flatten(1).T.contiguous(), points2d


def baseline_methods(load_encoder: Callable[[], Encoder], seconds: float) -> dict[str, Method]:
    """The baselines by name; the network per scene may train for `seconds`."""
    methods: list[Method] = [SiftMethod(), SceneMlpMethod(load_encoder, seconds)]
    return {method.name: method for method in methods}
