"""The recordings of a rig's cameras: named in one file, kept and set aside together."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets import open_dataset
from aceg_ros.errors import StorageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose
from aceg_ros.recording.keyframes import KeyframeRules
from aceg_ros.recording.recorder import Keyframe, Refusal
from aceg_ros.recording.recordings import Recordings

NAMES = 'front.image_raw', 'rear.image_raw'
CAMERAS = [Camera.pinhole(64, 48, focal, focal, 31.5, 23.5) for focal in (60.0, 50.0)]
IMAGE = np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8)
RULES = KeyframeRules(sharpness=0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'r'


def recordings(path, *names: str) -> Recordings:
    return Recordings(path, RULES, '.jpg', names)


def take(rig: Recordings, number: int, stamp: float, force: bool = False) -> Keyframe | Refusal:
    pose = make_pose(np.eye(3), [stamp, 0.0, 0.0])
    return rig.offer(number, stamp, pose, lambda: (IMAGE, CAMERAS[number]), force=force)


def test_each_camera_has_its_own(path):
    rig = recordings(path, *NAMES)
    assert take(rig, 0, 1.0) is Refusal.IDLE
    assert not path.exists()
    rig.start()
    for number, stamp in ((0, 1.0), (1, 1.5), (0, 2.0)):
        assert isinstance(take(rig, number, stamp), Keyframe)
    rig.stop()
    assert not rig.recording
    assert [pose[0, 3] for pose in rig.poses] == [1.0, 2.0, 1.5]
    frames = open_dataset(path).frames
    assert [frame.name.split('/')[0] for frame in frames] == [NAMES[0], NAMES[1], NAMES[0]]
    assert [frame.camera for frame in frames] == [CAMERAS[0], CAMERAS[1], CAMERAS[0]]


def test_continued_with_another_camera(path):
    first = recordings(path, NAMES[0])
    assert isinstance(take(first, 0, 1.0, force=True), Keyframe)
    both = recordings(path, *NAMES)
    assert len(both.poses) == 1
    both.start()
    take(both, 1, 2.0)
    assert len(open_dataset(path)) == 2


def test_set_aside_as_a_whole(path):
    rig = recordings(path, *NAMES)
    assert rig.reset() is None
    rig.start()
    take(rig, 0, 1.0)
    backup = rig.reset()
    assert backup == path.with_name('r.backup-1')
    assert len(open_dataset(backup)) == 1
    assert not path.exists()
    assert (rig.recording, rig.poses) == (False, [])
    rig.start()
    take(rig, 1, 2.0)
    assert [frame.stamp for frame in open_dataset(path).frames] == [2.0]


def test_recorded_anew_where_the_folder_was_moved_away(path):
    rig = recordings(path, *NAMES)
    rig.start()
    take(rig, 0, 1.0)
    rig.stop()
    path.rename(path.with_name('kept'))
    rig.start()
    take(rig, 1, 2.0)
    assert [frame.name.split('/')[0] for frame in open_dataset(path).frames] == [NAMES[1]]


def test_none_records_where_one_cannot(path):
    rig = recordings(path, *NAMES)
    path.mkdir()
    (path / NAMES[1]).write_text('a file in the place of the folder')
    with pytest.raises(StorageError):
        rig.start()
    assert not rig.recording


def test_a_disk_that_does_not_take_it(path, monkeypatch):
    def full(file, data):
        raise OSError('No space left on device')

    rig = recordings(path, *NAMES)
    rig.start()
    with monkeypatch.context() as context:
        context.setattr('aceg_ros.datasets.rig.write_atomically', full)
        with pytest.raises(StorageError, match='No space left'):
            take(rig, 0, 1.0)
    assert not rig.recording
    assert 'No space left' in rig.problem
    rig.start()
    assert rig.problem is None
    assert isinstance(take(rig, 0, 1.0), Keyframe)
