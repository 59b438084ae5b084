"""What the localizer does with the images of a rig, without any process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.time import Time
from std_msgs.msg import Header

from aceg_ros.errors import DatasetError, TransformError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, pose_to_tum, so3_exp
from aceg_ros.localization.result import Localization
from aceg_ros.maps.code import KnownCamera, as_matrix4
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.localizer.options import PARAMETERS, rig_of
from aceg_ros.ros.localizer.pipeline import Hooks, Pipeline
from aceg_ros.ros.localizer.report import Reports
from aceg_ros.ros.localizer.rig_mounting import RigMounting
from aceg_ros.ros.localizer.statistics import Statistics
from aceg_ros.ros.localizer.tracked_frame import FrameNames, TrackedFrames
from aceg_ros.ros.messages import camera_info, to_seconds, to_stamp
from aceg_ros.ros.middleware.bridge import from_rgb
from aceg_ros.ros.middleware.diagnostics import Level, Report
from aceg_ros.ros.parameter_table import ParameterError
from aceg_ros.tracking.modes import TfMode
from aceg_ros.tracking.tracker import Tracker

CAMERA = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)
LENS = Camera('plumb_bob', 64, 48, CAMERA.K, [-0.1, 0.01])  # as the map knows it
FRONT = make_pose(so3_exp([-1.5, 0.1, -1.4]), [0.3, 0.0, 0.5])
REAR = make_pose(so3_exp([1.5, 0.1, 1.4]), [-0.3, 0.1, 0.5])
NAMES = '/front/image', '/rear/image'
NOW = 10_000.0


class FakeTransforms:
    """Knows transforms of a base, and its odometry: 1 m/s forward."""

    def __init__(self) -> None:
        self.cameras = {'front': FRONT, 'rear': REAR}
        self.odometry = True
        self.asked: list[tuple[str, str]] = []

    def lookup(self, target, source, stamp, timeout=0.0) -> np.ndarray:
        self.asked.append((target, source))
        if (target, source) == ('odom', 'base') and self.odometry:
            return make_pose(np.eye(3), [to_seconds(stamp) - NOW, 0.0, 0.0])
        in_base = {'base': np.eye(4)} | self.cameras
        if target not in in_base or source not in in_base:
            raise TransformError(f'no transform from {source} to {target}')
        return inverse(in_base[target]) @ in_base[source]

    def senders(self, topic: str = '/tf') -> set[str]:
        return {'somebody'}


def image(frame: str, stamp: float = NOW, shade: int = 0, calibrated: bool = True) -> CameraImage:
    header = Header(stamp=to_stamp(stamp), frame_id=frame)
    message = from_rgb(np.full((48, 64, 3), shade, np.uint8), header)
    info = camera_info(header, CAMERA) if calibrated else None
    return CameraImage(message, info, False, 0.0, 'no calibration came')


def frames(transforms: FakeTransforms, mode: TfMode | None, mounts: Any = None) -> TrackedFrames:
    mounting = RigMounting(transforms, 'base', mounts)
    return TrackedFrames(transforms, mode, FrameNames('odom', 'base', ''), mounting)


@pytest.fixture
def transforms() -> FakeTransforms:
    return FakeTransforms()


class TestMounting:
    def test_is_that_of_tf_looked_up_once(self, transforms):
        tracked = frames(transforms, TfMode.MAP_TO_BASE)
        for _ in range(3):
            assert np.allclose(tracked.rig_from_cam(1, image('rear'), 0.0), REAR)
        assert transforms.asked == [('base', 'rear')]
        placed = tracked.locate(image('rear'), 0.0)
        assert placed.frame == 'base'
        np.testing.assert_array_equal(placed.camera_from_body, np.eye(4))

    def test_is_on_the_first_camera_where_that_has_the_pose(self, transforms):
        tracked = frames(transforms, TfMode.MAP_TO_CAMERA)
        with pytest.raises(TransformError, match="those of the rig's first camera"):
            tracked.rig_from_cam(1, image('rear'), 0.0)
        tracked.see(0, image('front'))
        rear = tracked.rig_from_cam(1, image('rear'), 0.0)
        assert np.allclose(rear, inverse(FRONT) @ REAR)
        assert tracked.locate(image('rear'), 0.0).frame == 'front'

    def test_that_is_not_known_is_said(self, transforms):
        del transforms.cameras['rear']
        tracked = frames(transforms, TfMode.MAP_TO_BASE)
        with pytest.raises(TransformError, match='how rear is mounted on base is not known'):
            tracked.rig_from_cam(1, image('rear'), 0.0)
        transforms.cameras['rear'] = REAR
        assert np.allclose(tracked.rig_from_cam(1, image('rear'), 0.0), REAR)

    def test_of_a_file_needs_no_tf(self, transforms):
        transforms.cameras.clear()
        mounts = np.stack([FRONT, REAR])
        tracked = frames(transforms, TfMode.MAP_TO_BASE, mounts)
        assert np.allclose(tracked.rig_from_cam(0, image(''), 0.0), FRONT)
        of_camera = frames(transforms, TfMode.MAP_TO_CAMERA, mounts)
        assert np.allclose(of_camera.rig_from_cam(1, image(''), 0.0), inverse(FRONT) @ REAR)

    @pytest.mark.parametrize(('odometry', 'mode'), [(True, 'map_to_odom'), (False, 'map_to_base')])
    def test_of_a_file_has_auto_find_a_base(self, transforms, odometry, mode):
        transforms.cameras.clear()
        transforms.odometry = odometry
        tracked = frames(transforms, None, np.stack([FRONT, REAR]))
        for second in range(4):
            tracked.decide(image('front', NOW + second), 0.0)
        assert tracked.mode is TfMode(mode)


class TestMotion:
    """The rear image was taken 0.1 s after the front one."""

    def test_is_that_of_odometry(self, transforms):
        tracked = frames(transforms, TfMode.MAP_TO_ODOM)
        moved = tracked.now_from_then(image('front'), image('rear', NOW + 0.1), 0.0)
        assert np.allclose(moved, make_pose(np.eye(3), [0.1, 0.0, 0.0]))

    @pytest.mark.parametrize('mode', [TfMode.MAP_TO_BASE, TfMode.MAP_TO_CAMERA])
    def test_is_not_asked_for_where_there_is_no_odometry(self, transforms, mode):
        tracked = frames(transforms, mode)
        moved = tracked.now_from_then(image('front'), image('rear', NOW + 0.1), 0.0)
        np.testing.assert_array_equal(moved, np.eye(4))
        assert not transforms.asked

    def test_is_none_while_odometry_is_missing(self, transforms):
        transforms.odometry = False
        tracked = frames(transforms, TfMode.MAP_TO_ODOM)
        moved = tracked.now_from_then(image('front'), image('rear', NOW + 0.1), 0.0)
        np.testing.assert_array_equal(moved, np.eye(4))


class Bench:
    """A pipeline for two cameras, with a map that answers what it is told."""

    def __init__(self, transforms: FakeTransforms) -> None:
        self.said: list[dict[int, str]] = []
        self.warned: list[str] = []
        self.asked: list[Any] = []  # rigs
        self.fixes: list[Any] = []
        self.drawn: list[Any] = []
        self.depths: list[Any] = [None, None]  # inputs of the cameras
        self.given: list[Any] = []  # depths of the images
        self.statistics = Statistics(2)
        tracker = Tracker()
        tracker.map_loaded('loaded')
        self.loaded = loaded = SimpleNamespace(
            name='hall', place='hall', frame='map', known_camera=KnownCamera
        )
        maps = SimpleNamespace(
            current=SimpleNamespace(
                metric=True,
                set=SimpleNamespace(localize_rig=self._localize, note=''),
                by_name={'hall': loaded},
            ),
            problem='',
        )
        known = {
            'tf_timeout': lambda: 0.0,
            'outdated': lambda: False,
            'begins': lambda: False,
            'examined': self.said.append,
        }
        hooks = Hooks(
            **{name: known.get(name, lambda *_: None) for name in Hooks.__dataclass_fields__}
        )
        outputs = SimpleNamespace(
            publish_fix=lambda image, placement, fix, loaded: self.fixes.append(fix),
            publish_inliers=lambda *_: None,
            publish_debug_image=lambda views, *_: self.drawn.append(views),
        )
        self._pipeline = Pipeline(
            maps,
            tracker,
            frames(transforms, TfMode.MAP_TO_ODOM),
            outputs,
            self.statistics,
            hooks,
            SimpleNamespace(now=lambda: Time(nanoseconds=round((NOW + 2) * 1e9))),
            SimpleNamespace(
                warning=lambda words, **_: self.warned.append(words), info=lambda words: None
            ),
            NAMES,
            self.depths,
        )
        health = SimpleNamespace(report=lambda unusable: Report(Level.OK, 'images come'))
        cameras = SimpleNamespace(health=[health] * 2, names=NAMES, apart=lambda number: '')
        self.reports = Reports(tracker, maps, cameras, self.statistics, lambda: True, lambda: '')

    def show(self, *images: CameraImage) -> None:
        """Of the cameras in order."""
        self._pipeline(dict(enumerate(images)))

    def _localize(self, images, rig, prior=None, first=None, depths=None) -> Localization:
        """A pose that rests on the last of the images."""
        assert len(images) == len(depths) == len(rig.cameras)
        self.asked.append(rig)
        self.given += depths
        points = np.random.default_rng(0).uniform(1, 3, (20, 3))
        cameras = np.full(20, len(images) - 1)
        return Localization(
            np.eye(4),
            np.eye(6) * 1e-4,
            points[:, :2],
            points,
            np.ones(20),
            np.ones(20, bool),
            confidence=0.9,
            map_name='hall',
            cameras=cameras,
        )


@pytest.fixture
def bench(transforms) -> Bench:
    return Bench(transforms)


class TestPipeline:
    def test_asks_for_the_base_with_all_images(self, bench):
        bench.show(image('front'), image('rear', shade=1))
        (rig,) = bench.asked
        assert np.allclose(rig.rig_from_cam, [FRONT, REAR])
        (fix,) = bench.fixes
        assert fix.stamp == NOW
        np.testing.assert_allclose(fix.map_from_body, np.eye(4), atol=1e-12)
        np.testing.assert_allclose(fix.covariance, np.eye(6) * 1e-4, atol=1e-12)

    def test_depth_of_those_cameras_that_have_it(self, bench):
        depth = np.ones((4, 4), np.float32)
        bench.depths[1] = SimpleNamespace(find=lambda image, camera: depth, problem='')
        bench.show(image('front'), image('rear', shade=1))
        assert bench.given[0] is None
        assert bench.given[1] is depth

    def test_takes_the_motion_between_images_into_account(self, bench):
        bench.show(image('front'), image('rear', NOW + 0.01))
        moved = make_pose(np.eye(3), [0.01, 0.0, 0.0])
        assert np.allclose(bench.asked[0].rig_from_cam[1], moved @ REAR)

    def test_names_the_cameras_that_a_pose_rests_on(self, bench):
        bench.show(image('front'), image('rear'))
        assert bench.statistics.cameras_of_fix == '/rear/image'
        assert bench.reports.localization().values['cameras'] == '/rear/image'
        assert 'cameras /rear/image, confidence 0.900' in bench.reports.localization().message

    def test_draws_cameras_as_the_map_knows_them(self, bench):
        mount = make_pose(np.eye(3), [0.0, 0.02, 0.0])
        bench.loaded.known_camera = lambda camera: KnownCamera(LENS, as_matrix4(mount))
        bench.show(image('front'), image('rear'))
        ((front, rear),) = bench.drawn
        assert front.camera == rear.camera == LENS
        np.testing.assert_allclose(rear.rig_from_cam, REAR @ mount)

    def test_leaves_an_image_out_that_cannot_be_used(self, bench):
        bench.show(image('front', calibrated=False), image('rear'))
        assert bench.said == [{0: 'no calibration came', 1: ''}]
        assert np.allclose(bench.asked[0].rig_from_cam, [REAR])
        assert bench.statistics.cameras_of_fix == '/rear/image'
        assert [each.unusable for each in bench.statistics.of_cameras] == [1, 0]

    def test_has_nothing_to_ask_with_where_no_image_can_be_used(self, bench):
        bench.show(image('front', calibrated=False), image('rear', calibrated=False))
        assert not bench.asked
        assert set(bench.said[0].values()) == {'no calibration came'}

    def test_leaves_a_camera_out_that_nothing_places(self, bench, transforms):
        del transforms.cameras['rear']
        for second in range(2):
            bench.show(image('front', NOW + second, second), image('rear', NOW + second, second))
        assert np.allclose(bench.asked[0].rig_from_cam, [FRONT])
        assert bench.reports.camera(0).level is Level.OK
        told = bench.reports.camera(1)
        assert told.level is Level.ERROR
        assert 'how rear is mounted on base is not known' in told.message
        warned = [words for words in bench.warned if 'is left out' in words]
        assert len(warned) == 1, 'once, not with each image'
        transforms.cameras['rear'] = REAR
        bench.show(image('front', NOW + 2, 2), image('rear', NOW + 2, 2))
        assert bench.reports.camera(1).level is Level.OK
        assert len(bench.asked[-1].rig_from_cam) == 2

    def test_says_why_where_no_camera_is_placed(self, bench, transforms):
        transforms.cameras.clear()
        bench.show(image('front'), image('rear'))
        assert not bench.asked
        assert 'how front is mounted' in bench.reports.localization().message
        assert 'how rear is mounted' in bench.reports.localization().message

    def test_a_camera_that_hangs_while_the_robot_moves_is_left_out(self, bench):
        bench.show(image('front'), image('rear'))
        bench.show(image('front', NOW + 1, 1), image('rear', NOW + 1))
        assert 'has shown the same image' in bench.said[-1][1]
        assert np.allclose(bench.asked[-1].rig_from_cam, [FRONT])


class TestParameters:
    @staticmethod
    def values(**given: object) -> dict[str, Any]:
        return {each.name: each.default for each in PARAMETERS} | given

    def test_a_single_camera_is_no_rig(self):
        assert rig_of(self.values(camera_frame='eye')) == ((), None)

    def test_topics_alone(self):
        assert rig_of(self.values(rig_images=NAMES)) == (NAMES, None)

    def test_a_file_places_the_cameras_in_their_order(self, tmp_path):
        file = self.write(tmp_path, FRONT, REAR)
        topics, mounts = rig_of(self.values(rig_images=NAMES, rig_file=str(file)))
        assert topics == NAMES
        assert mounts is not None
        assert np.allclose(mounts, [FRONT, REAR], atol=1e-6)

    @pytest.mark.parametrize(
        ('given', 'words'),
        [
            ({'rig_images': (NAMES[0], NAMES[0])}, 'name each camera once'),
            ({'rig_file': 'rig.yaml'}, 'give rig_images too'),
            ({'rig_images': NAMES, 'camera_frame': 'eye'}, 'or set rig_file'),
        ],
    )
    def test_what_does_not_go_together(self, given, words):
        with pytest.raises(ParameterError, match=words):
            rig_of(self.values(**given))

    def test_another_number_of_cameras(self, tmp_path):
        file = self.write(tmp_path, FRONT)
        with pytest.raises(ParameterError, match=r'names 2 topics, and .* 1 cameras'):
            rig_of(self.values(rig_images=NAMES, rig_file=str(file)))

    def test_a_file_that_is_none(self, tmp_path):
        with pytest.raises(DatasetError, match=r'none\.yaml'):
            rig_of(self.values(rig_images=NAMES, rig_file=str(tmp_path / 'none.yaml')))

    @staticmethod
    def write(folder, *mounts):
        lines = [
            f'  - images: camera{number}\n    rig_from_cam: {pose_to_tum(mount).tolist()}'
            for number, mount in enumerate(mounts)
        ]
        file = folder / 'rig.yaml'
        file.write_text('\n'.join(['cameras:', *lines]) + '\n')
        return file
