"""Starting, stopping and continuing a recording, and what becomes of each image."""

from __future__ import annotations

import resource
from pathlib import Path

import cv2
import numpy as np
import pytest

from aceg_ros.datasets import RecordingWriter, open_dataset
from aceg_ros.errors import CameraError, DatasetError, ImageError, PoseError, StorageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose
from aceg_ros.recording.keyframes import KeyframeRules
from aceg_ros.recording.recorder import Keyframe, Recorder, Refusal

CAMERA = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)
IMAGE = np.random.default_rng(2).integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
RULES = KeyframeRules(translation=0.2, rotation_deg=15.0, sharpness=0.45)


def pose(x: float) -> np.ndarray:
    return make_pose(np.eye(3), [x, 0.0, 0.0])


def sharp():
    return IMAGE, CAMERA


def never():
    raise AssertionError('decoded without need')


@pytest.fixture
def recorder(tmp_path) -> Recorder:
    return Recorder(tmp_path / 'place' / 'r', RULES)


def names(path: Path) -> list[str]:
    return [frame.name for frame in open_dataset(path).frames]


def test_only_new_views_while_recording(recorder):
    assert recorder.offer(1.0, pose(0.0), never) is Refusal.IDLE
    recorder.start()
    keyframe = recorder.offer(2.0, pose(0.0), sharp)
    assert isinstance(keyframe, Keyframe)
    assert keyframe.name == '2.000000.jpg'
    assert recorder.offer(3.0, pose(0.1), never) is Refusal.SAME_VIEW
    recorder.offer(4.0, pose(0.3), sharp)
    recorder.stop()
    assert recorder.offer(5.0, pose(0.6), never) is Refusal.IDLE
    assert names(recorder.path) == ['2.000000.jpg', '4.000000.jpg']
    assert recorder.camera == CAMERA


def test_blurred_image_does_not_use_up_its_view(recorder):
    recorder.start()
    blurred = cv2.blur(IMAGE, (15, 15))
    assert recorder.offer(1.0, pose(0.0), lambda: (blurred, CAMERA)) is Refusal.BLURRED
    assert isinstance(recorder.offer(1.1, pose(0.05), sharp), Keyframe)


def test_forced(recorder):
    """A keyframe asked for is taken though nothing records, and the view is not new."""
    for stamp in (1.0, 2.0):
        assert isinstance(recorder.offer(stamp, pose(0.0), sharp, force=True), Keyframe)
    assert not recorder.recording


def test_depth(recorder):
    recorder.start()
    recorder.offer(1.0, pose(0.0), sharp, lambda camera: np.full((48, 64), 2.5, np.float32))
    recorder.offer(2.0, pose(1.0), sharp, lambda camera: None)
    frames = open_dataset(recorder.path).frames
    assert frames[0].depth()[5, 5] == 2.5
    assert frames[1].depth() is None


def test_goes_on_where_it_was(recorder):
    recorder.start()
    recorder.offer(1.0, pose(0.0), sharp)
    again = Recorder(recorder.path, RULES)
    assert not again.recording
    assert len(again.poses) == 1
    again.start()
    assert again.offer(2.0, pose(0.1), never) is Refusal.SAME_VIEW
    again.offer(3.0, pose(0.5), sharp)
    assert len(names(recorder.path)) == 2


def test_reset_keeps_a_backup(recorder):
    assert recorder.reset() is None
    recorder.start()
    recorder.offer(1.0, pose(0.0), sharp)
    backup = recorder.reset()
    assert names(backup) == ['1.000000.jpg']
    assert not recorder.recording
    assert recorder.poses == []
    recorder.start()
    recorder.offer(1.0, pose(0.0), sharp)
    assert recorder.reset() != backup


def test_folder_taken_away_between(recorder):
    recorder.start()
    recorder.offer(1.0, pose(0.0), sharp)
    recorder.path.rename(recorder.path.with_name('elsewhere'))
    with pytest.raises(StorageError):
        recorder.offer(2.0, pose(0.5), sharp)
    assert not recorder.recording
    recorder.start()
    recorder.offer(3.0, pose(0.0), sharp)
    assert names(recorder.path) == ['3.000000.jpg']


def test_frames_that_do_not_fit_stop_nothing(recorder):
    recorder.start()
    recorder.offer(1.0, pose(0.0), sharp)
    zoomed = Camera.pinhole(64, 48, 90.0, 90.0, 31.5, 23.5)
    with pytest.raises(CameraError, match='another camera'):
        recorder.offer(2.0, pose(0.5), lambda: (IMAGE, zoomed))
    with pytest.raises(ImageError):
        recorder.offer(2.0, pose(0.5), lambda: (IMAGE[:40], CAMERA))
    with pytest.raises(PoseError):
        recorder.offer(2.0, np.full((4, 4), np.nan), never)
    with pytest.raises(DatasetError, match='same time stamp'):
        recorder.offer(1.0, pose(0.5), sharp)
    assert recorder.recording
    assert recorder.problem is None
    recorder.offer(2.0, pose(0.5), sharp)
    assert len(names(recorder.path)) == 2


def test_full_disk_stops_and_says_so(recorder):
    recorder.start()
    recorder.offer(1.0, pose(0.0), sharp)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StorageError):
            recorder.offer(2.0, pose(0.5), sharp)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not recorder.recording
    assert 'frames before it are kept' in recorder.problem
    recorder.start()
    assert recorder.problem is None
    recorder.offer(3.0, pose(0.5), sharp)
    assert names(recorder.path) == ['1.000000.jpg', '3.000000.jpg']


def test_half_a_line_left_by_a_disk_that_failed(recorder):
    """Recorded on, it does not spoil the next line."""
    recorder.start()
    recorder.offer(1.0, pose(0.0), sharp)
    with (recorder.path / 'poses.txt').open('a') as index:
        index.write('2.000000 0.5 0.0')
    recorder.start()
    assert recorder.repairs == ['poses.txt: the last line, torn off, is removed']
    recorder.offer(3.0, pose(0.5), sharp)
    assert names(recorder.path) == ['1.000000.jpg', '3.000000.jpg']


def test_place_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    recorder = Recorder(tmp_path / 'file' / 'r', RULES)
    with pytest.raises(StorageError, match='cannot record'):
        recorder.start()
    assert not recorder.recording


def test_another_program_began_a_recording_there(recorder):
    recorder.start()
    RecordingWriter(recorder.path, CAMERA)
    with pytest.raises(DatasetError, match='another program'):
        recorder.offer(1.0, pose(0.0), sharp)
