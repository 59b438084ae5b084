"""`aceg play` in a process of its own, and what arrives of it."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from aceg_ros.cli.main import main
from aceg_ros.datasets import Dataset, RecordingWriter, open_dataset
from aceg_ros.datasets.camera_info import camera_from_info
from aceg_ros.errors import AcegError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.ros.messages import pose_of, to_seconds, transform_from_message
from aceg_ros.ros.middleware.bridge import to_depth, to_rgb
from aceg_ros.ros.player import PlayOptions, play

FRAMES = 12
START, STEP = 500.0, 0.1
CAMERA = Camera('plumb_bob', 64, 48, [[60, 0, 31], [0, 61, 23], [0, 0, 1]], [0.1, 0, 0, 0, 0])


def picture(index, width=64, height=48):
    """A ramp in the color of its index."""
    ramp = np.linspace(0, 1, width)[None, :, None] * np.ones((height, 1, 1))
    return (ramp * [250 - 10 * index, 120, 10 * index]).astype(np.uint8)


def pose(index):
    return make_pose(so3_exp([0.0, 0.1 * index, 0.0]), [float(index), 0.0, 1.0])


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """12 frames, 0.1 s apart, with depth."""
    folder = tmp_path_factory.mktemp('player') / 'recording'
    writer = RecordingWriter(folder, CAMERA)
    for index in range(FRAMES):
        depth = np.full((48, 64), 1.0 + index, np.float32)
        writer.add(picture(index), pose(index), START + STEP * index, depth)
    return folder


KINDS = {
    'image': Image,
    'image/compressed': CompressedImage,
    'camera_info': CameraInfo,
    'depth': Image,
    'pose': PoseStamped,
}


class Player:
    """A run of the command, and collectors of its topics."""

    def __init__(self, ros, dataset, *options, namespace):
        self.topics = {
            topic: ros.collect(kind, f'/{namespace}/{topic}') for topic, kind in KINDS.items()
        }
        self.clock = ros.collect(Clock, '/clock')
        self.tf = ros.collect(TFMessage, f'/{namespace}/tf')
        arguments = ['play', str(dataset), *options, '--namespace', namespace, '--wait']
        self.process = ros.start('aceg_ros', *arguments)

    def stamps(self, topic='image'):
        return np.array([to_seconds(m.header.stamp) for m in self.topics[topic].messages])


class TestMessages:
    @pytest.fixture(scope='class')
    def player(self, ros, recording):
        options = ['--clock', '--poses', '--tf', '--speed', '2', '--frame-id', 'eye']
        player = Player(ros, recording, *options, namespace='messages')
        assert player.process.wait() == 0, player.process.output
        player.topics['image'].wait(FRAMES)
        return player

    def test_all_of_them(self, player):
        counts = {name: len(topic.messages) for name, topic in player.topics.items()}
        assert counts == {
            'image': FRAMES,
            'image/compressed': 0,
            'camera_info': FRAMES,
            'depth': FRAMES,
            'pose': FRAMES,
        }
        assert f'{FRAMES} images published' in player.process.output

    def test_pixels_and_calibration(self, player):
        for index, message in enumerate(player.topics['image'].messages):
            assert message.header.frame_id == 'eye'
            np.testing.assert_array_equal(to_rgb(message), picture(index))
        info = player.topics['camera_info'].messages[0]
        assert camera_from_info(info, False, 64, 48) == CAMERA
        depths = [to_depth(message)[0, 0] for message in player.topics['depth'].messages]
        np.testing.assert_allclose(depths, 1.0 + np.arange(FRAMES))

    def test_stamps_are_the_datasets(self, player):
        expected = START + STEP * np.arange(FRAMES)
        for topic in ('image', 'camera_info', 'depth', 'pose'):
            np.testing.assert_allclose(player.stamps(topic), expected, atol=1e-6)

    def test_poses(self, player):
        transforms = [message.transforms[0] for message in player.tf.messages]
        for index, message in enumerate(player.topics['pose'].messages):
            assert message.header.frame_id == 'map'
            np.testing.assert_allclose(pose_of(message), pose(index), atol=1e-6)
            transform = transforms[index]
            assert (transform.header.frame_id, transform.child_frame_id) == ('map', 'eye')
            assert transform.header.stamp == message.header.stamp
            found = transform_from_message(transform.transform)
            np.testing.assert_allclose(found, pose(index), atol=1e-6)

    def test_clock(self, player):
        times = np.array([to_seconds(message.clock) for message in player.clock.messages])
        assert (np.diff(times) >= 0.0).all()
        assert times[0] == pytest.approx(START, abs=0.1)
        assert times[-1] == pytest.approx(START + STEP * (FRAMES - 1), abs=0.1)
        assert len(times) > FRAMES


class TestPace:
    def test_thirty_hertz(self, ros, tmp_path):
        camera = Camera.pinhole(640, 480, 500.0, 500.0, 319.5, 239.5)
        writer = RecordingWriter(tmp_path / 'wide', camera)
        count = 45
        for index in range(count):
            writer.add(picture(index % 20, 640, 480), pose(index), START + index)
        damaged = sorted((tmp_path / 'wide' / 'images').iterdir())[-2]
        damaged.write_bytes(damaged.read_bytes()[:-200])
        player = Player(ros, tmp_path / 'wide', '--rate', '30', namespace='pace')
        assert player.process.wait() == 0, player.process.output
        player.topics['image'].wait(count - 1)
        gaps = np.diff(player.stamps())
        assert np.median(gaps[:-1]) == pytest.approx(1 / 30, abs=1e-6)
        assert gaps[-1] >= 2 / 30 - 1e-6
        assert f'left out: {damaged}' in player.process.output


class TestLoop:
    def test_time_jumps_back(self, ros, recording):
        player = Player(ros, recording, '--loop', '--clock', '--speed', '4', namespace='loop')
        player.topics['image'].wait(2 * FRAMES + 1)
        assert player.process.stop() == 0
        stamps = player.stamps()[: 2 * FRAMES]
        np.testing.assert_allclose(stamps[FRAMES:], stamps[:FRAMES], atol=1e-6)
        times = np.array([to_seconds(message.clock) for message in player.clock.messages])
        jumps = np.diff(times)[np.diff(times) < 0.0]
        assert len(jumps) == 2
        assert (jumps < -0.8 * STEP * FRAMES).all()
        assert 'Traceback' not in player.process.output

    def test_without_clock_time_goes_on(self, ros, recording):
        options = ['--loop', '--rate', '40', '--start', '2', '--every', '5', '--compressed']
        player = Player(ros, recording, *options, namespace='on')
        messages = player.topics['image/compressed'].wait(5)
        assert to_seconds(ros.now()) - to_seconds(messages[0].header.stamp) < 5.0
        assert player.process.stop(signal.SIGTERM) == 0
        gaps = np.diff(player.stamps('image/compressed'))
        assert np.median(gaps) == pytest.approx(1 / 40, abs=1e-6)
        assert gaps.min() > 0.0
        assert not player.topics['image'].messages
        assert messages[0].format.startswith('rgb8; jpeg')
        for message, index in zip(messages, (2, 7, 2, 7, 2), strict=False):
            assert np.abs(to_rgb(message).astype(int) - picture(index)).mean() < 3.0


class TestRefused:
    @pytest.mark.parametrize(
        ('options', 'why'),
        [
            (['--speed', '0'], 'give one above 0'),
            (['--rate', '-3'], 'give a rate above 0'),
            (['--start', '100'], 'no frame'),
        ],
    )
    def test_options(self, recording, options, why, capsys):
        assert main(['play', str(recording), *options]) == 1
        assert why in capsys.readouterr().err

    def test_poses_where_there_are_none(self, recording):
        frames = [replace(frame, world_from_cam=None) for frame in open_dataset(recording).frames]
        with pytest.raises(AcegError, match='frames without a pose'):
            play(Dataset('blind', frames, True), PlayOptions(poses=True), print)

    def test_interrupted_while_it_waits(self, ros, recording):
        process = ros.start('aceg_ros', 'play', str(recording), '--wait', '--namespace', 'alone')
        process.wait_for_output('playing')
        assert process.stop() == 0
        assert 'Traceback' not in process.output
