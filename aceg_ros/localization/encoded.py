"""Images ready to be asked for in a map, as they are, at half the size, and by quarter turns.

A camera may be rolled, but features stay alike only up to about 45 degrees of roll. One of the four
turns of an image is within that. What is twice as near as in mapping looks as it did then in an
image of half the size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import torch

from aceg_ros.encoder.base import Encoder, image_tensor
from aceg_ros.encoder.view import full_size, patch_rays, same_view
from aceg_ros.geometry.cameras import Array, Camera
from aceg_ros.readers.base import ImagePatches

TURNS = 4  # by 0, 90, 180 and 270 degrees
_ENOUGH_PIXELS = 320 * 240  # to tell which of the turns is upright
_LEAST_SIDE = 64  # px, that an encoder takes

# of images (H, W, 3) of one size and their cameras, which is quicker than one by one
Encode = Callable[[Sequence[np.ndarray], Sequence[Camera]], list[ImagePatches]]


@torch.inference_mode()
def encoded_patches(
    encoder: Encoder, count: int | None, views: Sequence[np.ndarray], cameras: Sequence[Camera]
) -> list[ImagePatches]:
    """The ``count`` most reliable patches of each of some images of one size; None: all."""
    encoded = encoder.encode(image_tensor(np.stack(views), encoder.device))
    parts = zip(cameras, encoded.features, encoded.reliability, strict=True)
    return [_most_reliable(count, *part, encoded.stride) for part in parts]


@dataclass(frozen=True)
class EncodedImage:
    """One image and the patches that ask the map."""

    camera: Camera  # of the image as given
    view: np.ndarray  # (H, W, 3) uint8 RGB, the working image
    view_camera: Camera
    patches: ImagePatches
    encode: Encode  # what gave the patches
    seconds: float  # that it took
    turn: int = 0  # by which the image as given was turned
    depth: np.ndarray | None = None  # (H, W) of the image as given, meters along z, 0 where unknown

    def turned(self, turn: int) -> EncodedImage:
        """The image turned counterclockwise by ``turn`` times 90 degrees, and encoded."""
        if not turn:
            return self
        started = time.perf_counter()
        view, view_camera = _turned(self.view, turn), self.view_camera.turned(turn)
        (patches,) = self.encode([view], [view_camera])
        seconds = time.perf_counter() - started
        return replace(
            self,
            camera=self.camera.turned(turn),
            view=view,
            view_camera=view_camera,
            patches=patches,
            seconds=seconds,
            turn=turn,
        )

    def taken_by(self, camera: Camera) -> EncodedImage:
        """The image with another calibration of its camera."""
        if camera == self.camera:
            return self
        view_camera = same_view(camera, self.camera, self.view_camera)
        rays = view_camera.rays(self.patches.centers)
        usable = np.isfinite(rays).all(axis=1)
        patches = replace(
            self.patches,
            features=self.patches.features[torch.from_numpy(usable)],
            rays=rays[usable],
            centers=self.patches.centers[usable],
            camera=view_camera,
        )
        return replace(self, camera=camera, view_camera=view_camera, patches=patches)

    def given_pixels(self, points2d: Array) -> Array:
        """Where pixels (N, 2) of the working image are in the image as given."""
        # Turned back first: an encoder may have cut the image at its right and its bottom.
        upright = self.view_camera.turned_pixels(points2d, -self.turn)
        view_camera, camera = (each.turned(-self.turn) for each in (self.view_camera, self.camera))
        return full_size(upright, view_camera, camera)

    @cached_property
    def half(self) -> EncodedImage | None:
        """The image at half the size, and encoded; None where it would be too small."""
        camera, stride = self.view_camera, self.patches.stride
        width, height = (
            round(0.5 * side / stride) * stride for side in (camera.width, camera.height)
        )
        if min(width, height) < _LEAST_SIDE:
            return None
        started = time.perf_counter()
        view = np.asarray(cv2.resize(self.view, (width, height), interpolation=cv2.INTER_AREA))
        view_camera = camera.scaled(width, height)
        (patches,) = self.encode([view], [view_camera])
        seconds = time.perf_counter() - started
        return replace(self, view=view, view_camera=view_camera, patches=patches, seconds=seconds)

    @cached_property
    def small_turns(self) -> list[ImagePatches]:
        """Patches of the image, at half the size if that is enough, in each of its turns."""
        half = self.half
        small = self if half is None or half.view[..., 0].size < _ENOUGH_PIXELS else half
        views = [_turned(small.view, turn) for turn in range(1, TURNS)]
        cameras = [small.view_camera.turned(turn) for turn in range(1, TURNS)]
        left, right = self.encode(views[::2], cameras[::2])
        (upside_down,) = self.encode(views[1:2], cameras[1:2])
        return [small.patches, left, upside_down, right]


def _most_reliable(
    count: int | None,
    camera: Camera,
    grid: torch.Tensor,
    reliability: torch.Tensor,
    stride: int,
) -> ImagePatches:
    """Those of one image, of whose patches ``grid`` (D, H, W) has the features."""
    centers, rays = patch_rays(camera, stride)
    usable = torch.from_numpy(np.isfinite(rays).all(axis=1)).to(reliability.device)
    reliability = reliability.flatten().masked_fill(~usable, -1.0)
    chosen = reliability.topk(min(int(usable.sum()), count or len(rays))).indices
    index = chosen.cpu().numpy()
    return ImagePatches(
        grid.flatten(1).T[chosen], rays[index], centers[index], camera, grid, stride
    )


def _turned(image: np.ndarray, turn: int) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(image, turn))
