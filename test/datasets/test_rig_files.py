"""Files of rigs: what they name, which images belong together, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aceg_ros.datasets.base import Dataset, Frame
from aceg_ros.datasets.rig import RigDataset, add_to_rig, read_mounts, read_rig, recognize
from aceg_ros.datasets.trajectory import write_trajectory
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, so3_exp

CAMERA = Camera.pinhole(8, 6, 8.0, 8.0, 3.5, 2.5)
STAMPS = {'front': [1.0, 2.0, 3.0], 'rear': [1.005, 3.005]}
REAR = make_pose(so3_exp([0.0, 3.0, 0.0]), [0.0, 0.0, -0.4])
TEXT = """\
cameras:
  - images: front
    rig_from_cam: [0.1, 0, 0, 0, 0, 0, 1]
  - images: rear
    calibration: rear.yaml
    rig_from_cam: {rear}
"""


def world_from_rig(stamp):
    return make_pose(so3_exp([0.0, 0.1 * stamp, 0.0]), [stamp, 0.0, 0.0])


class Opener:
    """Images of the front camera at 1, 2 and 3 s, of the rear one 5 ms later but for the second."""

    def __init__(self, posed=True):
        self.posed = posed
        self.asked = []

    def __call__(self, path: Path, calibration: Path | None) -> Dataset:
        self.asked.append((path.name, calibration and calibration.name))
        mount = REAR if path.name == 'rear' else make_pose(np.eye(3), [0.1, 0.0, 0.0])
        frames = [
            Frame(
                f'{index}.png',
                CAMERA,
                lambda: np.zeros((6, 8, 3), np.uint8),
                world_from_rig(stamp) @ mount if self.posed else None,
                stamp,
            )
            for index, stamp in enumerate(STAMPS[path.name])
        ]
        return Dataset(path.name, frames, metric=True)


@pytest.fixture
def write(tmp_path):
    def written(text=TEXT, extra=''):
        path = tmp_path / 'rig.yaml'
        path.write_text(text.replace('{rear}', str(REAR.tolist())) + extra)
        return path

    return written


def test_cameras_with_their_calibration_and_mounting(write):
    opener = Opener()
    rig = read_rig(write(), opener)
    assert opener.asked == [('front', None), ('rear', 'rear.yaml')]
    np.testing.assert_allclose(rig.rig_from_cam[0], make_pose(np.eye(3), [0.1, 0.0, 0.0]))
    np.testing.assert_allclose(rig.rig_from_cam[1], REAR)
    assert recognize(write())


def test_images_of_one_moment(write):
    moments = read_rig(write(), Opener()).moments()
    names = [[frame and frame.name for frame in moment.frames] for moment in moments]
    assert names == [
        ['front/0.png', 'rear/0.png'],
        ['front/1.png', None],
        ['front/2.png', 'rear/1.png'],
    ]
    for moment, stamp in zip(moments, (1.0, 2.0, 3.0), strict=True):
        np.testing.assert_allclose(moment.world_from_rig, world_from_rig(stamp), atol=1e-12)
    images, rig = moments[1].read()
    assert len(images) == len(rig.cameras) == 1
    images, rig = moments[2].read()
    np.testing.assert_allclose(rig.rig_from_cam[1], REAR)


def test_images_too_far_apart_are_of_different_moments(write):
    moments = read_rig(write(extra='tolerance: 0.001\n'), Opener()).moments()
    assert all(moment.frames[1] is None for moment in moments)


def test_poses_of_the_rig(write, tmp_path):
    stamps = np.arange(0.9, 3.2, 0.05)
    write_trajectory(tmp_path / 'poses.txt', [(t, world_from_rig(t)) for t in stamps])
    rig = read_rig(write(extra='poses: poses.txt\n'), Opener(posed=False))
    for moment, stamp in zip(rig.moments(), (1.0, 2.0, 3.0), strict=True):
        np.testing.assert_allclose(moment.world_from_rig, world_from_rig(stamp), atol=1e-6)
    posed = rig.posed()
    assert [frame.stamp for frame in posed.frames] == [1.0, 1.005, 2.0, 3.0, 3.005]
    rear = posed.frames[1]
    np.testing.assert_allclose(rear.world_from_cam, world_from_rig(1.005) @ REAR, atol=1e-4)


def test_images_keep_their_own_poses(write):
    posed = read_rig(write(), Opener()).posed()
    np.testing.assert_allclose(posed.frames[1].world_from_cam, world_from_rig(1.005) @ REAR)
    assert posed.metric


def test_mounting_is_not_needed_to_map(write):
    rig = read_rig(write('cameras: [{images: front}, {images: rear}]'), Opener())
    assert [frame.stamp for frame in rig.posed().frames] == [1.0, 1.005, 2.0, 3.0, 3.005]
    with pytest.raises(DatasetError, match='how rear is mounted is not said, and it has 2 poses'):
        rig.moments()


def recorded(name, mount, count=8, wrong=0):
    """Poses of a camera on a rig that moves, the first ``wrong`` of them at random."""
    rng = np.random.default_rng(len(name))
    frames = []
    for index in range(count):
        pose = world_from_rig(float(index)) @ mount
        if index < wrong:
            pose = pose @ make_pose(so3_exp(rng.normal(size=3)), rng.normal(size=3))
        frames.append(Frame(f'{index}.png', CAMERA, None, pose, float(index)))
    return Dataset(name, frames, metric=True)


def test_mounting_by_the_cameras_own_poses():
    recordings = (recorded('front', np.eye(4)), recorded('rear', REAR, wrong=2))
    rig = RigDataset('rig', recordings, None, None, 0.02)
    for index, moment in enumerate(rig.moments()):
        np.testing.assert_allclose(moment.rig_from_cam, [np.eye(4), REAR], atol=1e-9)
        np.testing.assert_allclose(moment.world_from_rig, world_from_rig(index), atol=1e-9)


def test_cameras_that_are_not_fixed_to_each_other():
    recordings = (recorded('front', np.eye(4)), recorded('rear', REAR, wrong=6))
    with pytest.raises(DatasetError, match='front and rear do not keep their places'):
        RigDataset('rig', recordings, None, None, 0.02).moments()


def test_mounting_alone_is_needed(write):
    with pytest.raises(DatasetError, match='rig_from_cam is no pose'):
        read_mounts(write('cameras: [{images: front}]'))


def test_names_are_added(tmp_path, write):
    add_to_rig(tmp_path / 'new.yaml', ['front'])
    add_to_rig(tmp_path / 'new.yaml', ['front', 'rear'])
    assert len(read_rig(tmp_path / 'new.yaml', Opener()).recordings) == 2
    add_to_rig(path := write(extra='tolerance: 0.001\n'), ['rear', 'left'])
    text = path.read_text()
    for words in ('tolerance: 0.001', 'calibration: rear.yaml', 'images: left'):
        assert words in text
    assert text.count('images: rear') == 1
    with pytest.raises(DatasetError, match='no list "cameras"'):
        add_to_rig(write('poses: poses.txt'), ['front'])


def test_without_any_pose(write):
    rig = read_rig(write(), Opener(posed=False))
    assert all(moment.world_from_rig is None for moment in rig.moments())


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('cameras: []\n', 'no list "cameras"'),
        ('poses: poses.txt\n', 'no list "cameras"'),
        ('cameras:\n  - rig_from_cam: [0, 0, 0, 0, 0, 0, 1]\n', 'camera 1: has no entry "images"'),
        ('cameras:\n  - images: front\nposes: poses.txt\n', 'rig_from_cam is no pose'),
        ('cameras:\n  - images: front\n    rig_from_cam: [0, 0, 1]\n', 'rig_from_cam is no pose'),
        (TEXT.replace('calibration', 'kalibration'), 'the entry "kalibration"'),
        (TEXT + 'tolerance: soon\n', 'tolerance is'),
        (TEXT + 'tolerence: 0.1\n', 'the entry "tolerence"'),
    ],
)
def test_what_is_no_rig(write, text, words):
    with pytest.raises(DatasetError, match=words):
        read_rig(write(text), Opener())
