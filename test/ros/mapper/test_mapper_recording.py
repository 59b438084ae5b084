"""Recording through the services, whatever happens meanwhile."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from harness import LATCHED, wait_until
from mapper_robot import CAMERA, again, picture, pose_at, recorded
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from aceg_ros.datasets import open_dataset
from aceg_ros.geometry.cameras import Camera
from aceg_ros.ros.mapper.origin import localizers
from aceg_ros.ros.messages import to_seconds
from aceg_ros.ros.middleware.bridge import to_rgb
from aceg_ros.ros.status_values import values_of


def images_seen(mapper) -> int:
    """Images that have come to the mapper."""
    mapper.diagnostics.clear()
    return int(values_of(mapper.wait_for_report('camera', ''))['images'])


class TestRecord:
    def test_keyframes_are_on_disk_at_once(self, mapper, robot, t):
        ok, words = mapper.switch('record', True)
        assert ok
        assert str(mapper.folder) in words
        robot.drive(mapper.folder, [t, t + 0.5, t + 1])
        frames = open_dataset(mapper.folder).frames
        assert frames[0].camera == CAMERA
        for index, frame in enumerate(frames):
            np.testing.assert_allclose(frame.world_from_cam, pose_at(index), atol=1e-6)
        difference = frames[2].image().astype(int) - picture(round(10 * t) + 10)
        assert np.abs(difference).mean() < 12  # JPEG
        ok, words = mapper.switch('record', False)
        assert ok
        assert '3 keyframes' in words

    def test_neither_what_is_there_already_nor_while_stopped(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        seen = images_seen(mapper)
        robot.step(t + 1, pose_at(0.1))
        wait_until(lambda: images_seen(mapper) > seen)
        mapper.switch('record', False)
        robot.step(t + 2, pose_at(3))
        wait_until(lambda: images_seen(mapper) > seen + 1)
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t + 10], first=9)
        assert recorded(mapper.folder) == [t, t + 10]

    def test_asked_for_what_is_so_already(self, mapper):
        ok, words = mapper.switch('record', False)
        assert ok
        assert 'already' in words
        mapper.switch('record', True)
        ok, words = mapper.switch('record', True)
        assert ok
        assert 'already' in words

    def test_place_that_cannot_be_written(self, mapper, tmp_path):
        (tmp_path / 'file').write_text('')
        assert mapper.set(recording=str(tmp_path / 'file' / 'r'))[0]
        ok, words = mapper.switch('record', True)
        assert not ok
        assert 'cannot record there' in words

    def test_shown_in_rviz(self, mapper, robot, t, ros):
        markers = ros.collect(MarkerArray, 'aceg_mapper/keyframes', LATCHED)
        ros.collect(PointCloud2, 'aceg_mapper/scene_points', LATCHED).wait()
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t, t + 1])

        def shows_two(message: MarkerArray) -> bool:
            (marker,) = message.markers
            return len(marker.points) == 2 * 16 and marker.header.frame_id == 'map'

        markers.wait_for(shows_two)

    def test_image_with_the_state_in_words(self, mapper, robot, t, ros):
        pictures = ros.collect(Image, 'aceg_mapper/debug_image')
        pictures.wait()  # there are words without images too

        def of_the_robot() -> list[Image]:
            return [each for each in pictures.messages if to_seconds(each.header.stamp) in sent]

        sent: list[float] = []
        mapper.switch('record', True)

        def step() -> None:
            sent.append(t + len(sent))
            robot.step(sent[-1], pose_at(len(sent)))

        again(step, of_the_robot, 'an image with words')
        shown = of_the_robot()[0]
        plain = picture(round(10 * to_seconds(shown.header.stamp)))
        assert (to_rgb(shown)[30:] == plain[30:]).all()
        assert (to_rgb(shown)[:10] != plain[:10]).any()


def add_keyframe(mapper, act: Callable[[], None]) -> tuple[bool, str]:
    """Ask for a keyframe, and act until there is an answer."""
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(mapper.trigger, 'add_keyframe')
        while not answer.done():
            act()
            time.sleep(0.1)
    return answer.result()


class TestAddKeyframe:
    def test_takes_the_next_image_in_any_case(self, mapper, robot, t):
        """Though nothing is being recorded, and the view is there already."""
        stamps = (t + 0.5 * step for step in count())
        mapper.set(add_keyframe_timeout=30.0)
        for number in (1, 2):
            ok, words = add_keyframe(mapper, lambda: robot.step(next(stamps), pose_at(0)))
            assert ok, words
            assert words == f'{max(recorded(mapper.folder)):.6f}.jpg; {number} keyframes'
        mapper.set(add_keyframe_timeout=1.0)
        assert len(recorded(mapper.folder)) == 2

    def test_no_image(self, mapper):
        ok, words = mapper.trigger('add_keyframe')
        assert not ok
        assert 'no image on /image' in words

    def test_no_pose(self, mapper, robot, t):
        def refused() -> bool:
            ok, words = add_keyframe(mapper, lambda: robot.image(t))
            assert not ok
            return 'there is no pose for time' in words or 'no pose came on /pose' in words

        wait_until(refused)


class TestReset:
    def test_keeps_a_backup(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t, t + 1])
        ok, words = mapper.trigger('reset')
        assert ok
        backup = mapper.folder.with_name('recording.backup-1')
        assert str(backup) in words
        assert recorded(backup) == [t, t + 1]
        assert not mapper.folder.exists()
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])

    def test_nothing_to_reset(self, mapper):
        assert mapper.trigger('reset') == (True, 'there was nothing recorded')


class TestWrongStates:
    def test_nothing_recorded(self, mapper):
        for service, reason in (
            ('fit', 'at least 5'),
            ('cancel', 'no fit is running'),
            ('save', 'no map to save'),
        ):
            ok, words = mapper.trigger(service)
            assert not ok
            assert reason in words
        ok, words = mapper.switch('record_and_map', False)
        assert not ok
        assert 'call with true first' in words

    def test_begun_twice(self, mapper, tmp_path):
        assert mapper.switch('record_and_map', True)[0]
        ok, words = mapper.switch('record_and_map', True)
        assert not ok
        assert 'stop it first' in words
        accepted, reason = mapper.set(recording=str(tmp_path / 'other'))
        assert not accepted
        assert 'stop it first' in reason

    def test_too_little_to_map(self, mapper, robot, t):
        """What was recorded is kept, and can be added to."""
        mapper.switch('record_and_map', True)
        robot.drive(mapper.folder, [t, t + 1])
        ok, words = mapper.switch('record_and_map', False)
        assert not ok
        assert '2 keyframes' in words
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t + 2], first=2)
        assert len(recorded(mapper.folder)) == 3

    @pytest.mark.parametrize(
        ('name', 'value', 'reason'),
        [
            ('recording', '~no_such_user/place', 'give an absolute path'),
            ('map', '/', 'give a path below it'),
            ('budget', 0.0, 'budget'),
        ],
    )
    def test_parameter_that_cannot_be(self, mapper, name, value, reason):
        accepted, words = mapper.set(**{name: value})
        assert not accepted
        assert reason in words


class TestDiagnostics:
    def test_recording_and_a_camera_and_a_pose_source_that_stop(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        mapper.diagnostics.clear()
        mapper.wait_for_report('recording', 'recording')
        silent = mapper.wait_for_report('camera', 'no image')
        assert silent.level == DiagnosticStatus.STALE
        # By the node's own clock; "... for 1.2 s".
        assert float(silent.message.split()[-2]) < 2.0
        stopped = mapper.wait_for_report('poses', 'no pose')
        assert stopped.level == DiagnosticStatus.STALE
        mapper.wait_for_report('fit', 'nothing was fitted yet')

    def test_trouble_with_the_camera_shows_before_anything_is_recorded(self, mapper, robot, t):
        for harm, level, words in (
            (not_calibrated, DiagnosticStatus.ERROR, 'not calibrated'),
            (nothing, DiagnosticStatus.OK, 'images come'),
        ):
            mapper.diagnostics.clear()

            def shown(harm=harm, level=level, words=words) -> bool:
                robot.image(t, frame='eye', harm=harm)
                reports = mapper.reports('camera')
                return any(each.level == level and words in each.message for each in reports)

            wait_until(shown, what=words)


def nothing(image: Image, info: CameraInfo) -> None:
    pass


def odd_encoding(image: Image, info: CameraInfo) -> None:
    image.encoding = 'no_such_encoding'


def cut_off(image: Image, info: CameraInfo) -> None:
    image.data = image.data[:100]


def no_pixels(image: Image, info: CameraInfo) -> None:
    image.width = image.height = image.step = 0
    image.data = b''


def no_stamp(image: Image, info: CameraInfo) -> None:
    image.header.stamp = Time()


def not_calibrated(image: Image, info: CameraInfo) -> None:
    info.k = np.zeros(9)


def calibration_of_zeros(image: Image, info: CameraInfo) -> None:
    not_calibrated(image, info)
    info.width = info.height = 0


def calibration_of_another_image(image: Image, info: CameraInfo) -> None:
    info.height *= 2


def calibration_of_another_camera(image: Image, info: CameraInfo) -> None:
    info.header = Header(stamp=info.header.stamp, frame_id='rear_camera')


class TestBadInput:
    """A reason in the status, nothing recorded is lost, and the next good image counts."""

    @pytest.mark.parametrize(
        ('harm', 'words'),
        [
            (odd_encoding, 'no_such_encoding'),
            (cut_off, 'image is truncated'),
            (no_pixels, 'there are no pixels'),
            (no_stamp, 'no time stamp'),
            (not_calibrated, 'not calibrated'),
            (calibration_of_zeros, 'size 0x0'),
            (calibration_of_another_image, 'another shape'),
            (calibration_of_another_camera, "are of frame 'calibration_of_another_camera'"),
        ],
    )
    def test_image_of_no_use(self, mapper, robot, t, harm, words):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        # Each in a frame of its own, which has no calibration yet.
        frame = harm.__name__

        def step() -> None:
            robot.step(t + 1, pose_at(5), frame=frame, harm=harm)

        mapper.wait_for_status(words, step)
        robot.drive(mapper.folder, [t + 2], first=9)
        assert recorded(mapper.folder) == [t, t + 2]

    def test_another_camera(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        zoomed = {'camera': Camera.pinhole(64, 48, 90.0, 90.0, 31.5, 23.5), 'frame': 'zoomed'}
        mapper.wait_for_status(
            'another camera or calibration', lambda: robot.step(t + 1, pose_at(3), **zoomed)
        )
        robot.drive(mapper.folder, [t + 2], first=6)
        assert recorded(mapper.folder) == [t, t + 2]

    def test_pose_source_stops(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        mapper.wait_for_status('the last is 2.980 s earlier', lambda: robot.image(t + 3))
        robot.drive(mapper.folder, [t + 4], first=3)
        assert recorded(mapper.folder) == [t, t + 4]

    def test_pose_source_jumps(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])

        def jump() -> None:
            robot.pose(t + 0.1, pose_at(0))
            robot.image(t + 0.15)
            robot.pose(t + 0.2, pose_at(50))

        mapper.wait_for_status('the pose jumped by 5.00 m', jump)
        robot.drive(mapper.folder, [t + 1], first=50)
        assert recorded(mapper.folder) == [t, t + 1]

    def test_poses_of_another_frame(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])

        def elsewhere() -> None:
            robot.pose(t + 0.9, pose_at(5), frame='odom')
            robot.image(t + 1)

        mapper.wait_for_status("in frame 'odom' now, no longer in 'map'", elsewhere)
        robot.drive(mapper.folder, [t + 2], first=9)

    @pytest.mark.parametrize('name', ['/ended', '_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_'])
    def test_a_node_that_ended_or_has_no_name_yet(self, ros, name):
        assert localizers(ros.node, [name]) == []

    def test_poses_of_a_localizer(self, ros, mapper, robot, t):
        """Its errors would go into the map; a localizer is known by its services."""
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        assert 'the localizer' not in mapper.statuses.messages[-1].data
        service = ros.node.create_service(Trigger, '/probe/relocalize', lambda _, answer: answer)
        words = 'poses may come from the localizer /probe'

        def warned() -> bool:  # poses go on: that they are missing would be reported instead
            robot.step(t, pose_at(0))
            return any(words in each.message for each in mapper.reports('poses'))

        try:
            mapper.diagnostics.clear()
            wait_until(warned, what=f'report {words!r}')
            told = next(each for each in mapper.reports('poses') if words in each.message)
            assert told.level == DiagnosticStatus.WARN
            mapper.process.wait_for_output(words)
        finally:
            ros.node.destroy_service(service)
        wait_until(lambda: 'the localizer' not in mapper.reports('poses')[-1].message)

    def test_clock_set_back(self, mapper, robot, t):
        """As a bag that is played in a loop: views are the same, and so are their stamps."""
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t, t + 5, t + 10])
        mapper.wait_for_status(
            'two frames have the same time stamp', lambda: robot.step(t + 5, pose_at(7))
        )
        assert 'stamps of images went back by 5.0 s' in mapper.process.output
        robot.drive(mapper.folder, [t + 6], first=4)
        assert recorded(mapper.folder) == [t, t + 5, t + 6, t + 10]

    def test_full_disk(self, mapper, robot, t):
        """Recording stops with a reason, what is recorded stays, and it can go on."""
        large = Camera.pinhole(640, 480, 500.0, 500.0, 319.5, 239.5)
        noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
        mapper.switch('record', True)
        robot.stay(mapper.folder, t, pose_at(0), camera=large, frame='large', rgb=picture(0, 10))
        limits = resource.prlimit(mapper.process.pid, resource.RLIMIT_FSIZE)
        assert mapper.process.log.stat().st_size < 50_000
        resource.prlimit(mapper.process.pid, resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:

            def step() -> None:
                robot.step(t + 1, pose_at(3), rgb=noise, camera=large, frame='large')

            mapper.wait_for_status('recording stopped', step)
            assert 'File too large' in mapper.statuses.messages[-1].data
            ok, words = mapper.switch('record_and_map', False)
            assert not ok
            assert 'for a map of the 1 keyframes' in words
        finally:
            resource.prlimit(mapper.process.pid, resource.RLIMIT_FSIZE, limits)
        assert recorded(mapper.folder) == [t]
        ok, _ = mapper.switch('record', True)
        assert ok
        robot.stay(mapper.folder, t + 2, pose_at(4), camera=large, frame='large', rgb=255 - noise)
        assert recorded(mapper.folder) == [t, t + 2]
