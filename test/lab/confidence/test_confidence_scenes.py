"""Scenes whose poses teach the confidence model."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import CAMERA, numbered_frames

from aceg_ros.lab.confidence.samples import SceneQueries
from aceg_ros.lab.confidence.scenes import with_drift


@pytest.fixture(scope='module')
def scene():
    return SceneQueries('room', numbered_frames(20), {'near': numbered_frames(12)}, 'room')


def test_drift_moves_the_map_and_not_the_queries(scene):
    drifting = with_drift(scene, 3)
    moved = [
        float(np.linalg.norm(new.world_from_cam[:3, 3] - old.world_from_cam[:3, 3]))
        for new, old in zip(drifting.mapping, scene.mapping, strict=True)
    ]
    assert 0.001 < np.median(moved) < 0.1
    assert drifting.groups is scene.groups
    assert drifting.mapping[0].camera.focal != CAMERA.focal
