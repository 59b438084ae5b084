"""What the localizer says of cameras and clocks that misbehave, without any process."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.time import Time
from std_msgs.msg import Header

from aceg_ros.engine import Networks
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.localizer.maps import LoadedMap, LoadedMaps
from aceg_ros.ros.localizer.pipeline import Hooks, Pipeline
from aceg_ros.ros.localizer.report import Reports
from aceg_ros.ros.localizer.statistics import Statistics
from aceg_ros.ros.messages import camera_info, to_stamp
from aceg_ros.ros.middleware.bridge import from_rgb
from aceg_ros.ros.middleware.diagnostics import Level, Report
from aceg_ros.tracking.tracker import Tracker

CAMERA = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)
NOW = 10_000.0


class Bench:
    """A pipeline without a map, which so only looks at its images."""

    def __init__(self) -> None:
        self.said: list[str] = []  # of each image, why it cannot be used
        self.warned: list[str] = []
        self.odometry: Any = None
        self.now = NOW
        self.broken = ''
        self.statistics = Statistics()
        (self.camera,) = self.statistics.of_cameras
        self.maps = SimpleNamespace(current=None, problem='')
        tracker = Tracker()
        self._known = {
            'tf_timeout': lambda: 0.0,
            'outdated': lambda: False,
            'time_jumped': lambda: None,
            'examined': lambda problems: self.said.append(problems[0]),
            'fixed': lambda words: None,
        }
        self._pipeline = Pipeline(
            self.maps,
            tracker,
            SimpleNamespace(
                locate_now=lambda image: SimpleNamespace(odom_from_body=self.odometry),
                see=lambda number, image: None,
            ),
            SimpleNamespace(publish_debug_image=lambda *_: None),
            self.statistics,
            self._hooks(),
            SimpleNamespace(now=lambda: Time(nanoseconds=round(self.now * 1e9))),
            SimpleNamespace(warning=lambda words, **_: self.warned.append(words)),
            (),
            [None],
        )
        health = SimpleNamespace(report=lambda unusable: Report(Level.OK, 'images come'))
        cameras = SimpleNamespace(health=[health], names=(), apart=lambda number: '')
        self.reports = Reports(
            tracker, self.maps, cameras, self.statistics, lambda: True, lambda: self.broken
        )

    def _hooks(self) -> Hooks:
        names = Hooks.__dataclass_fields__
        return Hooks(**{name: self._known.get(name, lambda *_: False) for name in names})

    def show(self, stamp: float, shade: int = 0, camera: Camera = CAMERA) -> str:
        """Show an image; what is said of it."""
        header = Header(stamp=to_stamp(stamp), frame_id='camera')
        pixels = np.full((camera.height, camera.width, 3), shade, np.uint8)
        image = from_rgb(pixels, header)
        self._pipeline({0: CameraImage(image, camera_info(header, camera), False, 0.0)})
        return self.said[-1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_stamps_that_do_not_advance(bench):
    assert bench.show(NOW) == ''
    assert bench.show(NOW, 1).startswith('stamps of images do not advance: 10000.000 s')
    assert bench.show(NOW - 0.01, 2).startswith('stamps of images do not advance')
    assert bench.show(NOW + 0.1, 3) == ''
    assert bench.camera.unusable == 2


def test_the_same_image_while_odometry_moves(bench):
    bench.odometry = make_pose(np.eye(3), [0.0, 0.0, 0.0])
    assert bench.show(NOW) == ''
    bench.odometry = make_pose(np.eye(3), [1.0, 0.0, 0.0])
    assert 'the same image' in bench.show(NOW + 0.1)
    assert bench.show(NOW + 0.2, 1) == ''
    assert bench.camera.unusable == 1


def test_the_same_image_for_long(bench):
    bench.show(NOW)
    bench.show(NOW + 0.1)
    assert bench.reports.camera().level is Level.OK
    bench.camera.repeated = 40.0
    report = bench.reports.camera()
    assert report.level is Level.WARN
    assert 'the same image has come for 40 s' in report.message


@pytest.mark.parametrize(
    ('stamp', 'words'),
    [
        (NOW + 3600.0, '3600 s ahead of the clock: is use_sim_time right?'),
        (NOW - 3600.0, '3600 s behind the clock: is use_sim_time right?'),
        (NOW + 0.5, '0.50 s ahead of the clock: synchronize the clocks'),
    ],
)
def test_stamps_of_another_clock(bench, stamp, words):
    assert bench.show(stamp) == ''
    report = bench.reports.camera()
    assert report.level is Level.WARN
    assert words in report.message


def test_stamps_as_they_should_be(bench):
    bench.show(NOW - 0.1)
    assert bench.reports.camera().level is Level.OK


def test_one_stamp_from_the_future_stops_nothing(bench):
    assert [bench.show(stamp) for stamp in (NOW, NOW + 3600.0, NOW + 0.1, NOW + 0.2)] == [''] * 4
    assert any('jumped back' in words for words in bench.warned)


def test_a_calibration_that_changes(bench):
    zoomed = Camera.pinhole(64, 48, 90.0, 90.0, 31.5, 23.5)
    assert bench.show(NOW) == ''
    assert bench.show(NOW + 0.1) == ''
    assert bench.warned == []
    assert bench.show(NOW + 0.2, camera=zoomed) == ''
    (words,) = bench.warned
    assert 'the calibration changed: 64x48, fx 60.0' in words
    assert 'fx 90.0' in words


def test_a_worker_that_ended(bench):
    bench.broken = "the thread 'localize' ended: X; restart the node"
    report = bench.reports.localization()
    assert (report.level, report.message) == (Level.ERROR, bench.broken)


def loaded(name: str) -> LoadedMap:
    """A map in use, without networks."""
    quality = SimpleNamespace(rating=SimpleNamespace(value=''))
    info = SimpleNamespace(created='', quality=quality, place='')
    descriptors = np.zeros((0, 0), np.float32)
    code = SimpleNamespace(info=info, keyframes=[], anchors=[], descriptors=descriptors)
    localizer: Any = SimpleNamespace(code=code, device='cpu', threads=1, note='')
    return LoadedMap(name, Path(f'{name}.aceg'), Networks(), localizer, f'map_{name}')


def test_a_gpu_without_memory(bench):
    hall = loaded('hall')
    bench.maps.current = LoadedMaps([hall])
    report = bench.reports.map()
    assert (report.level, report.message) == (Level.OK, 'hall.aceg is in use')
    hall.localizer.note = 'the GPU has no memory left'
    report = bench.reports.map()
    assert (report.level, report.message) == (Level.WARN, 'the GPU has no memory left')
    assert report.values['device'] == 'cpu'


def test_several_maps(bench):
    bench.maps.current = LoadedMaps([loaded('ground'), loaded('first')])
    report = bench.reports.map()
    assert (report.level, report.message) == (Level.OK, 'ground, first are in use')
    assert report.values['first.frame'] == 'map_first'
    assert str(report.values['ground.file']) == 'ground.aceg'
