"""Frames, TF modes and covariance: a camera mounted crooked on a base that moves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from harness import Collector
from robot import (
    ANY_MOTION,
    BASE_FROM_CAMERA,
    Localizer,
    Robot,
    near,
)
from tf2_msgs.msg import TFMessage

from aceg_ros.geometry.poses import interpolate, inverse
from aceg_ros.pose.consistency import pose_residual
from aceg_ros.ros.messages import pose_of, to_seconds, to_stamp, transform_from_message
from aceg_ros.tracking.frames import carry

MODES = {'odom': 'auto', 'base': 'map_to_base', 'camera': 'map_to_camera', 'none': 'none'}
# Of /tf: the localizers and the test.
LISTENERS = len(MODES) + 1
TOLERANCE = 0.25
RATE = 20.0


class Fleet:
    """One robot, and a localizer for each TF mode, with frames of its own."""

    def __init__(self, ros, frames, room_map) -> None:
        self.robot = Robot(ros, frames, listeners=len(MODES))
        self.ros = ros
        self.tf = ros.collect(TFMessage, '/tf')
        self.localizers = {
            name: Localizer(
                ros,
                f'/{name}',
                map=room_map,
                tf_mode=mode,
                base_frame=f'base_{name}',
                odom_frame=f'odom_{name}',
                camera_frame=f'camera_{name}',
                tf_rate=RATE,
                transform_tolerance=TOLERANCE,
                lost_after=2.0,  # of four localizers on two cores each takes its time
                **ANY_MOTION,
            )
            for name, mode in MODES.items()
        }
        self.robot.wake(*self.localizers.values())
        for name in MODES:
            ros.send_transform(
                f'base_{name}', f'camera_{name}', BASE_FROM_CAMERA, subscribers=len(MODES)
            )

    def drive(self, index: int, stamp) -> None:
        """Have odometry say where the robot is."""
        self.ros.send_transform(
            'odom_odom', 'base_odom', self.robot.odom_from_base(index), stamp, LISTENERS
        )

    def stand(self, index: int):
        """Poses by localizer at a place."""
        stamp = self.robot.stamp()
        self.drive(index, stamp)
        self.robot.show(index, stamp)
        return {name: each.pose_at(stamp) for name, each in self.localizers.items()}

    def sent(self, name: str) -> list:
        """Transforms from the map that a localizer sent, all so far."""
        transforms = [t for message in self.tf.messages for t in message.transforms]
        children = {f'{frame}_{name}' for frame in ('odom', 'base', 'camera')}
        return [
            t for t in transforms if t.header.frame_id == 'map' and t.child_frame_id in children
        ]


@pytest.fixture(scope='module')
def fleet(ros, queries, room_map) -> Iterator[Fleet]:
    fleet = Fleet(ros, queries, room_map)
    # Nothing may be said of what is not known yet.
    time.sleep(0.3)
    assert not any(fleet.sent(name) for name in MODES)
    yield fleet
    for localizer in fleet.localizers.values():
        assert localizer.process.stop() == 0


@pytest.fixture(scope='module')
def places(fleet):
    """Poses by localizer, at each of some places."""
    return {index: fleet.stand(index) for index in (0, 3, 6, 2)}


class TestPoses:
    def test_each_is_of_its_body_at_its_true_place(self, fleet, places):
        for index, poses in places.items():
            for name, message in poses.items():
                true = {'camera': fleet.robot.map_from_camera}.get(name, fleet.robot.map_from_base)
                assert message.header.frame_id == 'map'
                assert near(pose_of(message), true(index)), (index, name)

    def test_base_is_the_camera_carried_along_its_mounting(self, places):
        # Before a first fix no localizer has a guess to start from, so all find the same.
        camera, base = places[0]['camera'], places[0]['base']
        expected, spread = carry(
            pose_of(camera),
            np.array(camera.pose.covariance).reshape(6, 6),
            inverse(BASE_FROM_CAMERA),
        )
        np.testing.assert_allclose(pose_of(base), expected, atol=1e-9)
        np.testing.assert_allclose(base.pose.covariance, spread.ravel(), rtol=1e-6, atol=1e-12)

    def test_covariance_covers_the_error(self, fleet, places):
        squares = []
        for index, poses in places.items():
            covariance = np.array(poses['base'].pose.covariance).reshape(6, 6)
            error = pose_residual(fleet.robot.map_from_base(index), pose_of(poses['base']))
            squares.append(error @ np.linalg.solve(covariance, error))
            assert (np.sqrt(np.diag(covariance)) < [0.3] * 3 + [0.2] * 3).all()
        # Chi-squared with 6 degrees of freedom: 22.5 is the 99.9 % point.
        assert np.median(squares) < 22.5


class TestTransforms:
    def test_map_to_odom(self, fleet):
        """What `auto` is on a robot with odometry: the one mode that goes on between fixes."""
        poses = fleet.stand(5)
        fixed = pose_of(poses['odom'])
        expected = fixed @ inverse(fleet.robot.odom_from_base(5))
        fleet.tf.clear()
        began = time.time()
        with fleet.robot.standing(5, rate=4.0):
            time.sleep(1.0)
            fleet.tf.wait_for(lambda _: len(fleet.sent('odom')) > 5)
        seconds = time.time() - began
        sent = fleet.sent('odom')
        assert {t.child_frame_id for t in sent} == {'odom_odom'}
        np.testing.assert_allclose(transform_from_message(sent[0].transform), expected, atol=1e-6)
        assert near(fixed, fleet.robot.map_from_base(5))
        ahead = to_seconds(sent[0].header.stamp) - began
        assert -0.2 < ahead - TOLERANCE < seconds
        assert len(sent) < 1.5 * RATE * seconds + 2

    def test_odometry_is_that_of_the_images_stamp(self, fleet):
        now = time.time()
        image = fleet.robot.image(4, to_stamp(now))
        before, after = fleet.robot.odom_from_base(1), fleet.robot.odom_from_base(6)
        send = fleet.ros.send_transform
        send('odom_odom', 'base_odom', before, to_stamp(now - 0.03), LISTENERS)
        fleet.robot.publish(image)
        # Odometry comes later than the image, as it does on robots.
        send('odom_odom', 'base_odom', after, to_stamp(now + 0.01), LISTENERS)
        fixed = pose_of(fleet.localizers['odom'].pose_at(image.header.stamp))
        expected = fixed @ inverse(interpolate(before, after, 0.75))
        fleet.tf.clear()
        fleet.tf.wait_for(lambda _: bool(fleet.sent('odom')))
        sent = transform_from_message(fleet.sent('odom')[0].transform)
        np.testing.assert_allclose(sent, expected, atol=1e-4)

    @pytest.mark.parametrize('name', ['base', 'camera'])
    def test_map_to_base_and_map_to_camera(self, fleet, name):
        stamp = fleet.stand(3)[name].header.stamp

        def of_it() -> list:
            return [t for t in fleet.sent(name) if t.header.stamp == stamp]

        fleet.tf.wait_for(lambda _: bool(of_it()))
        (sent,) = of_it()
        pose = pose_of(fleet.localizers[name].pose_at(stamp))
        # The camera hangs on the base, so that the base is what hangs on the map.
        assert sent.child_frame_id == f'base_{name}'
        body_from_base = inverse(BASE_FROM_CAMERA) if name == 'camera' else np.eye(4)
        np.testing.assert_allclose(
            transform_from_message(sent.transform), pose @ body_from_base, atol=1e-9
        )

    def test_none(self, fleet, places):
        assert not fleet.sent('none')


def test_nothing_is_sent_while_lost(fleet):
    fleet.stand(0)
    for localizer in fleet.localizers.values():
        localizer.statuses.clear()
    with fleet.robot.repeating(fleet.robot.blank):
        for localizer in fleet.localizers.values():
            assert 'look alike' in localizer.wait_for('lost')
        heard: list[Collector] = [fleet.tf, *(each.poses for each in fleet.localizers.values())]
        for collector in heard:
            collector.clear()
        time.sleep(0.6)
        assert not any(fleet.sent(name) for name in MODES)
        assert not any(collector.messages for collector in heard[1:])
    fleet.stand(0)
