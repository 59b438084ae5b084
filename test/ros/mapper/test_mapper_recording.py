"""Recording through the services, whatever happens meanwhile."""

from __future__ import annotations

import resource
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from harness import LATCHED, wait_until
from mapper_robot import CAMERA, picture, pose_at, recorded
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from aceg_ros.datasets import open_dataset
from aceg_ros.geometry.cameras import Camera
from aceg_ros.ros.messages import to_stamp


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

    def test_nothing_while_stopped(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        mapper.switch('record', False)
        for index in range(3):
            robot.step(t + 1 + index, pose_at(3 + index))
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t + 10], first=9)
        assert recorded(mapper.folder) == [t, t + 10]

    def test_same_view_is_taken_once(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        for index in range(5):
            robot.step(t + 0.5 + 0.1 * index, pose_at(0.1))
            time.sleep(0.05)
        robot.drive(mapper.folder, [t + 2], first=5)
        assert recorded(mapper.folder) == [t, t + 2]

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


class TestAddKeyframe:
    def test_takes_the_next_image_in_any_case(self, mapper, robot, t):
        """Though nothing is being recorded, and the view is there already."""
        for _ in range(2):
            with ThreadPoolExecutor() as pool:
                answer = pool.submit(mapper.trigger, 'add_keyframe')
                while not answer.done():
                    t += 0.5
                    robot.step(t, pose_at(0))
                    time.sleep(0.1)
            ok, words = answer.result()
            assert ok, words
        stamps = recorded(mapper.folder)
        assert len(stamps) == 2
        assert words == f'{stamps[1]:.6f}.jpg; 2 keyframes'

    def test_no_image(self, mapper):
        ok, words = mapper.trigger('add_keyframe')
        assert not ok
        assert 'no image on /image' in words

    def test_no_pose(self, mapper, robot, t):
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(mapper.trigger, 'add_keyframe')
            while not answer.done():
                t += 0.1
                robot.image(t)
                time.sleep(0.1)
        ok, words = answer.result()
        assert not ok
        assert 'there is no pose for time' in words or 'no pose came on /pose' in words


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
    @pytest.mark.parametrize(
        ('service', 'reason'),
        [
            ('fit', 'at least 5'),
            ('cancel', 'no fit is running'),
            ('save', 'no map to save'),
        ],
    )
    def test_nothing_recorded(self, mapper, service, reason):
        ok, words = mapper.trigger(service)
        assert not ok
        assert reason in words

    def test_record_and_map_without_beginning(self, mapper):
        ok, words = mapper.switch('record_and_map', False)
        assert not ok
        assert 'call with true first' in words

    def test_record_and_map_twice(self, mapper):
        assert mapper.switch('record_and_map', True)[0]
        ok, words = mapper.switch('record_and_map', True)
        assert not ok
        assert 'stop it first' in words

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

    def test_another_recording_while_recording(self, mapper, tmp_path):
        mapper.switch('record', True)
        accepted, reason = mapper.set(recording=str(tmp_path / 'other'))
        assert not accepted
        assert 'stop it first' in reason


class TestDiagnostics:
    def test_recording_and_a_camera_and_a_pose_source_that_stop(self, mapper, robot, t, ros):
        reports = ros.collect(DiagnosticArray, '/diagnostics')

        def wait_for(part: str, level: bytes, words: str) -> None:
            reports.wait_for(
                lambda message: any(
                    status.name == f'aceg_mapper: {part}'
                    and status.level == level
                    and words in status.message
                    for status in message.status
                ),
                5.0,
            )

        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        wait_for('recording', DiagnosticStatus.OK, 'recording')
        stopped = time.monotonic()
        wait_for('camera', DiagnosticStatus.STALE, 'no image on /image for')
        wait_for('poses', DiagnosticStatus.STALE, 'no pose from /pose for')
        assert time.monotonic() - stopped < 3.5
        wait_for('fit', DiagnosticStatus.OK, 'nothing was fitted yet')


class TestBadInput:
    def test_pose_source_stops(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        robot.image(t + 3)
        assert 'the last is 2.980 s earlier' in mapper.wait_for_status('there is no pose')
        robot.drive(mapper.folder, [t + 4], first=3)
        assert recorded(mapper.folder) == [t, t + 4]

    def test_pose_source_jumps(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        robot.pose(t + 0.1, pose_at(0))
        robot.image(t + 0.15)
        robot.pose(t + 0.2, pose_at(50))
        assert 'the pose jumped by 5.00 m' in mapper.wait_for_status('jumped')
        robot.drive(mapper.folder, [t + 0.5], first=50)
        assert recorded(mapper.folder) == [t, t + 0.5]

    def test_poses_of_another_frame(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        robot.pose(t + 0.9, pose_at(5), frame='odom')
        robot.image(t + 1)
        mapper.wait_for_status("in frame 'odom' now, no longer in 'map'")
        robot.drive(mapper.folder, [t + 2], first=9)

    def test_clock_set_back(self, mapper, robot, t):
        """As a bag that is played in a loop: views are the same, and so are their stamps."""
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t, t + 5, t + 10])
        robot.step(t, pose_at(0))
        mapper.process.wait_for_output('stamps of images went back by 10.0 s')
        robot.step(t + 5, pose_at(7))
        mapper.wait_for_status('two frames have the same time stamp')
        robot.drive(mapper.folder, [t + 6], first=4)
        assert recorded(mapper.folder) == [t, t + 5, t + 6, t + 10]

    def test_zero_calibration(self, mapper, robot, t, ros):
        mapper.switch('record', True)
        stamp = to_stamp(t)
        zero = CameraInfo(header=Header(stamp=stamp, frame_id='zero'), width=64, height=48)
        ros.publisher(CameraInfo, 'camera_info').publish(zero)
        time.sleep(0.1)
        robot.pose(t - 0.1, pose_at(0))
        robot.pose(t + 0.1, pose_at(0))
        message = Image(
            header=Header(stamp=stamp, frame_id='zero'),
            width=64,
            height=48,
            step=192,
            encoding='rgb8',
            data=bytes(64 * 48 * 3),
        )
        ros.publisher(Image, 'image').publish(message)
        mapper.wait_for_status('not calibrated')
        robot.drive(mapper.folder, [t + 1], first=2)

    def test_truncated_image(self, mapper, robot, t, ros):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        for stamp in (t + 0.9, t + 1.1):
            robot.pose(stamp, pose_at(5))
        broken = Image(
            header=Header(stamp=to_stamp(t + 1), frame_id='camera'),
            width=64,
            height=48,
            step=192,
            encoding='rgb8',
            data=bytes(100),
        )
        ros.publisher(Image, 'image').publish(broken)
        mapper.wait_for_status('image is truncated')
        robot.drive(mapper.folder, [t + 2], first=9)

    def test_another_camera(self, mapper, robot, t):
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        zoomed = Camera.pinhole(64, 48, 90.0, 90.0, 31.5, 23.5)
        robot.step(t + 1, pose_at(3), camera=zoomed)
        mapper.wait_for_status('another camera or calibration')
        robot.drive(mapper.folder, [t + 2], first=6)

    def test_full_disk(self, mapper, robot, t):
        """Recording stops with a reason, what is recorded stays, and it can go on."""
        mapper.switch('record', True)
        robot.drive(mapper.folder, [t])
        limits = resource.prlimit(mapper.process.pid, resource.RLIMIT_FSIZE)
        noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
        assert mapper.process.log.stat().st_size < 50_000
        resource.prlimit(mapper.process.pid, resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            large = Camera.pinhole(640, 480, 500.0, 500.0, 319.5, 239.5)
            mapper.switch('record', False)
            other = mapper.folder.with_name('large')
            mapper.set(recording=str(other))
            mapper.switch('record', True)
            robot.step(t + 1, pose_at(3), rgb=noise, camera=large)
            assert 'File too large' in mapper.wait_for_status('recording stopped')
        finally:
            resource.prlimit(mapper.process.pid, resource.RLIMIT_FSIZE, limits)
        assert recorded(other) == []
        ok, _ = mapper.switch('record', True)
        assert ok
        robot.step(t + 2, pose_at(4), rgb=noise, camera=large)
        wait_until(lambda: recorded(other) == [t + 2], 5.0)
        assert recorded(mapper.folder) == [t]
