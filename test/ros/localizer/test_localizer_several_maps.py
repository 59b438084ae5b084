"""Two floors: a map and a frame for each, changed by image and by service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from harness import LATCHED, wait_until
from nav_msgs.srv import LoadMap
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from robot import ANY_MOTION, BASE_FROM_CAMERA, Localizer, Robot, near
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from aceg_ros.datasets import Frame
from aceg_ros.geometry.poses import inverse
from aceg_ros.lab.worlds import WorldOptions, make_world, record, tour
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import FitOptions, MappingOptions, ValidationOptions
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.ros.messages import pose_of, pose_with_covariance, transform_from_message
from aceg_ros.ros.status_values import values_of

SUCCESS = LoadMap.Response.RESULT_SUCCESS
# Where the robot stands in each map; it has the places of both floors, one floor after the other.
DOWN, UP = 2, 9


@pytest.fixture(scope='module')
def upper_room(room_camera) -> list[Frame]:
    """Views of the room upstairs, which has other things in it."""
    world = make_world(8, WorldOptions(texture_size=128, clutter=0.9, plain=0.1))
    return record(world, room_camera, tour(world, 60, seed=8)[:24], supersample=1).frames


@pytest.fixture(scope='module')
def floors(tmp_path_factory, mapped, upper_room, engine) -> Path:
    """A folder with a small map of either floor."""
    folder = tmp_path_factory.mktemp('floors')
    options = MappingOptions(
        budget=600.0,
        tokens=512,
        fit=FitOptions(epochs=2, buffer_patches=8000),
        validation=ValidationOptions(held_out=0.0),
    )
    write_map(folder / 'ground.aceg', mapped.code)
    write_map(folder / 'first.aceg', map_scene(upper_room[::2], engine, options).code)
    return folder


@pytest.fixture(scope='module')
def robot(ros, queries, upper_room) -> Robot:
    return Robot(ros, [*queries, *upper_room[1:12:4]])


class Building:
    """A localizer with both maps on a robot with odometry, and what it publishes."""

    def __init__(self, ros, robot: Robot, floors: Path) -> None:
        self.ros = ros
        self.robot = robot
        self.floors = floors
        self.tf = ros.collect(TFMessage, '/tf')
        self.localizer = Localizer(
            ros,
            map=f'[{floors / "ground.aceg"}, {floors / "first.aceg"}]',
            tf_mode='map_to_odom',
            camera_frame='camera_link',
            lost_after=1.0,
            relocalize_timeout=60.0,
            **ANY_MOTION,
        )
        robot.wake(self.localizer)
        ros.send_transform('base_link', 'camera_link', BASE_FROM_CAMERA)
        # Of /tf: the localizer and the test.
        self.stand(DOWN, 2)

    def stand(self, index: int, listeners: int = 2) -> None:
        """Show a place once."""
        stamp = self.robot.stamp()
        odometry = self.robot.odom_from_base(index)
        self.ros.send_transform('odom', 'base_link', odometry, stamp, listeners)
        self.robot.show(index, stamp)

    @contextmanager
    def standing(self, index: int) -> Iterator[None]:
        """Show a place again and again meanwhile."""

        def image():
            stamp = self.robot.stamp()
            odometry = self.robot.odom_from_base(index)
            self.ros.send_transform('odom', 'base_link', odometry, stamp, 2)
            return self.robot.image(index, stamp)

        with self.robot.repeating(image):
            yield

    def pose_in(self, frame: str) -> np.ndarray:
        """The next pose in a frame, (4, 4)."""
        poses = self.localizer.poses
        return pose_of(poses.wait_for(lambda message: message.header.frame_id == frame))

    def frames_of_poses(self) -> list[str]:
        """Frames of all poses since they were cleared, each once, in order."""
        frames = [message.header.frame_id for message in self.localizer.poses.messages]
        return list(dict.fromkeys(frames))

    def parents(self) -> list[str]:
        """Frames in which odometry was since /tf was cleared, each once, in order."""
        return list(dict.fromkeys(sent.header.frame_id for sent in self.located()))

    def located(self) -> list:
        """Transforms to odometry that were sent since /tf was cleared."""
        sent = [transform for message in self.tf.messages for transform in message.transforms]
        return [transform for transform in sent if transform.child_frame_id == 'odom']

    def change(self, service: str, url: object) -> int:
        """Result of one of the services that change the maps."""
        request = LoadMap.Request(map_url=str(url))
        return self.ros.call(LoadMap, f'{self.localizer.name}/{service}', request).result

    @property
    def parameter(self) -> object:
        """The parameter `map`."""
        request = GetParameters.Request(names=['map'])
        answer = self.ros.call(GetParameters, f'{self.localizer.name}/get_parameters', request)
        return parameter_value_to_python(answer.values[0])


@pytest.fixture(scope='module')
def process(ros, robot, floors) -> Iterator[Building]:
    building = Building(ros, robot, floors)
    yield building
    assert building.localizer.process.stop() == 0


@pytest.fixture
def building(process, floors) -> Building:
    """One that has just been found on the ground floor, in the maps of the folder."""
    process.localizer.set(jump_fixes=3)
    assert process.change('load_map', floors) == SUCCESS
    process.localizer.poses.clear()
    with process.standing(DOWN):
        process.pose_in('map_ground')
    process.localizer.poses.clear()
    process.localizer.statuses.clear()
    process.tf.clear()
    return process


class TestByImage:
    def test_the_other_floor_is_believed_after_some_images(self, building, robot, ros):
        diagnostics = ros.collect(DiagnosticArray, '/diagnostics')
        shown = ros.collect(PointCloud2, f'{building.localizer.name}/map_points', LATCHED)
        since = len(building.localizer.process.output)
        with building.standing(UP):
            found = building.pose_in('map_first')
            building.localizer.wait_for('localized', 'map first, confidence')
            diagnostics.wait_for(lambda message: 'first' in map_ids(message))
            wait_until(lambda: building.parents()[-1:] == ['map_first'])
        assert near(found, robot.map_from_base(UP))
        # Neither frame has poses of the other, and the one before does not come back.
        assert building.frames_of_poses()[-1] == 'map_first'
        assert len(building.frames_of_poses()) <= 2
        assert building.parents() == ['map_ground', 'map_first']
        for sent in building.located():
            index = {'map_ground': DOWN, 'map_first': UP}[sent.header.frame_id]
            expected = robot.map_from_base(index) @ inverse(robot.odom_from_base(index))
            assert near(transform_from_message(sent.transform), expected)
        log = building.localizer.process.output[since:]
        for count in (1, 2):
            assert f'in the map first, the last fix in ground; {count} of 3 consistent' in log
        cloud = shown.wait_for(lambda cloud: cloud.header.frame_id == 'map_first')
        assert cloud.width == len(read_map(building.floors / 'first.aceg').anchors)

    def test_until_then_it_stays_where_it_was(self, building):
        building.localizer.set(jump_fixes=1000)
        with building.standing(UP):
            building.localizer.wait_for('lost', 'it is in the map first, the last fix in ground')
        with building.standing(DOWN):
            building.localizer.wait_for('localized', 'map ground, confidence')
            wait_until(building.frames_of_poses)  # which are on a topic of their own
        assert building.frames_of_poses() == ['map_ground']
        assert building.parents() == ['map_ground']

    def test_a_refusal_is_that_of_all_maps(self, building, robot):
        with robot.repeating(robot.blank):
            building.localizer.wait_for('lost', 'none of 2 maps; nearest, ')


class TestByHand:
    def test_search_anew_in_all_maps(self, building):
        building.localizer.set(jump_fixes=1000)
        with building.standing(UP):
            building.localizer.wait_for('lost', 'it is in the map first')
            answer = building.localizer.relocalize()
        assert answer.success
        assert answer.message.startswith('map first, ')

    def test_a_starting_pose_names_its_map_by_the_frame(self, building, ros, robot):
        def give(frame: str) -> None:
            spread = np.diag([0.05] * 3 + [0.03] * 3) ** 2
            message = pose_with_covariance(Header(frame_id=frame), robot.map_from_base(UP), spread)
            ros.publisher(PoseWithCovarianceStamped, 'initialpose').publish(message)

        since = len(building.localizer.process.output)
        give('map')
        words = "it is given in frame 'map', not in 'map_first' or 'map_ground'"
        building.localizer.process.wait_for_output(words, since)
        building.localizer.set(jump_fixes=1000)
        give('map_first')
        building.localizer.process.wait_for_output('searching near', since)
        with building.standing(DOWN):
            building.localizer.wait_for('searching', 'in the map ground, the given pose')
        with building.standing(UP):
            building.pose_in('map_first')

    def test_a_map_is_removed_and_added_while_the_robot_stays_localized(self, building):
        ground, first = (str(building.floors / f'{name}.aceg') for name in ('ground', 'first'))
        assert building.parameter == str(building.floors)
        assert building.change('remove_map', 'first') == SUCCESS
        # One map alone has the frame that it has always had.
        wait_until(lambda: building.parents()[-1:] == ['map'] or building.stand(DOWN))
        assert building.parameter == ground
        with building.standing(UP):
            building.localizer.wait_for('lost')
        assert building.frames_of_poses() in ([], ['map'])
        assert building.change('add_map', first) == SUCCESS
        assert building.parameter == [ground, first]
        with building.standing(UP):
            building.pose_in('map_first')
        assert building.change('add_map', first) == SUCCESS, 'one of the same name is replaced'
        assert building.parameter == [ground, first]

    def test_what_cannot_be_done_changes_nothing(self, building, tmp_path):
        (tmp_path / 'attic.aceg').write_bytes(b'nothing')
        for service, url, result in (
            ('remove_map', 'attic', LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST),
            ('add_map', tmp_path / 'cellar', LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST),
            ('add_map', tmp_path / 'attic', LoadMap.Response.RESULT_INVALID_MAP_DATA),
        ):
            assert building.change(service, url) == result, (service, url)
        assert "no map in use is called 'attic'" in building.localizer.process.output
        assert building.parameter == str(building.floors)
        with building.standing(DOWN):
            building.pose_in('map_ground')
        assert building.frames_of_poses() == ['map_ground']

    def test_no_map_is_left(self, building):
        for url in (building.floors / 'first.aceg', building.floors):
            assert building.change('remove_map', url) == SUCCESS
        building.localizer.wait_for('waiting_for_map', 'no map is given')
        assert building.parameter == ''


def map_ids(message: DiagnosticArray) -> set[str]:
    """`map_id` in the statuses of a message."""
    return {
        values_of(status)['map_id']
        for status in message.status
        if status.name.endswith('localization')
    }
