"""The newest image and its calibration, over DDS."""

from __future__ import annotations

import time
from threading import Thread

import cv2
import numpy as np
import pytest
from harness import LATCHED, wait_until
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from aceg_ros.errors import CameraError, ImageError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix
from aceg_ros.ros.camera_health import CameraHealth
from aceg_ros.ros.camera_input import CameraInput
from aceg_ros.ros.messages import camera_info, to_stamp
from aceg_ros.ros.middleware.bridge import from_rgb
from aceg_ros.ros.middleware.diagnostics import Level

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
# As messages have it: all coefficients, each of them zero.
CAMERA = Camera('plumb_bob', 8, 6, intrinsic_matrix(10.0, 10.0, 3.5, 2.5), np.zeros(5))


class Rig:
    """An input under test and a camera for it, on topics of their own."""

    def __init__(self, ros, name, **options):
        self.ros, self.name = ros, name
        options = {'compressed': False, 'rectified': False, 'reliability': RELIABLE} | options
        self.node = Node('rig', namespace=name, context=ros.node.context)
        ros.node.executor.add_node(self.node)
        self.input = CameraInput(self.node, **options)
        self.input.start()

    def close(self):
        self.input.stop()
        self.ros.node.executor.remove_node(self.node)
        self.node.destroy_node()

    def publish_image(self, value, frame_id='camera', **changes):
        """An image of one color; counts as sent when it has come."""
        header = Header(frame_id=frame_id, stamp=to_stamp(float(value)))
        message = from_rgb(np.full((6, 8, 3), value, np.uint8), header)
        for field, changed in changes.items():
            setattr(message, field, changed)
        self._send(Image, f'/{self.name}/image', message, lambda: self.input.received)

    def publish_info(self, frame_id='camera', camera=CAMERA, **changes):
        message = camera_info(Header(frame_id=frame_id), camera)
        for field, changed in changes.items():
            setattr(message, field, changed)
        infos = self.input._infos
        publisher = self.ros.publisher(CameraInfo, f'/{self.name}/camera_info')
        publisher.publish(message)
        wait_until(lambda: infos.get(frame_id.lstrip('/')) == message)

    def _send(self, kind, topic, message, counter):
        publisher = self.ros.publisher(kind, topic)
        before = counter()
        publisher.publish(message)
        wait_until(lambda: counter() > before)


@pytest.fixture
def rig(ros, request):
    made = Rig(ros, request.node.name)
    yield made
    made.close()


class TestNewest:
    def test_replaces_and_counts(self, rig):
        rig.publish_info()
        for value in (1, 2, 3):
            rig.publish_image(value)
        image, camera = rig.input.take(1.0).decode()
        assert image[0, 0, 0] == 3
        assert camera == CAMERA
        assert (rig.input.received, rig.input.dropped) == (3, 2)
        assert rig.input.take(0.05) is None
        rig.publish_image(4)
        taken = rig.input.take(1.0)
        assert (taken.stamp.sec, taken.frame_id) == (4, 'camera')
        assert rig.input.dropped == 2

    def test_wake(self, rig):
        waker = Thread(target=lambda: (time.sleep(0.2), rig.input.wake()))
        waker.start()
        start = time.monotonic()
        assert rig.input.take(10.0) is None
        assert time.monotonic() - start < 5.0
        waker.join()

    def test_clear(self, rig):
        rig.publish_image(1)
        rig.input.clear()
        assert rig.input.take(0.05) is None
        assert rig.input.age is None

    def test_stopped(self, rig):
        rig.publish_image(1)
        rig.input.stop()
        assert rig.input.take(0.05) is None
        wait_until(lambda: rig.node.count_subscribers(rig.input.topic) == 0)

    def test_rate_and_age(self, rig):
        assert (rig.input.rate, rig.input.age) == (0.0, None)
        for value in range(5):
            rig.publish_image(value)
            time.sleep(0.1)
        assert 0.0 < rig.input.rate < 10.5
        assert rig.input.age > 0.0


class TestReliability:
    @pytest.fixture
    def rig(self, ros, request):
        made = Rig(ros, request.node.name, reliability=None)
        yield made
        made.close()

    def offer(self, rig, kind, topic, reliability):
        qos = QoSProfile(depth=1, reliability=reliability)
        return rig.ros.node.create_publisher(kind, f'/{rig.name}/{topic}', qos)

    def subscribed(self, rig):
        """None while one subscription takes the place of another."""
        infos = rig.ros.node.get_subscriptions_info_by_topic(f'/{rig.name}/image')
        return infos[0].qos_profile.reliability if len(infos) == 1 else None

    def test_follows_the_publishers(self, rig):
        wait_until(lambda: self.subscribed(rig) == BEST_EFFORT)
        first = self.offer(rig, Image, 'image', RELIABLE)
        wait_until(lambda: self.subscribed(rig) == RELIABLE)
        second = self.offer(rig, Image, 'image', BEST_EFFORT)
        wait_until(lambda: self.subscribed(rig) == BEST_EFFORT)
        rig.ros.node.destroy_publisher(second)
        wait_until(lambda: self.subscribed(rig) == RELIABLE)
        rig.publish_image(1)
        rig.ros.node.destroy_publisher(first)

    def test_reliable_at_once_where_the_publisher_is_known(self, rig):
        rig.input.stop()
        publisher = self.offer(rig, Image, 'image', RELIABLE)
        wait_until(lambda: rig.node.count_publishers(rig.input.topic) == 1)
        rig.input.start()
        assert self.subscribed_soon(rig) == RELIABLE
        rig.ros.node.destroy_publisher(publisher)

    def subscribed_soon(self, rig):
        topic = f'/{rig.name}/image'
        wait_until(lambda: rig.ros.node.count_subscribers(topic) == 1)
        return self.subscribed(rig)

    def test_says_that_a_required_reliability_is_not_offered(self, ros):
        rig = Rig(ros, 'required', reliability=RELIABLE)
        publisher = self.offer(rig, Image, 'image', BEST_EFFORT)
        wait_until(lambda: 'set image_qos to auto' in rig.input.hint)
        rig.close()
        ros.node.destroy_publisher(publisher)


class TestLoss:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr('aceg_ros.ros.camera_input._PATIENCE', 0.3)

    def lose(self, rig, until):
        """Publish calibrations without their images."""

        def lost():
            rig.publish_info()
            return until()

        wait_until(lost)

    def test_of_all_images_shows_in_the_calibrations(self, rig):
        health = CameraHealth(rig.input, lambda: 0.1, rig.node.get_logger())
        publisher = rig.ros.publisher(Image, f'/{rig.name}/image', QoSProfile(depth=1))
        self.lose(rig, lambda: rig.input.losing)
        words = health.report().message
        assert words.startswith(f'no image on /{rig.name}/image yet; 0 of about ')
        assert words.endswith('have the camera publish them compressed')
        publisher.publish(Image())  # for the others of this topic

    def test_of_most_images_is_a_warning_with_a_remedy(self, rig):
        health = CameraHealth(rig.input, lambda: 10.0, rig.node.get_logger())
        rig.publish_info()
        rig.publish_image(1)
        assert health.report().level is Level.OK
        rig.input._on_lost(20)  # as the middleware says
        wait_until(lambda: health.report().level is Level.WARN)
        told = health.report()
        assert '1 of about 21 images arrived' in told.message
        assert told.values['lost'] == 20

    def test_calibrations_alone_are_no_loss_where_images_come(self, rig):
        """A camera whose images are throttled, and its calibrations are not."""
        rig.publish_image(1)
        for _ in range(20):
            rig.publish_info()
        rig.input._look()
        assert not rig.input.losing

    def test_compressed_images_take_their_place(self, rig):
        raw = rig.ros.publisher(Image, f'/{rig.name}/image', QoSProfile(depth=1))
        compressed = rig.ros.node.create_publisher(
            CompressedImage, f'/{rig.name}/image/compressed', 1
        )
        topic = f'/{rig.name}/image/compressed'
        self.lose(rig, lambda: rig.input.topic == topic)
        wait_until(lambda: compressed.get_subscription_count() == 1)
        assert raw.get_subscription_count() == 0
        picture = cv2.imencode('.png', np.full((6, 8, 3), 7, np.uint8))[1].tobytes()
        header = Header(frame_id='camera', stamp=to_stamp(5.0))
        compressed.publish(CompressedImage(header=header, format='png', data=picture))
        image, camera = rig.input.take(5.0).decode()
        assert (image[0, 0, 0], camera) == (7, CAMERA)
        rig.ros.node.destroy_publisher(compressed)
        wait_until(lambda: rig.input.topic == f'/{rig.name}/image')

    def test_nobody_publishes(self, ros):
        rig = Rig(ros, 'nobody')
        wait_until(lambda: rig.input.hint == 'nobody publishes there')
        rig.close()

    def test_only_raw_images_where_compressed_ones_are_asked_for(self, ros):
        rig = Rig(ros, 'onlyraw', compressed=True)
        raw = ros.node.create_publisher(Image, '/onlyraw/image', 1)
        wait_until(lambda: 'set compressed to false' in rig.input.hint)
        rig.close()
        ros.node.destroy_publisher(raw)


class TestCalibration:
    def test_none_yet(self, rig, monkeypatch):
        rig.publish_image(1)
        assert rig.input.take(0.05) is None, 'the first calibration may still be on its way'
        assert (rig.input.received, rig.input.dropped) == (1, 1)
        monkeypatch.setattr('aceg_ros.ros.camera_input.CALIBRATION_PATIENCE', 0.0)
        rig.publish_image(2)
        with pytest.raises(CameraError, match=r'no calibration came on /.*/camera_info yet'):
            rig.input.take(1.0).decode()

    def test_of_another_frame(self, rig):
        rig.publish_info('left')
        rig.publish_image(1, 'right')
        with pytest.raises(CameraError, match=r"of frame 'right', calibrations on .* of left"):
            rig.input.take(1.0).decode()

    @pytest.mark.parametrize('frames', [('', 'camera'), ('camera', '')])
    def test_frame_without_name(self, ros, frames):
        rig = Rig(ros, f'unnamed{bool(frames[0])}')
        rig.publish_info(frames[0])
        rig.publish_image(1, frames[1])
        rig.input.take(1.0).decode()
        rig.close()

    def test_of_two_cameras_on_one_topic(self, rig):
        rig.publish_info('left')
        rig.publish_info('right', CAMERA.scaled(16, 12))
        rig.publish_image(1, 'left')
        assert rig.input.take(1.0).decode()[1] == CAMERA

    @pytest.mark.parametrize('frames', [('/camera', 'camera'), ('camera', '/camera')])
    def test_slash_before_the_name_of_a_frame(self, ros, frames):
        """As ROS 1 had it, and bridges from it."""
        rig = Rig(ros, f'slash{frames[0].count("/")}')
        rig.publish_info(frames[0])
        rig.publish_image(1, frames[1])
        taken = rig.input.take(1.0)
        assert taken.decode()[1] == CAMERA
        assert taken.frame_id == 'camera'
        rig.close()

    def test_published_once_before_the_node_came(self, ros):
        publisher = ros.node.create_publisher(CameraInfo, '/late/camera_info', LATCHED)
        publisher.publish(camera_info(Header(frame_id='camera'), CAMERA))
        rig = Rig(ros, 'late')
        wait_until(lambda: ros.node.count_publishers('/late/camera_info'))

        def heard():
            rig.publish_image(1)
            return rig.input._infos

        wait_until(heard)
        rig.publish_image(2)
        assert rig.input.take(1.0).decode()[1] == CAMERA
        rig.close()
        ros.node.destroy_publisher(publisher)

    def test_published_once_holds_when_the_camera_is_started_again(self, rig):
        rig.publish_info()
        rig.input.stop()
        rig.input.start()
        rig.publish_image(1)
        assert rig.input.take(1.0).decode()[1] == CAMERA

    def test_zeros_after_it_replace_nothing(self, rig):
        rig.publish_info()
        zeros = camera_info(Header(frame_id='camera'), CAMERA)
        zeros.k = np.zeros(9)
        zeros.p = np.zeros(12)
        rig.input._on_info(zeros)
        rig.publish_image(1)
        assert rig.input.take(1.0).decode()[1] == CAMERA

    def test_of_another_size_is_scaled(self, rig):
        rig.publish_info(camera=CAMERA.scaled(16, 12))
        rig.publish_image(1)
        assert rig.input.take(1.0).decode()[1] == CAMERA

    def test_of_another_shape(self, rig):
        rig.publish_info(camera=CAMERA.scaled(16, 6))
        rig.publish_image(1)
        with pytest.raises(CameraError, match='another shape'):
            rig.input.take(1.0).decode()

    def test_zeros(self, rig):
        rig.publish_info(k=np.zeros(9))
        rig.publish_image(1)
        with pytest.raises(CameraError, match='not calibrated'):
            rig.input.take(1.0).decode()

    def test_rectified(self, ros):
        rig = Rig(ros, 'rectified', rectified=True)
        turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        rig.publish_info(
            k=[99.0, 0.0, 1.0, 0.0, 99.0, 1.0, 0.0, 0.0, 1.0], d=[9.0] * 5, r=turn.ravel()
        )
        rig.publish_image(1)
        taken = rig.input.take(1.0)
        np.testing.assert_array_equal(taken.decode()[1].K, CAMERA.K)
        np.testing.assert_allclose(taken.camera_from_optical()[:3, :3], turn)
        rig.close()


class TestImages:
    @pytest.mark.parametrize(
        'changes', [{'encoding': 'nonsense'}, {'height': 60}, {'height': 0}, {'step': 3}]
    )
    def test_of_no_use(self, ros, changes):
        rig = Rig(ros, 'bad')
        rig.publish_info()
        rig.publish_image(1, **changes)
        with pytest.raises(ImageError):
            rig.input.take(1.0).decode()
        rig.close()

    def test_compressed_topic_follows_the_remapping(self, ros):
        node = Node(
            'remapped',
            context=ros.node.context,
            cli_args=['--ros-args', '-r', 'image:=/front/color'],
        )
        camera = CameraInput(node, True, False)
        assert camera.topic == '/front/color/compressed'
        camera.start()
        found = dict(node.get_topic_names_and_types())
        assert found['/front/color/compressed'] == ['sensor_msgs/msg/CompressedImage']
        node.destroy_node()

    def test_best_effort_hears_reliable(self, ros):
        rig = Rig(ros, 'effort', reliability=BEST_EFFORT)
        rig.publish_info()
        rig.publish_image(5)
        assert rig.input.take(1.0).stamp.sec == 5
        rig.close()
