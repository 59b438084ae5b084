"""Transforms from another process: between, before, after, not at all."""

from __future__ import annotations

import time
from threading import Thread

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from frames_node import BASE_FROM_CAMERA, TIMES, odom_from_base
from processes import HELPERS

from aceg_ros.errors import TransformError
from aceg_ros.geometry.poses import inverse
from aceg_ros.ros.messages import to_stamp
from aceg_ros.ros.middleware.tf import Transforms, TransformSender

MIDDLE = to_stamp(sum(TIMES) / 2)


@pytest.fixture(scope='module')
def sending(ros):
    """The process that sends."""
    return ros.start(str(HELPERS / 'frames_node.py'))


@pytest.fixture(scope='module')
def transforms(ros, sending):
    """A listener that has heard all."""
    listener = Transforms(ros.node)
    listener.lookup('odom', 'camera', MIDDLE, timeout=60.0)
    listener.lookup('elsewhere', 'thing', to_stamp(TIMES[0]), timeout=60.0)
    return listener


class TestKnown:
    def test_static_at_any_time(self, transforms):
        for stamp in (1.0, 1e9):
            found = transforms.lookup('base', 'camera', to_stamp(stamp))
            np.testing.assert_allclose(found, BASE_FROM_CAMERA, atol=1e-12)

    @pytest.mark.parametrize('stamp', [100.0, 100.1, 100.25, 100.4])
    def test_chain_between_stamps(self, transforms, stamp):
        expected = odom_from_base(stamp) @ BASE_FROM_CAMERA
        found = transforms.lookup('odom', 'camera', to_stamp(stamp))
        np.testing.assert_allclose(found, expected, atol=1e-6)
        back = transforms.lookup('camera', 'odom', to_stamp(stamp))
        np.testing.assert_allclose(back, inverse(expected), atol=1e-6)

    def test_to_itself(self, transforms):
        np.testing.assert_array_equal(transforms.lookup('base', 'base', MIDDLE), np.eye(4))


class TestTop:
    @pytest.mark.parametrize(
        ('frame', 'below', 'top'),
        [
            ('camera', (), 'odom'),
            ('camera', ('odom',), 'base'),
            ('camera', ('base', 'odom'), 'camera'),
            ('odom', ('map',), 'odom'),
            ('nothing', (), 'nothing'),
        ],
    )
    def test_of_a_frame(self, transforms, frame, below, top):
        assert transforms.top(frame, below) == top


class TestUnknown:
    @pytest.mark.parametrize(
        ('target', 'source', 'stamp'),
        [
            ('odom', 'base', 99.9),
            ('odom', 'base', 100.5),
            ('odom', 'nothing', 100.2),
            ('odom', 'thing', 100.0),
            ('odom', 'broken', 100.0),
        ],
    )
    def test_refused(self, transforms, target, source, stamp):
        with pytest.raises(TransformError):
            transforms.lookup(target, source, to_stamp(stamp))

    def test_names_frames_that_there_are(self, transforms):
        known = 'base, camera, elsewhere, odom, thing'
        for frames in (('odom', 'nothing'), ('nothing', 'odom')):
            with pytest.raises(TransformError, match=f"no frame 'nothing'; it has: {known}"):
                transforms.lookup(*frames, MIDDLE)

    def test_time_zero(self, transforms):
        with pytest.raises(TransformError, match='at time 0'):
            transforms.lookup('odom', 'base', Time())


class TestWaiting:
    def test_as_long_as_told(self, transforms):
        start = time.monotonic()
        with pytest.raises(TransformError):
            transforms.lookup('odom', 'base', to_stamp(200.0), timeout=0.3)
        assert 0.25 < time.monotonic() - start < 20.0

    def test_until_it_comes(self, ros, transforms):
        stamp = to_stamp(300.0)
        sending = TransformSender(ros.node)
        # After the lookup has begun.
        sender = Thread(
            target=lambda: (time.sleep(0.3), sending.send('odom', 'late', np.eye(4), stamp))
        )
        sender.start()
        start = time.monotonic()
        transforms.lookup('odom', 'late', stamp, timeout=60.0)
        assert time.monotonic() - start < 50.0
        sender.join()
        sending.close()


class TestSenders:
    def test_are_the_other_nodes(self, ros, sending, transforms):
        own = TransformSender(ros.node)
        (sender,) = transforms.senders()
        assert (sender, transforms.senders('/tf_static')) == ('/frames', {'/frames'})
        own.close()


class TestClear:
    def test_what_moved_is_forgotten(self, ros, sending, transforms):
        # Last: the process that sends ends here.
        assert sending.stop() == 0
        transforms.clear()
        with pytest.raises(TransformError):
            transforms.lookup('odom', 'base', MIDDLE)
        found = transforms.lookup('base', 'camera', MIDDLE)
        np.testing.assert_allclose(found, BASE_FROM_CAMERA, atol=1e-12)
