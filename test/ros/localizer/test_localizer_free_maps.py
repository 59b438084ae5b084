"""Maps of an imported regressor: the node finds the networks that each map names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from harness import LATCHED
from nav_msgs.srv import LoadMap
from robot import ANY_MOTION, Localizer, Robot
from sensor_msgs.msg import PointCloud2

from aceg_ros.geometry.poses import pose_error
from aceg_ros.maps.file import write_map
from aceg_ros.regressor.files import save_regressor
from aceg_ros.ros.messages import pose_of


@pytest.fixture(scope='module')
def free_map(tmp_path_factory, free_mapped) -> Path:
    path = tmp_path_factory.mktemp('free') / 'free.aceg'
    write_map(path, free_mapped.code)
    return path


@pytest.fixture(scope='module')
def models(tmp_path_factory, free_regressor) -> Path:
    """A folder of models that has the regressor."""
    folder = tmp_path_factory.mktemp('models')
    save_regressor(free_regressor, folder / 'learned.safetensors')
    return folder


@pytest.fixture(scope='module')
def robot(ros, queries) -> Robot:
    return Robot(ros, queries)


@pytest.fixture(scope='module')
def localizer(ros, robot, models, room_map) -> Iterator[Localizer]:
    """A localizer that begins with an anchored map."""
    localizer = Localizer(
        ros,
        environment={'ACEG_MODELS': str(models)},
        map=str(room_map),
        tf_mode='map_to_camera',
        **ANY_MOTION,
    )
    robot.wake(localizer)
    yield localizer
    localizer.process.stop()


def test_either_kind_of_map_is_read_by_its_own_networks(
    localizer, robot, ros, free_map, room_map, free_mapped
):
    localizer.pose_at(robot.show(2))
    assert localizer.load(free_map) == LoadMap.Response.RESULT_SUCCESS
    localizer.poses.clear()
    with robot.standing(2):
        found = pose_of(localizer.poses.wait()[0])
    meters, degrees = pose_error(found, robot.map_from_camera(2))
    assert (meters < 0.6, degrees < 20.0) == (True, True)
    points = ros.collect(PointCloud2, f'{localizer.name}/map_points', LATCHED)
    points.wait_for(lambda cloud: cloud.width == 0)
    assert localizer.load(room_map) == LoadMap.Response.RESULT_SUCCESS
    localizer.poses.clear()
    with robot.standing(2):
        found = pose_of(localizer.poses.wait()[0])
    assert np.linalg.norm((found - robot.map_from_camera(2))[:3, 3]) < 0.15
