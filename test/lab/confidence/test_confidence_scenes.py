"""Scenes whose poses teach the confidence model."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets.base import Frame
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.confidence.samples import SceneQueries
from aceg_ros.lab.confidence.scenes import with_drift

CAMERA = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)


def frames(count: int, seed: int) -> list[Frame]:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (count, 48, 64, 3), np.uint8)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = 0.1 * np.arange(count)
    return [
        Frame(f'{seed}-{index}', CAMERA, lambda image=image: image, pose)
        for index, (image, pose) in enumerate(zip(images, poses, strict=True))
    ]


@pytest.fixture(scope='module')
def scene():
    return SceneQueries('room', frames(20, 1), {'near': frames(12, 2), 'far': frames(3, 3)}, 'room')


def test_drift_moves_the_map_and_not_the_queries(scene):
    drifting = with_drift(scene, 3)
    moved = [
        float(np.linalg.norm(new.world_from_cam[:3, 3] - old.world_from_cam[:3, 3]))
        for new, old in zip(drifting.mapping, scene.mapping, strict=True)
    ]
    assert 0.001 < np.median(moved) < 0.1
    assert drifting.groups is scene.groups
    assert drifting.mapping[0].camera.focal != CAMERA.focal
