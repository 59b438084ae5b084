"""Bags of ROS 2: images lazily, poses from topics or TF, and which topics to take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_messages import (
    BASE_FROM_CAMERA,
    BEGIN,
    IMAGE,
    D,
    K,
    Messages,
    StoragePlugin,
    camera,
    check_poses,
    compressed,
    depth,
    image,
    info,
    odometry,
    pose_stamped,
    pose_with_covariance,
    poses,
    tf,
    transform,
    world_from_cam,
    write_bag,
)

from aceg_ros.cli.main import main
from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.bag_poses import PoseChoice
from aceg_ros.datasets.bag_topics import BagTopics
from aceg_ros.errors import CameraError, DatasetError, ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import so3_exp


@pytest.fixture
def bag(tmp_path) -> Callable[..., Path]:
    """Write a bag of messages."""
    return lambda messages, *how: write_bag(tmp_path / 'tour', messages, *how)


class TestReading:
    @pytest.mark.parametrize('plugin', list(StoragePlugin))
    def test_both_storages(self, bag, plugin):
        dataset = open_dataset(bag(camera() + poses(), plugin))
        assert (dataset.name, dataset.metric) == ('tour', True)
        assert dataset.frames[0].camera == Camera('plumb_bob', 64, 48, K, D)
        check_poses(dataset)
        np.testing.assert_array_equal(dataset.frames[2].image(), IMAGE)

    @pytest.mark.parametrize('plugin', list(StoragePlugin))
    def test_storage_file_alone(self, bag, plugin):
        """As a recording leaves it that broke off before the metadata were written."""
        path = bag(camera() + poses(), plugin)
        (path / 'metadata.yaml').unlink()
        check_poses(open_dataset(path))
        (file,) = path.iterdir()
        check_poses(open_dataset(file))

    def test_compressed(self, bag):
        dataset = open_dataset(bag(camera('/cam/image_raw/compressed', compressed) + poses()))
        np.testing.assert_array_equal(dataset.frames[0].image(), IMAGE)

    def test_each_image_is_its_own(self, bag):
        def numbered(seconds: float) -> Any:
            return image(seconds, np.full((48, 64, 3), round(100 * seconds), np.uint8))

        dataset = open_dataset(bag(camera(of=numbered) + poses()))
        means = [frame.image().mean() for frame in reversed(dataset.frames)]
        assert means == [30.0, 20.0, 10.0, 0.0]

    def test_images_are_decoded_when_asked_for(self, bag):
        def broken(seconds: float) -> Any:
            message = image(seconds)
            if seconds > 0.05:
                message.data = message.data[:-1]
            return message

        dataset = open_dataset(bag(camera(of=broken) + poses()))
        assert len(dataset) == 4
        with pytest.raises(ImageError, match='truncated'):
            dataset.frames[1].image()

    def test_rectified_images_have_the_turned_camera(self, bag):
        turn = so3_exp([0.0, 0.02, 0.0])
        messages = camera('/cam/image_rect') + poses()
        messages.entries = [e for e in messages.entries if e[0] != '/cam/camera_info']
        messages.entries.append(('/cam/camera_info', 0, info(turn=turn)))
        dataset = open_dataset(bag(messages))
        frame = dataset.frames[1]
        assert frame.camera == Camera.pinhole(64, 48, 60.0, 61.0, 31.5, 23.5)
        expected = world_from_cam(0.1)
        expected[:3, :3] = expected[:3, :3] @ turn.T
        np.testing.assert_allclose(frame.world_from_cam, expected, atol=1e-9)

    def test_name_that_only_sounds_rectified(self, bag):
        dataset = open_dataset(bag(camera('/cam/image_direct') + poses()))
        assert dataset.frames[0].camera.model == 'plumb_bob'


class TestPoseSources:
    def test_with_covariance(self, bag):
        check_poses(open_dataset(bag(camera() + poses('/amcl_pose', pose_with_covariance))))

    def test_odometry_of_the_camera(self, bag):
        check_poses(open_dataset(bag(camera() + poses('/odom', odometry, 'camera'))))

    def test_odometry_of_the_base(self, bag):
        """The camera's place on the base comes from /tf_static."""
        static = Messages([('/tf_static', 0, transform(0, 'base', 'camera', BASE_FROM_CAMERA))])
        found = open_dataset(bag(camera() + poses('/odom', odometry, 'base') + static))
        for frame in found.frames:
            expected = world_from_cam(frame.stamp - BEGIN) @ BASE_FROM_CAMERA
            np.testing.assert_allclose(frame.world_from_cam, expected, atol=1e-6)

    def test_odometry_of_a_base_unknown(self, bag):
        path = bag(camera() + poses('/odom', odometry, 'base'))
        with pytest.raises(DatasetError, match=r'poses of base.*--pose-frame camera'):
            open_dataset(path)
        found = open_dataset(path, BagTopics(poses=PoseChoice(frame='camera')))
        check_poses(found)

    def test_tf(self, bag):
        check_poses(open_dataset(bag(camera() + tf())), accuracy=2e-4)

    def test_frame_in_the_middle_of_tf(self, bag):
        path = bag(camera() + tf())
        found = open_dataset(path, BagTopics(poses=PoseChoice(map_frame='odom')))
        np.testing.assert_allclose(found.frames[1].world_from_cam[:3, 3], [0.07, -2.9, 1.0])
        with pytest.raises(DatasetError, match=r'no frame world; it has: base, camera, map, odom'):
            open_dataset(path, BagTopics(poses=PoseChoice(map_frame='world')))

    def test_gap(self, bag):
        messages = camera() + poses()
        messages.entries = [
            e for e in messages.entries if e[0] != '/pose' or round(e[1], 2) not in (0.11, 0.26)
        ]
        messages.entries.append(('/pose', 0.31, pose_stamped(0.3, world_from_cam(0.3))))
        dataset = open_dataset(bag(messages))
        assert [round(frame.stamp - BEGIN, 3) for frame in dataset.frames] == [0.3]
        assert '0.350 s apart, more than 0.25 s' in dataset.skipped[0]

    def test_none(self, bag):
        with pytest.raises(DatasetError, match='there are no poses'):
            open_dataset(bag(camera()))

    def test_images_are_taken_without_where_none_are_needed(self, bag):
        dataset = open_dataset(bag(camera()), BagTopics(need_poses=False))
        assert [frame.world_from_cam for frame in dataset.frames] == [None] * 5

    def test_those_there_are_stay_where_none_are_needed(self, bag):
        dataset = open_dataset(bag(camera() + poses()), BagTopics(need_poses=False))
        assert [frame.world_from_cam is None for frame in dataset.frames] == [False] * 4 + [True]

    @pytest.mark.parametrize('images', ['/robot1/cam/image_raw', '/robot2/cam/image_raw'])
    def test_tf_of_the_robot_that_took_the_images(self, bag, images):
        """Robots have frames of the same names, in namespaces of their own."""
        other = [
            (topic, at, transform(at, 'map', 'odom', np.diag([1.0, -1.0, -1.0, 1.0])))
            for topic, at, _ in tf().entries
        ]
        number = int(images[6])
        messages = Messages(
            [(f'/robot{number}{topic}', *rest) for topic, *rest in tf().entries]
            + [(f'/robot{3 - number}{topic}', *rest) for topic, *rest in other]
        )
        check_poses(open_dataset(bag(camera(images) + messages)), accuracy=2e-4)

    def test_tf_of_robots_none_of_which_took_the_images(self, bag):
        both = [(f'/robot{n}{topic}', *rest) for topic, *rest in tf().entries for n in (1, 2)]
        with pytest.raises(DatasetError, match='TF of which robot is it'):
            open_dataset(bag(camera() + Messages(both)))

    def test_tf_in_one_map_and_then_in_another(self, bag):
        later = [
            ('/tf', at, transform(at, 'upstairs', 'odom', np.eye(4)))
            for topic, at, _ in tf().entries
            if at > 0.2
        ]
        path = bag(camera() + tf() + Messages(later))
        with pytest.raises(DatasetError, match='TF has odom in map and in upstairs'):
            open_dataset(path)
        found = open_dataset(path, BagTopics(poses=PoseChoice(map_frame='base')))
        assert len(found.frames) == 5

    def test_impossible_pose_is_named(self, bag):
        messages = camera() + poses()
        bad = pose_stamped(0.2, world_from_cam(0.2))
        bad.pose.orientation.w = np.nan
        messages.entries.append(('/pose', 0.2, bad))
        dataset = open_dataset(bag(messages))
        assert [round(frame.stamp - BEGIN, 3) for frame in dataset.frames] == [0.0, 0.1, 0.3]


class TestChoosing:
    def test_poses_or_tf(self, bag):
        path = bag(camera() + poses() + tf())
        with pytest.raises(DatasetError) as caught:
            open_dataset(path)
        assert '--pose-topic /pose (geometry_msgs/msg/PoseStamped)' in str(caught.value)
        assert '--map-frame map (TF: map < odom < base < camera)' in str(caught.value)
        check_poses(open_dataset(path, BagTopics(poses=PoseChoice(topic='/pose'))))
        check_poses(open_dataset(path, BagTopics(poses=PoseChoice(map_frame='map'))), 2e-4)
        with pytest.raises(DatasetError, match='not from both'):
            open_dataset(path, BagTopics(poses=PoseChoice('/pose', '', 'map')))

    def test_several_image_topics(self, bag):
        path = bag(camera() + camera('/rear/image_raw') + poses())
        with pytest.raises(DatasetError, match=r'--image-topic /cam/image_raw; --image-topic /r'):
            open_dataset(path)
        check_poses(open_dataset(path, BagTopics(image='/cam/image_raw')))

    def test_raw_and_compressed_of_one_camera_and_its_depth(self, bag):
        both = camera() + camera('/cam/image_raw/compressed', compressed)
        check_poses(open_dataset(bag(both + camera('/cam/depth', depth) + poses())))

    def test_topic_that_is_not_there(self, bag):
        path = bag(camera() + poses())
        with pytest.raises(DatasetError, match=r'no images on /other; there are: /cam/image_raw'):
            open_dataset(path, BagTopics(image='/other'))
        with pytest.raises(DatasetError, match=r'no poses on /other; .*--pose-topic /pose'):
            open_dataset(path, BagTopics(poses=PoseChoice(topic='/other')))

    def test_camera_info_elsewhere(self, bag):
        messages = camera() + poses()
        messages.entries = [e for e in messages.entries if e[0] != '/cam/camera_info']
        with pytest.raises(CameraError, match='no camera_info'):
            open_dataset(bag(messages))

    def test_camera_info_by_frame(self, bag):
        messages = camera() + poses()
        messages.entries = [e for e in messages.entries if e[0] != '/cam/camera_info']
        messages.entries += [('/a', 0, info('other', k=2 * K)), ('/b', 0, info('camera'))]
        assert open_dataset(bag(messages)).frames[0].camera.K[0, 0] == 60.0

    def test_camera_info_not_clear(self, bag):
        messages = camera() + poses()
        messages.entries = [e for e in messages.entries if e[0] != '/cam/camera_info']
        messages.entries += [('/a', 0, info()), ('/b', 0, info())]
        path = bag(messages)
        with pytest.raises(CameraError, match='--camera-info-topic /a; --camera-info-topic /b'):
            open_dataset(path)
        assert len(open_dataset(path, BagTopics(camera_info='/b'))) == 4

    def test_from_the_command_line(self, bag, capsys):
        path = bag(camera() + poses() + tf())
        command = ['map', str(path), '-o', str(path / 'map.aceg'), '--device', 'cpu']
        assert main(command) == 1
        assert '--pose-topic /pose' in capsys.readouterr().err
        for option in (['--pose-topic', '/pose'], ['--map-frame', 'map']):
            assert main(command + option) == 1
            said = capsys.readouterr().err
            assert 'left out 1700000000.400000' in said
            assert '4 images, but a map needs at least 5' in said

    def test_topics_of_something_else(self, tmp_path):
        with pytest.raises(DatasetError, match='is no rosbag'):
            open_dataset(tmp_path, BagTopics(image='/image'))


class TestDamage:
    @pytest.mark.parametrize('plugin', list(StoragePlugin))
    def test_truncated(self, bag, plugin):
        path = bag(camera() + poses(), plugin)
        storage = next(file for file in path.iterdir() if file.suffix != '.yaml')
        storage.write_bytes(storage.read_bytes()[:3000])
        with pytest.raises(DatasetError, match=r'ros2 bag reindex|is damaged'):
            open_dataset(path)

    def test_garbled_metadata(self, bag):
        path = bag(camera() + poses())
        (path / 'metadata.yaml').write_text('rosbag2_bagfile_information: {version: 5}')
        with pytest.raises(DatasetError, match='cannot be read as a rosbag'):
            open_dataset(path)

    def test_metadata_whose_topic_is_a_number(self, bag):
        path = bag(camera() + poses())
        metadata = (path / 'metadata.yaml').read_text()
        (path / 'metadata.yaml').write_text(metadata.replace('/cam/image_raw', '1.5'))
        with pytest.raises(DatasetError, match=r'metadata\.yaml names a topic 1\.5'):
            open_dataset(path)

    def test_no_calibration(self, bag):
        messages = camera() + poses()
        messages.entries = [e for e in messages.entries if e[0] != '/cam/camera_info']
        messages.entries.append(('/cam/camera_info', 0, info(k=np.zeros((3, 3)))))
        with pytest.raises(CameraError, match=r'tour: .*not calibrated'):
            open_dataset(bag(messages))
