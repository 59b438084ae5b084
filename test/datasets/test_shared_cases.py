"""Inputs from public reports, where they lie beside the checkout: each right, or refused in words.

The same inputs, made by the tests, are in the other modules; these are others' own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.bag_poses import PoseChoice
from aceg_ros.datasets.bag_topics import BagTopics
from aceg_ros.errors import AcegError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix

CAMERA = Camera.pinhole(160, 120, 131.25, 131.25, 79.75, 59.75)
# Where the second camera is, in most of them.
SECOND = (-0.35329109, 0.00646292, 0.30335963)


@pytest.fixture(scope='module')
def cases(shared) -> Path:
    folder = shared / 'cases'
    if not folder.is_dir():
        pytest.skip('inputs from public reports (../shared/cases) are not on this machine')
    return folder


def read(cases: Path, name: str, **options):
    path = cases / name
    if not path.exists():
        pytest.skip(f'the input {name} (../shared/cases) is not on this machine')
    return open_dataset(path, **options)


@pytest.mark.parametrize(
    ('name', 'count', 'noted'),
    [
        ('bag_first_camera_info_zero/bag', 6, 'is that of message 2 on /camera/camera_info'),
        ('bag_mono16_only/bag', 6, ''),
        ('bag_nv12/bag', 6, ''),
        ('bag_without_camera_info/bag', 6, 'the camera is that of calibration.yaml'),
        ('layouts_not_read/ace', 5, ''),
        ('layouts_not_read/scannet', 5, ''),
        ('layouts_not_read/tumvi', 5, ''),
    ],
)
def test_is_read(cases, name, count, noted):
    dataset = read(cases, name)
    assert (len(dataset), dataset.skipped) == (count, [])
    assert noted in ' '.join(dataset.notes)
    assert bool(dataset.notes) == bool(noted)
    frame = dataset.frames[1]
    assert 90.0 < frame.image().mean() < 140.0
    # ACE's calibrations have no principal point.
    np.testing.assert_allclose(frame.camera.K, CAMERA.K, atol=0.3)
    np.testing.assert_allclose(frame.world_from_cam[:3, 3], SECOND, atol=1e-5)


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        (
            'bag_compressed_h264/bag',
            ['/camera/image_raw/compressed', "'h264'", 'only JPEG and PNG are read'],
        ),
        (
            'bag_mcap_without_message_index/bag',
            ['counts 6 messages on /camera/image_raw', 'message index', 'mcap recover'],
        ),
        ('layouts_not_read/replica', ['160x120', 'cam_params.json', '--camera FILE']),
    ],
)
def test_is_refused_with_what_to_do(cases, name, words):
    with pytest.raises(AcegError) as caught:
        read(cases, name)
    said = str(caught.value)
    assert all(word in said for word in [name, *words]), said
    assert '0x7f' not in said


def test_camera_given_by_the_user(cases):
    for name in ('layouts_not_read/replica', 'bag_without_camera_info/bag'):
        dataset = read(cases, name, camera=CAMERA)
        assert {frame.camera for frame in dataset.frames} == {CAMERA}
        np.testing.assert_allclose(dataset.frames[1].world_from_cam[:3, 3], SECOND, atol=1e-5)


class TestRos1Bag:
    """A recording of a T265, which publishes no camera_info there."""

    camera = Camera(
        'equidistant',
        848,
        800,
        intrinsic_matrix(284.468, 285.51, 424.355, 393.742),
        np.array([0.0008, 0.031, -0.03, 0.005]),
    )

    def read(self, shared, frame='', image='/camera/fisheye1/image_raw', camera=None):
        bag = shared / 'data/t265_fisheye/trimmed_locoffice.bag'
        if not bag.exists():
            pytest.skip('the bag of a T265 (../shared/data) is not on this machine')
        return open_dataset(bag, BagTopics(image, poses=PoseChoice(frame=frame)), camera)

    def test_choices_are_listed_one_after_the_other(self, shared):
        with pytest.raises(AcegError, match='--image-topic /camera/fisheye1/image_raw; --image-'):
            self.read(shared, image='')
        with pytest.raises(AcegError, match=r'has no camera_info; .*--camera FILE'):
            self.read(shared)
        with pytest.raises(AcegError, match='--pose-frame camera_fisheye1_optical_frame'):
            self.read(shared, camera=self.camera)

    def test_is_read(self, shared):
        dataset = self.read(shared, 'camera_fisheye1_optical_frame', camera=self.camera)
        assert len(dataset) == 2
        assert dataset.frames[0].camera == self.camera
        assert dataset.frames[0].image().shape == (800, 848, 3)
        np.testing.assert_allclose(
            dataset.frames[0].world_from_cam[:3, 3], [3.898, 0.631, 0.422], atol=0.02
        )
        assert 'there is no pose for time' in dataset.skipped[0]
