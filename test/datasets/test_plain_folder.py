"""The plain layout: reading, images alone, and recognizing layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aceg_ros.datasets import images_only, open_dataset
from aceg_ros.datasets.trajectory import write_trajectory
from aceg_ros.errors import AcegError, CameraError, DatasetError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix

CAMERA = Camera(
    'equidistant', 64, 48, intrinsic_matrix(40.0, 41.0, 30.0, 25.0), np.array([0.1, 0.0, 0.01, 0.0])
)


@pytest.fixture
def plain(tmp_path, write_image, poses, simple_calibration):
    """Images 0001.png to 0003.png with poses at 1, 2 and 3 s."""
    for i in range(3):
        write_image(tmp_path / f'images/{i + 1:04d}.png')
    (tmp_path / 'calibration.yaml').write_text(simple_calibration)
    write_trajectory(tmp_path / 'poses.txt', zip((1.0, 2.0, 3.0), poses, strict=False))
    return tmp_path


class TestReading:
    def test_paired_by_number(self, plain, poses):
        (plain / 'images/0002.png').unlink()
        dataset = open_dataset(plain)
        assert [frame.name for frame in dataset.frames] == ['0001.png', '0003.png']
        np.testing.assert_allclose(dataset.frames[1].world_from_cam, poses[2], atol=1e-8)
        assert dataset.skipped == ['poses.txt, time 2.000000: there is a pose but no image']

    def test_paired_by_nanoseconds(self, plain, poses, write_image):
        for file in (plain / 'images').iterdir():
            file.unlink()
        write_image(plain / 'images/1305031229500000000.png')
        write_trajectory(plain / 'poses.txt', [(1305031229.5, poses[4])])
        frame = open_dataset(plain).frames[0]
        assert frame.stamp == pytest.approx(1305031229.5)
        np.testing.assert_allclose(frame.world_from_cam, poses[4], atol=1e-8)

    def test_time_orders_names_without_leading_zeros(self, plain, write_image, poses):
        write_image(plain / 'images/10.png')
        write_trajectory(plain / 'poses.txt', enumerate(np.concatenate([poses, poses[:1]])))
        names = [frame.name for frame in open_dataset(plain).frames]
        assert names == ['0001.png', '0002.png', '0003.png', '10.png']

    def test_paired_by_order(self, plain, poses):
        for file in (plain / 'images').iterdir():
            file.rename(file.with_name(f'view_{file.name}'))
        dataset = open_dataset(plain)
        found = [frame.world_from_cam for frame in dataset.frames]
        np.testing.assert_allclose(found, poses[:3], atol=1e-8)
        (plain / 'images/view_0003.png').unlink()
        with pytest.raises(DatasetError, match='2 images do not pair with 3 poses'):
            open_dataset(plain)

    def test_images_in_the_folder_itself(self, plain):
        for file in (plain / 'images').iterdir():
            file.rename(plain / file.name)
        assert len(open_dataset(plain)) == 3

    def test_image_without_pose_and_nan_pose(self, plain, write_image):
        write_image(plain / 'images/0004.png')
        text = (plain / 'poses.txt').read_text().splitlines()
        text[2] = '2.0 nan nan nan nan nan nan nan'
        (plain / 'poses.txt').write_text('\n'.join(text))
        dataset = open_dataset(plain)
        assert [frame.name for frame in dataset.frames] == ['0001.png', '0003.png']
        assert [entry.split(': ')[0] for entry in dataset.skipped] == ['0002.png', '0004.png']

    def test_no_calibration(self, plain):
        (plain / 'calibration.yaml').unlink()
        with pytest.raises(CameraError, match=r'put a calibration\.yaml'):
            open_dataset(plain)

    def test_zero_calibration(self, plain):
        file = plain / 'calibration.yaml'
        file.write_text(file.read_text().replace('fx: 60.0', 'fx: 0.0'))
        with pytest.raises(CameraError, match='not calibrated'):
            open_dataset(plain)

    def test_calibration_of_another_size(self, plain):
        file = plain / 'calibration.yaml'
        file.write_text(file.read_text().replace('width: 64', 'width: 32'))
        with pytest.raises(DatasetError, match='calibration is for 32x48'):
            open_dataset(plain)


class TestImagesOnly:
    def test_folder(self, plain):
        dataset = images_only(plain / 'images', CAMERA)
        assert [frame.stamp for frame in dataset.frames] == [1.0, 2.0, 3.0]
        assert all(frame.world_from_cam is None for frame in dataset.frames)
        assert dataset.frames[0].camera == CAMERA

    def test_calibration_beside_the_images(self, plain):
        assert images_only(plain).frames[0].camera.model == 'plumb_bob'
        with pytest.raises(CameraError, match=r'put a calibration\.yaml'):
            images_only(plain / 'images')

    def test_one_file(self, plain):
        assert len(images_only(plain / 'images/0002.png', CAMERA)) == 1

    def test_unreadable_among_good(self, plain):
        (plain / 'images/0002.png').write_bytes(b'junk')
        dataset = images_only(plain / 'images', CAMERA)
        assert len(dataset) == 2
        assert dataset.skipped[0].startswith('0002.png')

    @pytest.mark.parametrize('name', ['', 'absent', 'calibration.yaml'])
    def test_no_images(self, tmp_path, name, simple_calibration):
        (tmp_path / 'calibration.yaml').write_text(simple_calibration)
        with pytest.raises(DatasetError, match='image'):
            images_only(tmp_path / name, CAMERA)


class TestRecognizing:
    def test_unknown_lists_what_was_looked_for(self, tmp_path):
        with pytest.raises(DatasetError) as caught:
            open_dataset(tmp_path)
        for sign in ('seq-*', 'rgb.txt', 'mav0', 'transforms.json', 'cameras', 'calibration.yaml'):
            assert sign in str(caught.value)

    def test_missing_path(self, tmp_path):
        with pytest.raises(DatasetError, match='does not exist'):
            open_dataset(tmp_path / 'absent')

    def test_file(self, tmp_path):
        (tmp_path / 'a.dat').write_bytes(b'')
        with pytest.raises(DatasetError, match='is a file'):
            open_dataset(tmp_path / 'a.dat')

    def test_poses_without_images(self, plain):
        for file in (plain / 'images').iterdir():
            file.unlink()
        with pytest.raises(AcegError):
            open_dataset(Path(plain))
