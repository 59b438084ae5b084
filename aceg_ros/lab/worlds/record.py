"""A tour of a world as a dataset."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from aceg_ros.datasets.base import Dataset, Frame
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds.light import Light
from aceg_ros.lab.worlds.render import RgbdBatch, render
from aceg_ros.lab.worlds.sensor import Sensor, sense
from aceg_ros.lab.worlds.world import World

_RATE = 30.0  # frames a second


class _Recording:
    """Renders views when they are first asked for and keeps them."""

    def __init__(
        self,
        world: World,
        camera: Camera,
        poses: np.ndarray,
        light: Light,
        sensor: Sensor | None,
        supersample: int,
    ) -> None:
        self._world = world
        self._camera = camera
        self._poses = poses
        self._light = light
        self._sensor = sensor
        self._supersample = supersample
        self._taken: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8."""
        return self._take(index)[0].copy()

    def depth(self, index: int) -> np.ndarray:
        """(H, W) float32 m."""
        return self._take(index)[1].copy()

    def _take(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index not in self._taken:
            pose = self._poses[index : index + 1]
            view: RgbdBatch = render(
                self._world, self._camera, pose, self._light, self._supersample
            )
            rgb = view.rgb if self._sensor is None else sense(view.rgb, self._sensor, seed=index)
            self._taken[index] = rgb[0].cpu().numpy(), view.depth[0].cpu().numpy()
        return self._taken[index]


def record(
    world: World,
    camera: Camera,
    world_from_cam: np.ndarray | torch.Tensor,
    light: Light | None = None,
    name: str = 'world',
    split: str | None = None,
    sensor: Sensor | None = None,
    supersample: int = 2,
) -> Dataset:
    """Dataset of the views at world_from_cam (N, 4, 4), with depth.

    A view is rendered when its image or depth is first read and then kept in memory. Frames are
    called '<name>-000000' and so on and belong to `split`, if given. sensor: a camera's flaws, None
    for clean images.
    """
    poses = np.asarray(torch.as_tensor(world_from_cam).cpu(), np.float64)
    taken = _Recording(world, camera, poses, light or Light(), sensor, supersample)
    frames = [
        Frame(
            name=f'{name}-{index:06d}',
            camera=camera,
            load_image=partial(taken.image, index),
            world_from_cam=pose,
            stamp=index / _RATE,
            load_depth=partial(taken.depth, index),
            splits=() if split is None else (split,),
        )
        for index, pose in enumerate(poses)
    ]
    return Dataset(name=name, frames=frames, metric=True)
