"""Two cameras on one robot, recorded as one and mapped together."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from harness import wait_until
from mapper_robot import CAMERA, Mapper, again, picture, pose_at
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.rig import read_rig
from aceg_ros.datasets.rig_recording import RIG_NAME
from aceg_ros.geometry.poses import inverse, make_pose, so3_exp
from aceg_ros.lab.worlds import record
from aceg_ros.maps.file import read_map
from aceg_ros.ros.messages import camera_info, to_stamp
from aceg_ros.ros.middleware.bridge import from_depth, from_rgb
from aceg_ros.ros.status_values import values_of

SIDES = 'front', 'rear'
TOPICS = [f'/{side}/image_raw' for side in SIDES]
FOLDERS = [f'{side}.image_raw' for side in SIDES]
BASE_FROM_CAMERA = {
    'front': make_pose(so3_exp([-1.3, 0.4, -1.0]), [0.3, -0.2, 0.8]),
    'rear': make_pose(so3_exp([-1.3, 0.4, -1.0]) @ so3_exp([0.0, 0.6, 0.0]), [0.1, 0.2, 0.7]),
}


class TwoEyedRobot:
    """Its base is known in the map; TF has where the cameras are on it."""

    def __init__(self, ros) -> None:
        self.ros = ros
        for side in SIDES:
            ros.send_transform('base', f'{side}_eye', BASE_FROM_CAMERA[side])

    def step(self, stamp: float, base: np.ndarray, *sides: str, show=None, camera=CAMERA) -> None:
        """Stand at a pose (4, 4) of the base, and see there what ``show`` gives of a side."""
        for when in (stamp - 0.1, stamp + 0.1):
            self.ros.send_transform('map', 'base', base, to_stamp(when))
        time.sleep(0.05)
        for number, side in enumerate(sides):
            header = Header(stamp=to_stamp(stamp), frame_id=f'{side}_eye')
            rgb = picture(round(10 * stamp) + number) if show is None else show(side)
            info = self.ros.publisher(CameraInfo, f'/{side}/camera_info', QoSProfile(depth=1))
            info.publish(camera_info(header, camera))
            time.sleep(0.01)
            images = self.ros.publisher(Image, f'/{side}/image_raw', QoSProfile(depth=1))
            images.publish(from_rgb(rgb, header))

    def drive(self, mapper: Mapper, stamps, *sides: str) -> None:
        """Step by step, until all that the sides see is recorded."""
        for index, stamp in enumerate(stamps):
            pose = pose_at(index)
            again(
                lambda at=stamp, base=pose: self.step(at, base, *sides),
                lambda at=stamp: all(at in stamps_of(mapper.folder, side) for side in sides),
                f'keyframes {stamp}',
            )


def stamps_of(folder: Path, side: str) -> list[float]:
    """Of the keyframes of a camera; none while there is no recording."""
    index = folder / f'{side}.image_raw' / 'poses.txt'
    lines = index.read_text().splitlines()[1:] if index.is_file() else []
    return [float(line.split()[0]) for line in lines]


@pytest.fixture(scope='module')
def robot(ros, shared_mapper) -> TwoEyedRobot:
    return TwoEyedRobot(ros)


@pytest.fixture(scope='module')
def shared_mapper(start_mapper) -> Mapper:
    topics = f'[{", ".join(TOPICS)}]'
    return start_mapper(
        pose_source='tf', rig_images=topics, budget=4.0, tokens=256, keyframe_translation=0.0
    )


def test_records_each_camera(mapper, robot, ros):
    clouds = ros.collect(PointCloud2, '/aceg_mapper/scene_points')
    assert mapper.switch('record', True)[0]
    robot.drive(mapper, (50.0, 51.0, 52.0), *SIDES)
    robot.drive(mapper, (53.0,), 'front')
    dataset = open_dataset(mapper.folder)
    assert [frame.name.split('/')[0] for frame in dataset.frames] == [*FOLDERS * 3, FOLDERS[0]]
    for index, frame in enumerate(dataset.frames[:6]):
        expected = pose_at(index // 2) @ BASE_FROM_CAMERA[SIDES[index % 2]]
        np.testing.assert_allclose(frame.world_from_cam, expected, atol=1e-6)
    rig = read_rig(mapper.folder / RIG_NAME, lambda path, _: open_dataset(path))
    rear_in_front = inverse(BASE_FROM_CAMERA['front']) @ BASE_FROM_CAMERA['rear']
    for moment in rig.moments():
        np.testing.assert_allclose(moment.rig_from_cam, [np.eye(4), rear_in_front], atol=1e-6)
    mapper.wait_for_status('no image on /rear/image_raw', lambda: time.sleep(0.1))
    mapper.diagnostics.clear()
    mapper.wait_for_report('camera /rear/image_raw', 'no image on /rear/image_raw')
    assert '7 keyframes' in mapper.statuses.messages[-1].data
    wait_until(lambda: bool(clouds.messages), what='scene points')

    backup = mapper.trigger('reset')[1]
    assert 'recording.backup-1' in backup
    assert len(open_dataset(mapper.folder.with_name('recording.backup-1'))) == 7
    assert not mapper.folder.exists()


def test_a_keyframe_of_each_camera_on_request(mapper, robot):
    answers: list[tuple[bool, str]] = []

    def ask(*sides: str) -> Callable[[], None]:
        stamps = iter(np.arange(100.0, 200.0))

        def act() -> None:
            call = Thread(target=lambda: answers.append(mapper.trigger('add_keyframe')))
            call.start()
            while call.is_alive():
                robot.step(float(next(stamps)), pose_at(0), *sides)
            call.join()

        return act

    again(ask(*SIDES), lambda: bool(answers) and answers[-1][0], 'keyframes')
    for topic in TOPICS:
        assert f'{topic}: ' in answers[-1][1]
    # An image of the other one may still be on its way.
    silent = '/rear/image_raw: no keyframe was added'
    again(ask('front'), lambda: silent in answers[-1][1], 'silence')
    assert answers[-1][0]


def test_maps_all_cameras(mapper, robot, room, room_camera, views, tmp_path):
    assert mapper.switch('record_and_map', True)[0]
    bases = [frame.world_from_cam for frame in views[:8]]
    seen = {
        side: record(
            room, room_camera, np.stack(bases) @ BASE_FROM_CAMERA[side], supersample=1
        ).frames
        for side in SIDES
    }
    for index, base in enumerate(bases):
        stamp = 300.0 + index

        def look(at: float = stamp, base: np.ndarray = base, index: int = index) -> None:
            shown = {side: seen[side][index].image() for side in SIDES}
            robot.step(at, base, *SIDES, show=shown.__getitem__, camera=room_camera)

        again(
            look,
            lambda at=stamp: all(at in stamps_of(mapper.folder, side) for side in SIDES),
            f'keyframes {stamp}',
        )
    assert mapper.switch('record_and_map', False)[0]
    end = values_of(mapper.finished())
    assert end['state'] == 'done'
    assert int(end['recorded']) == 16
    code = read_map(tmp_path / 'place.aceg')
    assert len(code.keyframes) > 8


def test_depth_of_one_of_them(start_mapper, robot, ros):
    mapper = start_mapper(
        name='deep_mapper',
        pose_source='tf',
        rig_images=f'[{", ".join(TOPICS)}]',
        rig_depth="[/front/depth, '']",
        use_depth=True,
        keyframe_translation=0.0,
    )
    depths = ros.publisher(Image, '/front/depth', QoSProfile(depth=5))
    assert mapper.switch('record', True)[0]

    def step() -> None:
        header = Header(stamp=to_stamp(500.0), frame_id='front_eye')
        depths.publish(from_depth(np.full((48, 64), 1.5, np.float32), header))
        robot.step(500.0, pose_at(0), *SIDES)

    again(step, lambda: all(stamps_of(mapper.folder, side) for side in SIDES), 'keyframes')
    front, rear = open_dataset(mapper.folder).frames
    assert front.depth()[9, 9] == 1.5
    assert rear.depth() is None
    assert mapper.process.stop() == 0
