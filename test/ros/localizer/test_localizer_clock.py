"""Simulated time: its stamps, and a clock that jumps back as a recording in a loop has it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from harness import LATCHED
from nav_msgs.msg import Path
from robot import ANY_MOTION, BASE_FROM_CAMERA, Localizer, Robot, near
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from aceg_ros.ros.messages import pose_of, to_seconds, transform_from_message

TOLERANCE = 0.25


class Simulation:
    """A robot with odometry, in a time of its own."""

    def __init__(self, ros, frames, room_map) -> None:
        self.ros = ros
        self.robot = Robot(ros, frames, clock=lambda: 900.0)
        self.tf = ros.collect(TFMessage, '/tf')
        self.localizer = Localizer(
            ros,
            map=room_map,
            use_sim_time=True,
            tf_mode='map_to_odom',
            base_frame='base',
            tf_rate=20.0,
            transform_tolerance=TOLERANCE,
            **ANY_MOTION,
        )
        self.path = ros.collect(Path, f'{self.localizer.name}/path')
        self.robot.wake(self.localizer)
        ros.send_transform('base', 'camera', BASE_FROM_CAMERA)

    def tick(self, seconds: float) -> Time:
        """Set the clock."""
        stamp = Time(sec=int(seconds), nanosec=round(seconds % 1.0 * 1e9))
        self.ros.publisher(Clock, '/clock').publish(Clock(clock=stamp))
        return stamp

    def stand(self, index: int, seconds: float):
        """The pose at a place and time."""
        stamp = self.tick(seconds)
        odom_from_base = self.robot.odom_from_base(index)
        # The test listens as well.
        self.ros.send_transform('odom', 'base', odom_from_base, stamp, subscribers=2)
        self.robot.show(index, stamp)
        return self.localizer.pose_at(stamp)

    def sent(self) -> list:
        """Transforms from the map so far."""
        transforms = [t for message in self.tf.messages for t in message.transforms]
        return [t for t in transforms if t.header.frame_id == 'map']

    def run(self, begin: float, seconds: float) -> float:
        """Let time go on."""
        for step in range(int(seconds / 0.05)):
            self.tick(begin + 0.05 * step)
            time.sleep(0.05)
        return begin + seconds


@pytest.fixture(scope='module')
def simulation(ros, queries, room_map) -> Iterator[Simulation]:
    simulation = Simulation(ros, queries, room_map)
    yield simulation
    assert simulation.localizer.process.stop() == 0


def test_stamps_are_of_that_time(simulation):
    assert near(pose_of(simulation.stand(0, 1000.0)), simulation.robot.map_from_base(0))
    simulation.run(1000.05, 1.0)
    stamps = np.array([to_seconds(t.header.stamp) for t in simulation.sent()])
    assert len(stamps) > 5
    assert (stamps >= 1000.0 + TOLERANCE).all()
    assert (stamps <= 1001.1 + TOLERANCE).all()


def test_clock_that_jumps_back(simulation):
    simulation.stand(1, 1010.0)
    name = simulation.localizer.name
    points = simulation.ros.collect(PointCloud2, f'{name}/map_points', LATCHED)
    keyframes = simulation.ros.collect(MarkerArray, f'{name}/keyframes', LATCHED)
    for latched in (points, keyframes):
        latched.wait()
        latched.clear()
    simulation.localizer.statuses.clear()
    simulation.tick(500.0)
    simulation.localizer.wait_for('searching', 'the clock jumped back by 510.0 s')
    simulation.tf.clear()
    simulation.path.clear()
    simulation.run(500.05, 0.5)
    assert not simulation.sent()

    # Had it kept the old odometry, it would not know that of the new time.
    found = simulation.stand(3, 501.0)
    assert near(pose_of(found), simulation.robot.map_from_base(3))
    simulation.run(501.05, 0.3)
    # At the base: far from it, a small error in angle is a long way.
    map_from_odom = transform_from_message(simulation.sent()[0].transform)
    map_from_base = map_from_odom @ simulation.robot.odom_from_base(3)
    assert near(map_from_base, simulation.robot.map_from_base(3))
    assert len(simulation.path.wait()[0].poses) == 1
    # rviz resets itself then, and has forgotten what was latched.
    cloud = points.wait()[0]
    assert cloud.width > 0
    assert 500.0 <= to_seconds(cloud.header.stamp) <= 502.0
    assert keyframes.wait()[0].markers[0].points


def test_standing_time_does_not_hide_a_camera_that_stopped(simulation):
    simulation.stand(2, 510.0)
    simulation.localizer.wait_for('localized')
    simulation.localizer.statuses.clear()
    simulation.localizer.wait_for('waiting_for_images', 'no image on /image for')
