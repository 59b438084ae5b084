"""A localizer with a depth camera tells a place from a picture of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from processes import repeating
from rclpy.qos import QoSProfile
from robot import ANY_MOTION, Localizer, Robot, near
from sensor_msgs.msg import Image

from aceg_ros.ros.messages import pose_of
from aceg_ros.ros.middleware.bridge import from_depth

PLACE = 2


@pytest.fixture(scope='module')
def robot(ros, queries) -> Robot:
    return Robot(ros, queries)


@pytest.fixture(scope='module')
def localizer(ros, robot, room_map) -> Iterator[Localizer]:
    started = Localizer(
        ros,
        map=str(room_map),
        tf_mode='map_to_camera',
        map_frame='map',
        use_depth=True,
        lost_after=2.0,
        **ANY_MOTION,
    )
    robot.wake(started)
    yield started
    ros.end([started.process])


def show(robot, depth=None):
    """An image of the place, after its depth image if there is one."""
    image = robot.image(PLACE)
    if depth is not None:
        publisher = robot.ros.publisher(Image, 'depth', QoSProfile(depth=1))
        publisher.publish(from_depth(depth, image.header))
    return robot.publish(image)


def test_the_place(robot, localizer):
    depth = robot.frames[PLACE].registered_depth()
    with repeating(lambda: show(robot, depth), 3.0):
        localizer.wait_for('localized')
        found = localizer.poses.wait_for(lambda message: True)
    assert near(pose_of(found), robot.map_from_camera(PLACE))


def test_a_picture_of_it(robot, localizer):
    """It is refused for as long as it is shown, so that the place before is lost."""
    flat = np.full_like(robot.frames[PLACE].registered_depth(), 0.6)
    localizer.statuses.clear()
    with repeating(lambda: show(robot, flat), 3.0):
        localizer.wait_for('lost', 'or a picture of this one')


def test_without_depth_it_localizes_and_says_so(robot, localizer):
    localizer.statuses.clear()
    warnings = robot.ros.collect(DiagnosticArray, '/diagnostics')

    def warns(message: DiagnosticArray) -> bool:
        return any('an image is without depth' in each.message for each in message.status)

    with repeating(lambda: show(robot), 3.0):
        localizer.wait_for('localized')
        warnings.wait_for(warns)
