"""Keyframes of a textured plane, and candidates on it as a plane sweep leaves them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from textured_plane import TexturedPlane, above

from aceg_ros.geometry.cameras import Camera
from aceg_ros.mapping.sweep import Candidates

CAMERA = Camera.pinhole(320, 240, 300.0, 300.0, 158.0, 121.0)
FISHEYE = Camera(
    'equidistant',
    320,
    240,
    np.array([[220.0, 0, 155.0], [0, 221.0, 122.0], [0, 0, 1]]),
    [-0.01, 0.004, -0.001, 0.0001],
)
POSES = [
    above(x, y, 2.0 + 0.2 * y, (4 * y, -8 * x, 10 * x)) for x in (-0.6, 0, 0.6) for y in (-1, 1)
]
DEPTH_ERROR = 0.03  # of the distance, as a plane sweep leaves it


def views_of(plane, camera=CAMERA, poses=POSES, **light):
    """As much of keyframes as landmarks are made of."""
    centers = np.mgrid[3.5:320:8, 3.5:240:8].reshape(2, -1).T
    patches = SimpleNamespace(rays=torch.from_numpy(camera.rays(centers)))
    return [
        SimpleNamespace(
            camera=camera,
            world_from_cam=pose,
            center=pose[:3, 3],
            gray=plane.gray(camera, pose, **light).astype(np.uint8),
            patches=patches,
            descriptor=np.ones(1),
        )
        for pose in poses
    ]


def swept(keyframes, error=DEPTH_ERROR, score=0.8, each=300, deviation=np.inf):
    """Candidates all over the images, off the plane along their rays."""
    rng = np.random.default_rng(3)
    points3d, owner = [], []
    for index, keyframe in enumerate(keyframes):
        points2d = rng.uniform(0, [320, 240], (each, 2))
        on_plane = TexturedPlane.meet(keyframe.camera, keyframe.world_from_cam, points2d)
        factor = np.exp(error * rng.normal(size=(each, 1)))
        points3d.append(keyframe.center + (on_plane - keyframe.center) * factor)
        owner.append(np.full(each, index))
    points3d = torch.from_numpy(np.concatenate(points3d)).float()
    count = len(points3d)
    return Candidates(
        torch.from_numpy(np.concatenate(owner)),
        torch.arange(each).repeat(len(keyframes)),
        torch.zeros(count, 64).half(),
        points3d,
        torch.zeros(count, 3, dtype=torch.uint8),
        torch.full((count,), score),
        torch.zeros(count),
        torch.full((count,), deviation),
    )


def of_gray(keyframes, gray):
    """The keyframes with blank images of one gray value."""
    blank = np.full((240, 320), gray, np.uint8)
    return [SimpleNamespace(**vars(keyframe) | {'gray': blank}) for keyframe in keyframes]


def rolled(keyframes):
    """The keyframes with images that do not belong together."""
    return [
        SimpleNamespace(**vars(keyframe) | {'gray': np.roll(keyframe.gray, 60 * index, axis=1)})
        for index, keyframe in enumerate(keyframes)
    ]
