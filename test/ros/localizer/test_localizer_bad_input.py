"""What cameras do wrong: a clear message, no wrong pose, and the next good image counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from harness import TIMEOUT, Collector
from robot import ANY_MOTION, Localizer, Robot, near
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from aceg_ros.ros.localizer.options import PARAMETERS
from aceg_ros.ros.messages import camera_info, pose_of, to_seconds

IMAGE_TIMEOUT = 0.8
LOST_AFTER = next(each.default for each in PARAMETERS if each.name == 'lost_after')


@pytest.fixture(scope='module')
def robot(ros, queries) -> Robot:
    return Robot(ros, queries)


@pytest.fixture(scope='module')
def localizer(ros, robot, room_map) -> Iterator[Localizer]:
    """On a camera that hangs on nothing, which TF mode `auto` finds out."""
    localizer = Localizer(
        ros, map=room_map, image_timeout=IMAGE_TIMEOUT, relocalize_timeout=60.0, **ANY_MOTION
    )
    robot.wake(localizer)
    yield localizer
    assert localizer.process.stop() == 0


@pytest.fixture
def localized(localizer, robot) -> Localizer:
    """One that was just localized."""
    with robot.standing(0):
        assert localizer.relocalize().success
    localizer.statuses.clear()
    return localizer


@pytest.fixture(scope='module')
def diagnostics(ros) -> Collector:
    return ros.collect(DiagnosticArray, '/diagnostics')


def status_of(message: DiagnosticArray, part: str) -> DiagnosticStatus | None:
    """The status of a part of the node, if the message has it."""
    return next((each for each in message.status if each.name.endswith(f': {part}')), None)


def reports(part: str, level: bytes, words: str = '') -> Callable[[DiagnosticArray], bool]:
    """A condition on messages of /diagnostics."""

    def holds(message: DiagnosticArray) -> bool:
        status = status_of(message, part)
        return status is not None and status.level == level and words in status.message

    return holds


def odd_encoding(image: Image, info: CameraInfo) -> None:
    image.encoding = 'no_such_encoding'


def depth_for_color(image: Image, info: CameraInfo) -> None:
    image.encoding = '32FC3'


def cut_off(image: Image, info: CameraInfo) -> None:
    image.data = image.data[: len(image.data) // 2]


def no_pixels(image: Image, info: CameraInfo) -> None:
    image.width = image.height = image.step = 0
    image.data = b''


def not_calibrated(image: Image, info: CameraInfo) -> None:
    info.k = np.zeros(9)


def calibration_of_another_image(image: Image, info: CameraInfo) -> None:
    info.height *= 2


def calibration_of_another_camera(image: Image, info: CameraInfo) -> None:
    image.header.frame_id = 'rear_camera'


def no_stamp(image: Image, info: CameraInfo) -> None:
    image.header.stamp = Time()


def test_camera_by_itself_is_not_waited_for(localizer):
    """Nobody sends transforms that could say what it is mounted on."""
    localizer.process.wait_for_output('map_to_camera: poses are those of camera')
    said = [message.data for message in localizer.statuses.messages]
    assert not [words for words in said if 'waiting up to' in words or 'no calibration' in words]


@pytest.mark.parametrize(
    ('harm', 'words'),
    [
        (odd_encoding, 'no_such_encoding'),
        (depth_for_color, '32FC3'),
        (cut_off, 'bytes'),
        (no_pixels, 'image'),
        (not_calibrated, 'calibrat'),
        (calibration_of_another_image, 'another shape'),
        (calibration_of_another_camera, 'rear_camera'),
        (no_stamp, 'time stamp'),
    ],
)
def test_image_that_cannot_be_used(localized, robot, diagnostics, harm, words):
    diagnostics.clear()
    written = len(localized.process.output)
    stamps = []
    deadline = time.monotonic() + TIMEOUT
    while not localized.status.startswith('waiting_for_images'):
        assert time.monotonic() < deadline, localized.process.output
        image = robot.image(0)
        info = camera_info(image.header, robot.camera)
        info.header = Header(stamp=image.header.stamp, frame_id='camera')
        harm(image, info)
        # An image may come before its calibration, and go with the last one.
        robot.calibrate(info)
        time.sleep(0.1)
        stamps.append(robot.publish(image, info))
    assert words in localized.status
    # Once in the log, and with the state; not with every image.
    said = localized.status.split(': ', 1)[1]
    assert localized.process.output[written:].count(said) <= 2
    diagnostics.wait_for(reports('camera', DiagnosticStatus.ERROR, words))
    with robot.standing(0):
        assert localized.relocalize().success
        last = localized.poses.wait_for(lambda message: message.header.stamp not in stamps)
    assert near(pose_of(last), robot.map_from_camera(0))
    assert not any(message.header.stamp in stamps for message in localized.poses.messages)


def test_one_bad_image_among_good_ones_changes_no_state(localized, robot):
    # Good images may come late where the machine is busy.
    localized.set(image_timeout=60.0, lost_after=60.0)
    with robot.standing(0):
        localized.poses.wait()
        localized.statuses.clear()
        image = robot.image(0)
        cut_off(image, CameraInfo())
        robot.publish(image)
        localized.poses.clear()
        localized.poses.wait(3)
    localized.set(image_timeout=IMAGE_TIMEOUT, lost_after=LOST_AFTER)
    for message in localized.statuses.messages:
        assert message.data.startswith('localized')


def test_camera_that_stops(localized, robot, diagnostics):
    diagnostics.clear()
    with robot.standing(0):
        diagnostics.wait_for(reports('camera', DiagnosticStatus.OK, 'images come'))
        diagnostics.wait_for(reports('localization', DiagnosticStatus.OK, 'localized'))
    diagnostics.clear()
    told = diagnostics.wait_for(reports('camera', DiagnosticStatus.STALE, 'no image on /image for'))
    # By the node's own clock; "... for 1.2 s".
    assert float(status_of(told, 'camera').message.split()[-2]) < 2.0
    diagnostics.wait_for(reports('localization', DiagnosticStatus.STALE))
    localized.wait_for('waiting_for_images', 'no image on /image for')
    localized.pose_at(robot.show(0))


def test_image_older_than_the_last_is_left_out(localized, robot):
    late = robot.stamp()
    localized.pose_at(robot.show(0))
    robot.show(0, late)
    localized.pose_at(robot.show(0))
    assert late not in [message.header.stamp for message in localized.poses.messages]


def test_time_of_the_images_that_starts_anew(localized, robot):
    """A recording played in a loop, without a clock."""
    now = int(time.time())
    localized.pose_at(robot.show(0, Time(sec=now + 100)))
    localized.pose_at(robot.show(0, Time(sec=now + 20)))
    assert 'the time of the images jumped back' in localized.process.output
    localized.pose_at(robot.show(1, Time(sec=now + 21)))
    localized.pose_at(robot.show(1))


def test_more_images_than_it_can_work_on(localized, robot, diagnostics):
    """The newest is worked on, others are dropped and counted."""
    diagnostics.clear()
    with robot.standing(0, rate=60.0):
        time.sleep(1.0)
        ages, times = [], []
        for _ in range(8):
            localized.poses.clear()
            stamp = localized.poses.wait()[0].header.stamp
            times.append(time.time())
            ages.append(times[-1] - to_seconds(stamp))
        seen: list[int] = []

        def dropped(message: DiagnosticArray) -> bool:
            status = status_of(message, 'camera')
            values = {} if status is None else {each.key: each.value for each in status.values}
            seen.append(int(values.get('dropped', 0)))
            return seen[-1] > 5

        diagnostics.wait_for(dropped)
    # In a queue images would grow older and older.
    assert np.median(ages) < 2.0 * np.median(np.diff(times)) + 0.2


def test_still_going(localizer):
    assert localizer.process.alive
    assert 'Traceback' not in localizer.process.output
