"""Services, starting poses, parameters at run time and life cycle, asked for in every state."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from harness import LATCHED, wait_until
from nav_msgs.msg import Path as PathMessage
from nav_msgs.srv import LoadMap
from rcl_interfaces.srv import GetParameters
from robot import ANY_MOTION, Localizer, Robot, near
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from aceg_ros.geometry.poses import inverse, make_pose, transform_points
from aceg_ros.maps.file import write_map
from aceg_ros.maps.sessions import moved as in_another_frame
from aceg_ros.ros.messages import pose_of, pose_with_covariance, to_seconds
from aceg_ros.tracking.frames import BODY_FROM_OPTICAL

PATIENCE = 60.0
SHORT_PATIENCE = 1.5
GATE = {'max_mahalanobis': 5.0, 'jump_fixes': 3, 'max_speed': 2.0, 'max_turn_rate': 180.0}
# What does not move is believed at once, anything else never.
UNMOVED = {'max_mahalanobis': 5.0, 'jump_fixes': 1000, 'max_speed': 0.0, 'max_turn_rate': 0.0}


@pytest.fixture(scope='module')
def package(tmp_path_factory, room_map) -> Path:
    """Prefix of a ROS package `places` that has the map."""
    prefix = tmp_path_factory.mktemp('prefix')
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'places').touch()
    (prefix / 'share' / 'places').mkdir()
    shutil.copy(room_map, prefix / 'share' / 'places' / 'room one.aceg')
    return prefix


@pytest.fixture(scope='module')
def robot(ros, queries) -> Robot:
    return Robot(ros, queries)


@pytest.fixture(scope='module')
def process(ros, robot, room_map, package) -> Iterator[Localizer]:
    """A localizer started without a map, on a camera that hangs on nothing."""
    localizer = Localizer(
        ros,
        environment={'AMENT_PREFIX_PATH': str(package)},
        tf_mode='map_to_camera',
        relocalize_timeout=PATIENCE,
        lost_after=0.5,
    )
    assert 'no map is given' in localizer.wait_for('waiting_for_map', 'no map')
    localizer.process.wait_for_output('waiting_for_map: no map is given')
    assert not localizer.relocalize().success
    assert localizer.load(room_map) == LoadMap.Response.RESULT_SUCCESS
    robot.wake(localizer)
    yield localizer
    assert localizer.process.stop() == 0


@pytest.fixture
def localizer(process, room_map) -> Localizer:
    """One that has the map and has seen nothing since; any motion is fine with it."""
    process.set(**GATE | ANY_MOTION)
    assert process.enable(True).success
    assert process.load(room_map) == LoadMap.Response.RESULT_SUCCESS
    process.poses.clear()
    process.statuses.clear()
    return process


@pytest.fixture
def localized(localizer, robot) -> Localizer:
    """One that was just localized."""
    localizer.pose_at(robot.show(0))
    return localizer


def parameter(localizer: Localizer, name: str) -> object:
    """Value of a text parameter."""
    request = GetParameters.Request(names=[name])
    return (
        localizer.ros.call(GetParameters, f'{localizer.name}/get_parameters', request)
        .values[0]
        .string_value
    )


class TestLoadMap:
    @pytest.mark.parametrize('form', ['{path}', '{stem}', 'file://{path}', 'package://{package}'])
    def test_every_way_to_name_a_file(self, localizer, robot, room_map, form):
        url = form.format(
            path=room_map, stem=room_map.with_suffix(''), package='places/room%20one.aceg'
        )
        assert localizer.load(url) == LoadMap.Response.RESULT_SUCCESS
        assert parameter(localizer, 'map') == url
        assert near(pose_of(localizer.pose_at(robot.show(1))), robot.map_from_camera(1))

    @pytest.mark.parametrize(
        'url', ['/no/such.aceg', 'package://nobody/has.aceg', 'http://example.org/x.aceg', '', '/']
    )
    def test_no_such_map(self, localized, robot, url):
        assert localized.load(url) == LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST
        # The one in use stays.
        localized.pose_at(robot.show(1))

    def test_damaged_map(self, localized, robot, room_map, tmp_path):
        damaged = tmp_path / 'damaged.aceg'
        damaged.write_bytes(room_map.read_bytes()[:-1000])
        assert localized.load(damaged) == LoadMap.Response.RESULT_INVALID_MAP_DATA
        assert str(damaged) in localized.process.output
        localized.pose_at(robot.show(1))

    @pytest.mark.parametrize(
        ('networks', 'words'),
        [
            ({'encoder': 'another encoder'}, 'made with encoder another encoder'),
            ({'encoder': 'dinov2-0123'}, 'dinov2-0123, which is not on this machine'),
            ({'regressor': 'published-0123'}, 'published-0123, which is in none of the folders'),
        ],
    )
    def test_map_made_with_other_networks(
        self, localized, robot, mapped, tmp_path, networks, words
    ):
        other = tmp_path / 'other.aceg'
        info = replace(mapped.code.info, **networks)
        write_map(other, replace(mapped.code, info=info))
        assert localized.load(other) == LoadMap.Response.RESULT_INVALID_MAP_METADATA
        assert words in localized.process.output
        localized.pose_at(robot.show(1))

    def test_another_map_is_another_frame(self, ros, localized, robot, mapped, tmp_path):
        """The map moved by 100 m: poses must never mix the two."""
        moved = tmp_path / 'moved.aceg'
        write_map(moved, in_another_frame(mapped.code, make_pose(np.eye(3), [100.0, 0.0, 0.0])))
        localized.set(**GATE)
        points = ros.collect(PointCloud2, f'{localized.name}/scene_points')
        path = ros.collect(PathMessage, f'{localized.name}/path')
        with robot.standing(0):
            localized.poses.wait(2)
            assert localized.load(moved) == LoadMap.Response.RESULT_SUCCESS
            # What viewers show of the other map goes.
            points.wait_for(lambda message: message.width == 0)
            path.wait_for(lambda message: not message.poses)
            localized.poses.clear()
            found = pose_of(localized.poses.wait(2)[1])
        found[0, 3] -= 100.0
        assert near(found, robot.map_from_camera(0))

    def test_file_harmed_while_in_use(self, localizer, robot, room_map, tmp_path):
        own = Path(shutil.copy(room_map, tmp_path / 'own.aceg'))
        assert localizer.load(own) == LoadMap.Response.RESULT_SUCCESS
        own.write_bytes(b'no map any more')
        localizer.pose_at(robot.show(1))
        assert localizer.load(own) == LoadMap.Response.RESULT_INVALID_MAP_DATA
        own.unlink()
        localizer.pose_at(robot.show(2))

    def test_map_and_keyframes_for_latecomers(self, localizer, ros, mapped):
        points = ros.collect(PointCloud2, f'{localizer.name}/map_points', LATCHED)
        keyframes = ros.collect(MarkerArray, f'{localizer.name}/keyframes', LATCHED)
        cloud = points.wait()[0]
        assert (cloud.width, cloud.header.frame_id) == (len(mapped.code.anchors), 'map')
        assert len(keyframes.wait()[0].markers[0].points) == 16 * len(mapped.code.keyframes)


class TestMapParameter:
    def test_refused_when_it_cannot_be_used(self, localized, robot, tmp_path, room_map):
        (tmp_path / 'bad.aceg').write_bytes(b'nothing')
        for url, words in [(tmp_path / 'bad.aceg', 'not an .aceg map'), ('/no/map', 'no map at')]:
            (result,) = localized.set(map=str(url))
            assert not result.successful
            assert words in result.reason
        assert parameter(localized, 'map') == str(room_map)
        localized.pose_at(robot.show(1))

    def test_removed_and_given_again(self, localized, robot, room_map):
        (result,) = localized.set(map='')
        assert result.successful
        localized.wait_for('waiting_for_map', 'no map is given')
        answer = localized.relocalize()
        assert not answer.success
        assert 'no map is given' in answer.message
        (result,) = localized.set(map=str(room_map))
        assert result.successful
        wait_until(lambda: not localized.status.startswith('waiting_for_map'))
        localized.pose_at(robot.show(1))


class TestRelocalize:
    def test_answers_with_the_next_fix(self, localized, robot):
        with robot.standing(2):
            answer = localized.relocalize()
        assert answer.success
        assert 'points agree' in answer.message

    def test_believes_what_would_be_a_jump(self, localized, robot):
        localized.set(**UNMOVED)
        with robot.standing(6):
            localized.wait_for('lost', 'jump of')
            localized.poses.clear()
            assert localized.relocalize().success
            assert near(pose_of(localized.poses.wait()[0]), robot.map_from_camera(6))

    def test_says_why_there_is_no_fix(self, localized, robot):
        localized.set(relocalize_timeout=SHORT_PATIENCE)

        def says_why() -> bool:
            start = time.monotonic()
            answer = localized.relocalize()
            assert not answer.success
            assert time.monotonic() - start > SHORT_PATIENCE - 0.1
            return 'look alike' in answer.message

        with robot.repeating(robot.blank):
            wait_until(says_why)
        localized.wait_for('waiting_for_images')
        answer = localized.relocalize()
        localized.set(relocalize_timeout=PATIENCE)
        assert not answer.success
        assert 'no image on /image for' in answer.message


class TestEnable:
    def test_off_and_on(self, localized, robot):
        assert localized.enable(False).success
        localized.wait_for('waiting_for_images', 'localization is off')
        localized.poses.clear()
        robot.listeners = 0
        with robot.standing(0):
            time.sleep(0.5)
            refused = localized.relocalize()
            assert localized.enable(False).success
        robot.listeners = 1
        assert not localized.poses.messages
        assert not refused.success
        assert '~/enable' in refused.message
        localized.statuses.clear()
        assert localized.enable(True).success
        with robot.standing(0):
            localized.poses.wait()


class TestStartingPose:
    SPREAD = np.diag([0.25, 0.25, 0.0, 0.0, 0.0, 0.068])

    def give(self, ros, pose, frame: str = 'map', spread=SPREAD) -> None:
        message = pose_with_covariance(Header(frame_id=frame), pose, spread)
        ros.publisher(PoseWithCovarianceStamped, 'initialpose').publish(message)

    def test_fixes_far_from_it_have_to_repeat(self, ros, localized, robot):
        localized.set(**UNMOVED)
        # The camera as a body that looks along its x axis, as rviz gives it.
        body = robot.map_from_camera(6) @ inverse(BODY_FROM_OPTICAL)
        np.testing.assert_allclose(
            transform_points(inverse(robot.map_from_camera(6)), body[None, :3, 3]), 0.0, atol=1e-9
        )
        self.give(ros, body, spread=np.diag([0.05] * 3 + [0.03] * 3) ** 2)
        localized.process.wait_for_output('searching near')
        localized.poses.clear()
        with robot.standing(0):
            refusal = localized.wait_for('searching', 'no fix yet: jump of')
        assert 'from where the given pose (' in refusal
        assert not localized.poses.messages
        assert near(pose_of(localized.pose_at(robot.show(6))), robot.map_from_camera(6))

    def test_of_the_parameters_counts_when_the_node_becomes_active(self, ros, localized, robot):
        localized.set(**UNMOVED)
        body = robot.map_from_camera(6) @ inverse(BODY_FROM_OPTICAL)
        x, y, z = body[:3, 3]
        yaw = float(np.arctan2(body[1, 0], body[0, 0]))
        place = {'initial_pose.x': x, 'initial_pose.y': y, 'initial_pose.z': z}
        localized.set(set_initial_pose=True, **place, **{'initial_pose.yaw': yaw})
        since = len(localized.process.output)
        assert ros.change_state(localized.name, 'deactivate')
        assert ros.change_state(localized.name, 'activate')
        localized.set(set_initial_pose=False)
        localized.process.wait_for_output(f'searching near {x:.2f}, {y:.2f}, {z:.2f} m', since)
        robot.listeners = 1
        assert near(pose_of(localized.pose_at(robot.show(6))), robot.map_from_camera(6))

    @pytest.mark.parametrize(
        ('frame', 'spread', 'words'),
        [
            ('odom', SPREAD, "in frame 'odom', not in 'map'"),
            ('map', -SPREAD, 'negative eigenvalues'),
            ('map', np.full((6, 6), np.nan), 'nan'),
        ],
    )
    def test_refused(self, ros, localized, robot, frame, spread, words):
        self.give(ros, robot.map_from_camera(0), frame, spread)
        wait_until(lambda: words in localized.process.output)
        localized.pose_at(robot.show(0))

    def test_message_nobody_filled(self, ros, localized, robot):
        message = PoseWithCovarianceStamped(header=Header(frame_id='map'))
        message.pose.pose.orientation.w = 0.0
        ros.publisher(PoseWithCovarianceStamped, 'initialpose').publish(message)
        wait_until(lambda: 'initialpose is not used: quaternion' in localized.process.output)


class TestGate:
    def test_jump_is_refused_with_its_reason_and_believed_when_it_repeats(self, localized, robot):
        localized.set(**UNMOVED | {'jump_fixes': 3})
        stamps = [robot.show(0)]
        localized.pose_at(stamps[0])
        written = len(localized.process.output)
        for refused in (1, 2):
            stamps.append(robot.show(5))
            localized.process.wait_for_output(f'{refused} of 3 consistent fixes', since=written)
        stamps.append(robot.show(5))
        found = localized.pose_at(stamps[-1])
        assert near(pose_of(found), robot.map_from_camera(5))
        published = [message.header.stamp for message in localized.poses.messages]
        assert not {str(stamp) for stamp in stamps[1:3]} & {str(stamp) for stamp in published}
        assert 'fix refused: jump of' in localized.process.output
        assert '2 of 3 consistent fixes' in localized.process.output


class TestOutputs:
    def test_path_points_and_debug_image(self, ros, localized, robot):
        path = ros.collect(PathMessage, f'{localized.name}/path')
        points = ros.collect(PointCloud2, f'{localized.name}/scene_points')
        pictures = ros.collect(Image, f'{localized.name}/debug_image')
        for place in (1, 2, 3, 3):
            # Outputs are made only for those who look, and they come one by one.
            localized.pose_at(robot.show(place))
            time.sleep(0.2)
        last = path.wait()[-1]
        assert last.header.frame_id == 'map'
        assert 3 <= len(last.poses) <= 5
        assert near(pose_of(last.poses[-1]), robot.map_from_camera(3))
        assert points.wait()[-1].width >= 60
        assert points.messages[-1].header.frame_id == 'map'
        picture = pictures.wait()[-1]
        assert (picture.width, picture.height) == (robot.camera.width, robot.camera.height)
        pictures.clear()
        robot.publish(robot.blank())
        assert any(pictures.wait()[0].data)  # says in words why there is no pose
        pictures.clear()
        # Without images the words go over the last one.
        assert pictures.wait()[0].width == robot.camera.width

    def test_pose_waits_for_latecomers_until_the_robot_is_lost(self, ros, localized, robot):
        topic = f'{localized.name}/pose_with_covariance'
        with robot.standing(0):
            localized.poses.wait(2)
            stamp = localized.poses.messages[-1].header.stamp
            (late,) = ros.collect(PoseWithCovarianceStamped, topic, LATCHED).wait()[:1]
            assert to_seconds(late.header.stamp) >= to_seconds(stamp)
        with robot.repeating(robot.blank):
            localized.wait_for('lost', 'look alike')
        time.sleep(0.4)  # until the node looks at its state again
        later = ros.collect(PoseWithCovarianceStamped, topic, LATCHED)
        time.sleep(0.5)
        assert not later.messages
        # All who subscribe hear the next one.
        stamp = robot.show(0)
        for heard in (later, localized.poses):
            heard.wait_for(lambda message: message.header.stamp == stamp)

    def test_refused_fix_leaves_no_points(self, ros, localized, robot):
        points = ros.collect(PointCloud2, f'{localized.name}/scene_points')
        with robot.standing(0):
            points.wait()
        localized.set(**UNMOVED)
        localized.pose_at(robot.show(0))
        with robot.standing(7):
            time.sleep(0.3)
            points.clear()
            localized.wait_for('lost', 'jump of')
        assert not points.messages


class TestParameters:
    @pytest.mark.parametrize(
        ('name', 'value', 'words'),
        [
            ('jump_fixes', 0, 'jump_fixes'),
            ('lost_after', -1.0, 'lost_after'),
            ('max_speed', 'fast', 'max_speed'),
            ('tf_mode', 'map_to_odom', 'read-only'),
        ],
    )
    def test_refused_with_a_reason(self, localized, name, value, words):
        (result,) = localized.set(**{name: value})
        assert not result.successful
        assert words in result.reason

    def test_min_confidence_counts_at_once(self, localized, robot):
        localized.set(min_confidence=1.0)
        with robot.standing(0):
            localized.wait_for('lost', 'with a probability of only')
            localized.set(min_confidence=0.5)
            localized.wait_for('localized', 'points agree')

    def test_max_rate_leaves_images_out(self, localized, robot):
        localized.set(max_rate=2.0)
        with robot.standing(0, rate=15.0):
            localized.poses.wait(2)
            localized.poses.clear()
            found = localized.poses.wait(5)
        localized.set(max_rate=0.0)
        stamps = [to_seconds(message.header.stamp) for message in found]
        assert np.median(np.diff(stamps)) > 0.35


class TestLifeCycle:
    def test_requests_in_every_state(self, ros, localized, robot, room_map):
        name = localized.name
        assert ros.state(name) == 'active'
        assert ros.change_state(name, 'deactivate')
        localized.wait_for('waiting_for_images', 'not active')
        for answer in (localized.enable(False), localized.relocalize()):
            assert not answer.success
            assert 'not active' in answer.message
        assert localized.load(room_map) == LoadMap.Response.RESULT_SUCCESS

        assert ros.change_state(name, 'cleanup')
        localized.wait_for('waiting_for_map', 'not configured')
        (result,) = localized.set(map=str(room_map))
        assert result.successful
        assert not ros.change_state(name, 'activate')

        localized.statuses.clear()
        assert ros.change_state(name, 'configure')
        localized.wait_for('waiting_for_images', 'not active')
        assert ros.change_state(name, 'activate')
        localized.poses.clear()
        with robot.standing(0):
            localized.poses.wait()
