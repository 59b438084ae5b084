"""Bags as people have them: ROS 1, no calibration, no stamps, no index, rare encodings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_messages import (
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
    make,
    odometry,
    pose_stamped,
    poses,
    tf,
    transform_stamped,
    world_from_cam,
    write_bag,
    write_ros1_bag,
)
from layouts import euroc
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer, storage_mcap
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.bag_poses import PoseChoice
from aceg_ros.datasets.bag_topics import BagTopics
from aceg_ros.datasets.calibration import Calibration, write_calibration
from aceg_ros.errors import CameraError, DatasetError, ImageError
from aceg_ros.geometry.cameras import Camera

CAMERA = Camera('plumb_bob', 64, 48, K, D)


@pytest.fixture
def bag(tmp_path) -> Callable[..., Path]:
    """Write a bag of messages."""
    return lambda messages, *how, **more: write_bag(tmp_path / 'tour', messages, *how, **more)


def without(messages: Messages, topic: str) -> Messages:
    return Messages([entry for entry in messages.entries if entry[0] != topic])


def gray16(seconds: float) -> Any:
    message = image(seconds)
    message.encoding, message.step = 'mono16', 128
    message.data = np.full(48 * 64, 40_000, '<u2').view(np.uint8)
    return message


class TestRos1:
    @pytest.mark.parametrize('of', [image, compressed])
    def test_same_messages_give_the_same_dataset(self, tmp_path, of):
        path = write_ros1_bag(tmp_path / 'tour.bag', camera('/cam/image_raw', of) + poses())
        dataset = open_dataset(path)
        assert (dataset.name, dataset.frames[0].camera) == ('tour', CAMERA)
        check_poses(dataset)
        np.testing.assert_array_equal(dataset.frames[2].image(), IMAGE)

    def test_slash_before_the_names_of_frames(self, tmp_path):
        """ROS 1 wrote '/camera' here and 'camera' there."""
        messages = camera('/cam/image_raw', lambda s: image(s, frame='/camera')) + tf()
        choice = BagTopics(poses=PoseChoice(map_frame='/map'))
        for name, topics in (('a', None), ('b', choice)):
            path = write_ros1_bag(tmp_path / f'{name}.bag', messages)
            check_poses(open_dataset(path, topics), accuracy=2e-4)

    def test_folder_with_one_bag(self, tmp_path):
        write_ros1_bag(tmp_path / 'tour.bag', camera() + poses())
        check_poses(open_dataset(tmp_path))

    def test_bag_beside_the_same_data_in_files(self, tmp_path):
        """As the downloads of EuRoC are."""
        euroc(tmp_path)
        write_ros1_bag(tmp_path / 'MH_01_easy.bag', camera() + poses())
        assert open_dataset(tmp_path).frames[0].name == '100000000000.png'

    def test_folder_with_several_names_them(self, tmp_path):
        for name in ('a.bag', 'b.bag'):
            write_ros1_bag(tmp_path / name, camera() + poses())
        with pytest.raises(DatasetError, match=r'several bags; give one of them: a\.bag, b\.bag'):
            open_dataset(tmp_path)

    def test_damaged_says_how_to_repair(self, tmp_path):
        path = write_ros1_bag(tmp_path / 'tour.bag', camera() + poses())
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(DatasetError, match=r'tour\.bag: .*rosbag reindex|is damaged'):
            open_dataset(path)


class TestCalibration:
    @pytest.mark.parametrize('empty', [{'width': 0, 'height': 0}, {}])
    def test_first_that_is_one(self, bag, empty):
        zeros = info(k=np.zeros((3, 3)))
        for name, value in empty.items():
            setattr(zeros, name, value)
        early = Messages([('/cam/camera_info', -0.1 * i, zeros) for i in (1, 2)])
        dataset = open_dataset(bag(camera() + poses() + early))
        assert dataset.frames[0].camera == CAMERA
        (note,) = dataset.notes
        assert 'the calibration is that of message 3 on /cam/camera_info' in note

    def test_given_by_the_user(self, bag):
        path = bag(without(camera(), '/cam/camera_info') + poses())
        given = Camera.pinhole(64, 48, 55.0, 55.0, 31.5, 23.5)
        assert open_dataset(path, camera=given).frames[0].camera == given
        with pytest.raises(CameraError, match=r'images on /cam/image_raw are 64x48.*for 32x24'):
            open_dataset(path, camera=given.scaled(32, 24))

    def test_given_by_the_user_counts_more_than_the_bag(self, bag):
        given = Camera.pinhole(64, 48, 55.0, 55.0, 31.5, 23.5)
        assert open_dataset(bag(camera() + poses()), camera=given).frames[0].camera == given

    @pytest.mark.parametrize('empty', [True, False])
    def test_file_in_the_folder(self, bag, empty):
        messages = without(camera(), '/cam/camera_info') + poses()
        if empty:
            messages.entries.append(('/cam/camera_info', 0.0, info(k=np.zeros((3, 3)))))
        path = bag(messages)
        write_calibration(path / 'calibration.yaml', Calibration(CAMERA))
        dataset = open_dataset(path)
        assert dataset.frames[0].camera == CAMERA
        assert 'the camera is that of calibration.yaml' in dataset.notes[0]

    def test_none_says_what_to_do(self, bag):
        path = bag(without(camera(), '/cam/camera_info') + poses())
        with pytest.raises(CameraError, match=r'tour: has no camera_info; .*--camera FILE'):
            open_dataset(path)


class TestStamps:
    def unstamped(self, message: Any) -> Any:
        message.header.stamp = make('builtin_interfaces/msg/Time', sec=0, nanosec=0)
        return message

    def test_zeros_everywhere_give_way_to_the_time_of_receipt(self, bag):
        messages = camera('/cam/image_raw', lambda s: self.unstamped(image(s))) + poses(
            '/pose', lambda s, pose: self.unstamped(pose_stamped(s, pose))
        )
        dataset = open_dataset(bag(messages))
        assert [round(frame.stamp - BEGIN, 6) for frame in dataset.frames] == [
            0.05,
            0.15,
            0.25,
            0.35,
        ]
        # Poses are logged 10 ms after they were taken.
        np.testing.assert_allclose(
            dataset.frames[0].world_from_cam, world_from_cam(0.04), atol=1e-6
        )
        (note,) = dataset.notes
        assert 'images on /cam/image_raw have no time stamp' in note

    def test_of_images_alone(self, bag):
        messages = camera('/cam/image_raw', lambda s: self.unstamped(image(s))) + tf()
        dataset = open_dataset(bag(messages))
        np.testing.assert_allclose(
            dataset.frames[0].world_from_cam, world_from_cam(0.05), atol=2e-4
        )

    def test_of_some_images(self, bag):
        def some(seconds: float) -> Any:
            return image(seconds) if seconds > 0.15 else self.unstamped(image(seconds))

        dataset = open_dataset(bag(camera('/cam/image_raw', some) + poses()))
        assert [round(frame.stamp - BEGIN, 6) for frame in dataset.frames] == [0.2, 0.3]
        assert dataset.skipped[0] == (f'/cam/image_raw, received {BEGIN}.050000: has no time stamp')

    def test_of_poses_alone(self, bag):
        messages = camera() + poses('/pose', lambda s, pose: self.unstamped(pose_stamped(s, pose)))
        dataset = open_dataset(bag(messages))
        assert [round(frame.stamp - BEGIN, 6) for frame in dataset.frames] == [
            0.0,
            0.1,
            0.2,
            0.3,
            0.4,
        ]


class TestPixels:
    def test_gray_of_16_bits_alone_is_the_picture(self, bag):
        dataset = open_dataset(
            bag(
                camera('/ir/image_raw', gray16) + poses(),
            )
        )
        assert dataset.frames[0].image()[0, 0].tolist() == [156] * 3

    def test_gray_of_12_bits_in_16_is_said_to_be_dark(self, bag):
        def dark(seconds: float) -> Any:
            message = gray16(seconds)
            message.data = np.full(48 * 64, 4000, '<u2').view(np.uint8)
            return message

        (note,) = open_dataset(bag(camera('/ir/image_raw', dark) + poses())).notes
        assert 'images on /ir/image_raw are almost black (at most 16 of 255)' in note

    @pytest.mark.parametrize('topic', ['/cam/depth', '/cam/ir'])
    def test_gray_of_16_bits_beside_a_picture_is_not(self, bag, topic):
        check_poses(open_dataset(bag(camera() + camera(topic, gray16) + poses())))

    def test_depth_alone_is_named(self, bag):
        path = bag(camera('/a/depth', gray16) + camera('/b/image', depth) + poses())
        with pytest.raises(DatasetError, match=r'taken for depth: /a/depth, /b/image.; record'):
            open_dataset(path)

    def test_nv12(self, bag):
        def nv12(seconds: float) -> Any:
            message = image(seconds)
            message.encoding, message.step = 'nv12', 64
            message.data = np.concatenate(
                [np.full(48 * 64, 81, np.uint8), np.tile(np.uint8([90, 240]), 24 * 32)]
            )
            return message

        dataset = open_dataset(bag(camera(of=nv12) + poses()))
        np.testing.assert_allclose(dataset.frames[0].image()[20, 20], [255, 0, 0], atol=3)

    def test_video_names_topic_format_and_remedy(self, bag):
        def video(seconds: float) -> Any:
            message = compressed(seconds)
            message.format, message.data = 'h264', np.zeros(100, np.uint8)
            return message

        path = bag(camera('/cam/image_raw/compressed', video) + poses())
        with pytest.raises(
            ImageError,
            match=r"tour: /cam/image_raw/compressed: .*'h264'.*only JPEG and PNG are read",
        ):
            open_dataset(path)

    @pytest.mark.parametrize('broken', ['short', 'small'])
    def test_first_image_that_is_not_like_the_others(self, bag, broken):
        def of(seconds: float) -> Any:
            if seconds > 0.05:
                return image(seconds)
            message = image(seconds, IMAGE[:24, :32] if broken == 'small' else IMAGE)
            message.data = message.data[: 24 * 96]
            return message

        dataset = open_dataset(bag(camera(of=of) + poses()))
        assert dataset.frames[0].camera == CAMERA
        dataset.frames[1].image()
        with pytest.raises(ImageError):
            dataset.frames[0].image()

    def test_other_transports_are_named(self, tmp_path):
        kind = 'foxglove_msgs/msg/CompressedVideo'
        definition = (
            'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format'
        )
        store = get_typestore(Stores.ROS2_JAZZY)
        store.register(get_types_from_msg(definition, kind))
        with Writer(tmp_path / 'tour', version=9) as writer:
            video = writer.add_connection('/cam/video', kind, typestore=store)
            writer.write(video, BEGIN, bytes(40))
        with pytest.raises(
            DatasetError, match=r'/cam/video is foxglove_msgs/msg/CompressedVideo, wh'
        ):
            open_dataset(tmp_path / 'tour')


class TestStorage:
    def test_a_folder_that_is_named_as_a_bag_of_ros1(self, bag):
        path = bag(camera() + poses())
        named = path.rename(path.parent / 'drive.bag')
        check_poses(open_dataset(named))

    @pytest.mark.parametrize('plugin', list(StoragePlugin))
    @pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE])
    def test_compressed_without_metadata(self, bag, plugin, mode):
        if plugin is StoragePlugin.MCAP and mode is CompressionMode.FILE:
            pytest.skip('mcap compresses by itself')
        path = bag(camera() + poses(), plugin, mode=mode, fmt=CompressionFormat.ZSTD)
        check_poses(open_dataset(path))
        (path / 'metadata.yaml').unlink()
        check_poses(open_dataset(path))
        (file,) = path.iterdir()
        dataset = open_dataset(file)
        assert dataset.name == file.name.split('.')[0]
        check_poses(dataset)
        np.testing.assert_array_equal(dataset.frames[0].image(), IMAGE)

    def test_compressed_file_that_is_damaged(self, bag):
        path = bag(camera() + poses(), mode=CompressionMode.FILE, fmt=CompressionFormat.ZSTD)
        (path / 'metadata.yaml').unlink()
        (file,) = path.iterdir()
        file.write_bytes(file.read_bytes()[:200])
        with pytest.raises(DatasetError, match=r'db3\.zstd: cannot be unpacked .*zstd -d'):
            open_dataset(path)

    def test_file_without_message_index(self, bag, monkeypatch):
        """As with rosbag2's option noMessageIndex; the library finds no message then."""
        read_index = storage_mcap.McapReader.read_index

        def forget(reader):
            read_index(reader)
            for chunk in reader.chunks:
                chunk.channel_count.clear()

        monkeypatch.setattr(storage_mcap.McapReader, 'read_index', forget)
        path = bag(camera() + poses(), StoragePlugin.MCAP)
        with pytest.raises(
            DatasetError, match=r'counts 5 messages on /cam/image_raw.*mcap recover'
        ):
            open_dataset(path)

    def test_empty(self, tmp_path):
        with Writer(tmp_path / 'tour', version=9):
            pass
        with pytest.raises(DatasetError, match='counts no messages on any of its 0 topics'):
            open_dataset(tmp_path / 'tour')


def test_odometry_child_frame_with_a_slash(bag):
    path = bag(camera() + poses('/odom', odometry, '/camera'))
    check_poses(open_dataset(path))
    check_poses(open_dataset(path, BagTopics(poses=PoseChoice(frame='/camera'))))


class TestMotionCapture:
    def test_transforms_are_poses(self, bag):
        check_poses(open_dataset(bag(camera() + poses('/vicon', transform_stamped))))

    def test_count_only_where_nothing_else_does_or_when_named(self, bag):
        def other(seconds: float, pose: np.ndarray) -> Any:
            return transform_stamped(seconds, pose @ pose)

        path = bag(camera() + poses() + poses('/vicon', other))
        check_poses(open_dataset(path))
        named = open_dataset(path, BagTopics(poses=PoseChoice(topic='/vicon')))
        assert abs(named.frames[3].world_from_cam - world_from_cam(0.3)).max() > 0.1
