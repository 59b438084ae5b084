"""Two cameras on one robot, asked as one over DDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from harness import wait_until
from processes import repeating
from rclpy.node import Node
from rclpy.qos import QoSProfile
from robot import ANY_MOTION, Localizer, near
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from aceg_ros.geometry.poses import inverse, make_pose, so3_exp
from aceg_ros.lab.worlds import record
from aceg_ros.ros.localizer.cameras import Cameras
from aceg_ros.ros.messages import camera_info, pose_of, to_seconds, to_stamp
from aceg_ros.ros.middleware.bridge import from_rgb
from aceg_ros.ros.status_values import LocalizationValues, read_values

SIDES = 'left', 'right'
TOPICS = {side: f'/{side}/image_raw' for side in SIDES}
BASE_FROM_CAMERA = {
    'left': make_pose(so3_exp([-1.7, 0.4, -1.1]), [0.35, 0.2, 0.9]),
    'right': make_pose(so3_exp([-1.7, 0.4, -1.1]) @ so3_exp([0.0, 0.5, 0.0]), [0.3, -0.2, 0.9]),
}
BOTH = f'cameras {TOPICS["left"]}, {TOPICS["right"]}, confidence'
LEFT = f'cameras {TOPICS["left"]}, confidence'
RATE = 4.0


class TwoEyedRobot:
    """Stands in the room, with two cameras that look apart, and a localizer that has both."""

    def __init__(self, ros, room, room_camera, queries, room_map) -> None:
        self.ros = ros
        self.camera = room_camera
        self.map_from_base = queries[3].world_from_cam @ inverse(BASE_FROM_CAMERA['left'])
        poses = self.map_from_base @ np.stack([BASE_FROM_CAMERA[side] for side in SIDES])
        frames = record(room, room_camera, poses, supersample=1).frames
        self.images = {side: frame.image() for side, frame in zip(SIDES, frames, strict=True)}
        self.diagnostics = ros.collect(DiagnosticArray, '/diagnostics')
        self.localizer = Localizer(
            ros,
            map=room_map,
            rig_images=f'[{", ".join(TOPICS.values())}]',
            tf_mode='map_to_base',
            lost_after=60.0,
            **ANY_MOTION,
        )

    def show(self, *sides: str, later: float = 0.0) -> None:
        """Both cameras, or one of them, at one time, or the right one somewhat later."""
        stamp = to_seconds(self.ros.now())
        for side in sides:
            delay = later if side == 'right' else 0.0
            header = Header(stamp=to_stamp(stamp + delay), frame_id=f'{side}_optical')
            info = self.ros.publisher(CameraInfo, f'/{side}/camera_info', QoSProfile(depth=1))
            info.publish(camera_info(header, self.camera))
            images = self.ros.publisher(Image, TOPICS[side], QoSProfile(depth=1))
            images.publish(from_rgb(self.images[side], header))

    def showing(self, *sides: str, later: float = 0.0):
        """Again and again meanwhile."""
        return repeating(lambda: self.show(*sides, later=later), RATE)

    def reported(self, name: str, where: Callable[[DiagnosticStatus], bool]) -> DiagnosticStatus:
        """Wait for a status on /diagnostics, from now on."""

        def told(message: DiagnosticArray) -> list[DiagnosticStatus]:
            return [
                status
                for status in message.status
                if status.name == f'aceg_localizer: {name}' and where(status)
            ]

        self.diagnostics.clear()
        return told(self.diagnostics.wait_for(told))[0]

    def rests_on(self, cameras: str) -> None:
        """Wait until the status names these cameras."""
        wait_until(lambda: self.localizer.status.startswith(f'localized: {cameras}'), what=cameras)

    def pose(self) -> np.ndarray:
        """The next one, (4, 4)."""
        self.localizer.poses.clear()
        return pose_of(self.localizer.poses.wait()[0])


@pytest.fixture(scope='module')
def robot(ros, room, room_camera, queries, room_map) -> Iterator[TwoEyedRobot]:
    robot = TwoEyedRobot(ros, room, room_camera, queries, room_map)
    robot.localizer.wait_for('waiting_for_images')
    for side in SIDES:
        ros.send_transform('base_link', f'{side}_optical', BASE_FROM_CAMERA[side])
    yield robot
    assert robot.localizer.process.stop() == 0


@pytest.fixture
def found(robot) -> TwoEyedRobot:
    """One that has just been found with both cameras."""
    with robot.showing(*SIDES):
        robot.rests_on(BOTH)
    return robot


def test_both_cameras_give_the_pose_of_the_base(found, ros):
    transforms = ros.collect(TFMessage, '/tf')
    clouds = ros.collect(PointCloud2, '/aceg_localizer/scene_points', 1)
    pictures = ros.collect(Image, '/aceg_localizer/debug_image', 1)

    def names_both(status: DiagnosticStatus) -> bool:
        values = read_values(LocalizationValues, status)
        return values.cameras == ', '.join(TOPICS.values())

    with found.showing(*SIDES):
        assert near(found.pose(), found.map_from_base)
        found.reported('localization', names_both)
        sent = transforms.wait()[0].transforms[0]
        # A moment may be of one camera where the other's image comes late.
        picture = pictures.wait_for(lambda picture: picture.width > found.camera.width)
        cloud = clouds.wait()[0]
    assert (sent.header.frame_id, sent.child_frame_id) == ('map', 'base_link')
    assert cloud.width > 100
    assert (picture.width, picture.height) == (2 * found.camera.width, found.camera.height)


def test_it_goes_on_without_a_silent_camera(found):
    with found.showing('left'):
        found.rests_on(LEFT)
        assert near(found.pose(), found.map_from_base)
        silent = found.reported(
            'camera /right/image_raw', lambda status: status.level == DiagnosticStatus.STALE
        )
        assert 'no image on /right/image_raw' in silent.message
        found.reported('camera /left/image_raw', lambda s: s.level == DiagnosticStatus.OK)


def test_it_goes_on_with_images_too_far_apart_to_be_of_one_time(found):
    with found.showing(*SIDES, later=0.06):
        told = found.reported(
            'camera /right/image_raw', lambda status: status.level == DiagnosticStatus.WARN
        )
        assert 'left out: its images are 60 ms from those of the others' in told.message
        assert near(found.pose(), found.map_from_base)


def test_compressed_images_and_calibrations_are_below_and_beside_each_topic(ros):
    node = Node('rig', namespace='robot', context=ros.node.context)
    topics = '/front/image_raw', 'rear/image_raw'
    cameras = Cameras(node, topics, True, False, None, 0.02, lambda: 1.0)
    assert cameras.topics == '/front/image_raw/compressed, /robot/rear/image_raw/compressed'
    infos = [each.info_topic for each in cameras.inputs]
    assert infos == ['/front/camera_info', '/robot/rear/camera_info']
    node.destroy_node()
