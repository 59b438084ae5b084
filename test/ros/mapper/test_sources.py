"""Where poses and pixels come from: TF, odometry of a base, depth, compressed images."""

from __future__ import annotations

import time
from functools import partial

import cv2
import numpy as np
from mapper_robot import CAMERA, Robot, again, picture, pose_at, until_recorded
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from aceg_ros.datasets import open_dataset
from aceg_ros.geometry.poses import compose, inverse, make_pose, so3_exp
from aceg_ros.ros.mapper.report import STALE
from aceg_ros.ros.messages import camera_info, pose_message, to_stamp
from aceg_ros.ros.middleware.bridge import from_depth

# A camera mounted crooked.
BASE_FROM_CAMERA = make_pose(so3_exp([-1.3, 0.4, -1.0]), [0.3, -0.2, 0.8])


def test_tf_with_depth(start_mapper, ros):
    """From the map over odometry and base to a camera mounted crooked."""
    mapper = start_mapper(pose_source='tf', use_depth=True)
    robot = Robot(ros)
    depths = ros.publisher(Image, 'depth', QoSProfile(depth=5))
    ros.send_transform('base', 'camera', BASE_FROM_CAMERA)
    assert mapper.switch('record', True)[0]
    odom = make_pose(so3_exp([0.0, 0.0, 1.0]), [5.0, -2.0, 0.0])

    def step(stamp: float, depth: np.ndarray) -> None:
        base = compose(inverse(odom), pose_at(stamp - 50.0), inverse(BASE_FROM_CAMERA))
        for when in (stamp - 0.1, stamp + 0.1):
            ros.send_transform('map', 'odom', odom, to_stamp(when))
            ros.send_transform('odom', 'base', base, to_stamp(when))
        header = Header(stamp=to_stamp(stamp + 0.01), frame_id='camera')
        depths.publish(from_depth(depth, header))
        time.sleep(0.05)
        robot.image(stamp)

    for index in range(3):
        depth = np.full((48, 64), 1.0 + index, np.float32)
        if index == 2:
            depth = depth[:24]  # not aligned
        stamp = 50.0 + index
        until_recorded(mapper.folder, stamp, partial(step, stamp, depth))
    frames = open_dataset(mapper.folder).frames
    for index, frame in enumerate(frames):
        np.testing.assert_allclose(frame.world_from_cam, pose_at(index), atol=1e-6)
    assert [frame.depth()[9, 9] for frame in frames[:2]] == [1.0, 2.0]
    assert frames[2].depth() is None
    mapper.process.wait_for_output('image is 64x24, but its camera_info is for 64x48')

    # A camera that stops does not mean that TF does.
    time.sleep(STALE + 0.5)
    mapper.diagnostics.clear()
    mapper.wait_for_report('camera', 'no image on /image for')
    mapper.wait_for_report('poses', 'poses come')
    mapper.wait_for_status(
        "TF has no frame 'elsewhere'", lambda: robot.image(89.0, frame='elsewhere')
    )
    again(
        lambda: robot.image(90.0),
        lambda: any('no pose from TF' in each.message for each in mapper.reports('poses')),
        'TF counts as stopped',
    )
    assert 'an image is left out: ' in mapper.process.output
    assert mapper.process.stop() == 0


def test_odometry_of_the_base_and_compressed_images(start_mapper, ros):
    mapper = start_mapper(compressed=True)
    images = ros.publisher(CompressedImage, 'image/compressed', QoSProfile(depth=1))
    infos = ros.publisher(type(camera_info(Header(), CAMERA)), 'camera_info')
    ros.send_transform('base', 'camera', BASE_FROM_CAMERA)
    odometry = ros.publisher(Odometry, 'pose')
    assert mapper.switch('record', True)[0]

    def step(stamp: float) -> None:
        for when in (stamp - 0.05, stamp + 0.05):
            message = Odometry(header=Header(stamp=to_stamp(when), frame_id='odom'))
            message.child_frame_id = 'base'
            message.pose.pose = pose_message(pose_at(stamp - 50.0) @ inverse(BASE_FROM_CAMERA))
            odometry.publish(message)
        header = Header(stamp=to_stamp(stamp), frame_id='camera')
        infos.publish(camera_info(header, CAMERA))
        time.sleep(0.05)
        png = cv2.imencode('.png', picture(int(stamp))[..., ::-1])[1].tobytes()
        images.publish(CompressedImage(header=header, format='png', data=png))

    for stamp in (50.0, 51.0):
        until_recorded(mapper.folder, stamp, partial(step, stamp))
    for index, frame in enumerate(open_dataset(mapper.folder).frames):
        np.testing.assert_allclose(frame.world_from_cam, pose_at(index), atol=1e-6)
    assert mapper.process.stop() == 0
