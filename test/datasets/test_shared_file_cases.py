"""Files and folders from public reports: each is read right, or refused with what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aceg_ros.datasets import images_only, open_dataset, read_camera
from aceg_ros.datasets.trajectory import read_trajectory
from aceg_ros.errors import CameraError, DatasetError


@pytest.fixture(scope='module')
def case(shared):
    """Path of an input; the test is skipped where it is absent."""

    def find(name: str) -> Path:
        path = shared / 'cases' / name
        if not path.exists():
            pytest.skip(f'the input {name} (../shared/cases) is not on this machine')
        return path

    return find


KANNALA = [0.01, 0.02, 0.0, 0.0]
RATIONAL = [0.33, -0.04, 0.0, 0.0, -0.001, 0.66, -0.01, -0.009]


@pytest.mark.parametrize(
    ('file', 'model', 'coefficients'),
    [
        ('calib_counts_and_names/Kannala-Brandt.yaml', 'equidistant', KANNALA),
        ('calib_counts_and_names/Kannala_Brandt4.yaml', 'equidistant', KANNALA),
        ('calib_counts_and_names/opencv_fisheye.yaml', 'equidistant', KANNALA),
        ('calib_counts_and_names/brown_conrady.yaml', 'plumb_bob', [0.1, -0.2, 0, 0, 0]),
        ('calib_counts_and_names/opencv.yaml', 'plumb_bob', [0.1, -0.2, 0, 0]),
        ('calib_counts_and_names/rational_5.yaml', 'plumb_bob', [0.1, -0.2, 0.001, 0.001, 0.05]),
        ('calib_counts_and_names/noname_12.yaml', 'rational_polynomial', RATIONAL),
        ('calib_counts_and_names/plumb_8.yaml', 'rational_polynomial', RATIONAL),
        (
            'calib_distortion_key_ignored/dist_coeffs.yaml',
            'plumb_bob',
            [0.26, -0.95, -0.005, 0.002, 1.16],
        ),
        (
            'calib_distortion_key_ignored/k1k2_keys.yaml',
            'plumb_bob',
            [0.26, -0.95, -0.005, 0.002, 1.16],
        ),
        (
            'calib_distortion_key_ignored/kalibr_equi.yaml',
            'equidistant',
            [0.003, 0.001, -0.002, 0.0002],
        ),
        (
            'calib_distortion_key_ignored/kalibr_flat.yaml',
            'plumb_bob',
            [-0.28, 0.07, 0.0002, 0.00002],
        ),
        ('calib_kalibr_camchain/camchain.yaml', 'equidistant', [-0.01, 0.02, -0.005, 0.001]),
        (
            'calib_skew_from_ros_fisheye/ost.yaml',
            'equidistant',
            [0.036, 0.009, -0.009, -0.010],
        ),
    ],
)
def test_calibration_is_read_right(case, file, model, coefficients):
    camera = read_camera(case(file))
    assert camera.model == model
    np.testing.assert_array_equal(camera.distortion, coefficients)


def test_calibration_of_opencv(case):
    camera = read_camera(case('calib_opencv_filestorage/calibration.yml'))
    assert camera.model == 'plumb_bob'
    assert camera.distortion.any()


@pytest.mark.parametrize(
    ('file', 'reason'),
    [
        ('calib_counts_and_names/rational_14.yaml', 'thin prism, tilt'),
        ('calib_skew_from_ros_fisheye/camera_info.yaml', r'skew of 4\.2.*--fisheye-fix-skew'),
        ('calib_units/cx_cy_swapped.yaml', 'principal point lies outside'),
        ('calib_units/focal_mm.yaml', 'millimeters'),
        ('calib_units/normalized.yaml', 'normalized'),
    ],
)
def test_calibration_is_refused_with_what_to_do(case, file, reason):
    with pytest.raises(CameraError, match=reason) as caught:
        read_camera(case(file))
    assert file in str(caught.value)


@pytest.mark.parametrize(
    ('folder', 'count', 'first', 'noted'),
    [
        ('colmap_blank_line/with_points', 8, '000.jpg', ''),
        ('colmap_blank_line/without_points', 8, '000.jpg', ''),
        ('colmap_one_unsupported_camera', 8, '000.jpg', ''),
        ('images_numbered_real_stamps', 8, '000000.jpg', 'frame numbers and paired'),
        ('images_unpadded_names', 12, 'frame_0.jpg', ''),
        ('names_with_backslash/colmap', 8, 'cam0/000.jpg', ''),
        ('names_with_backslash/nerf', 6, 'images/000.jpg', ''),
        ('poses_ns_stamps', 10, '1403636579763555584.jpg', 'taken as nanoseconds'),
    ],
)
def test_folder_is_read_whole(case, folder, count, first, noted):
    dataset = open_dataset(case(folder))
    assert (len(dataset), dataset.skipped) == (count, [])
    assert dataset.frames[0].name == first
    assert noted in ' '.join(dataset.notes)


@pytest.mark.parametrize('folder', ['images_numbered_real_stamps', 'images_unpadded_names'])
def test_images_have_the_poses_of_their_own_lines(case, folder):
    path = case(folder)
    trajectory, _ = read_trajectory(path / 'poses.txt')
    for index, frame in enumerate(open_dataset(path).frames):
        np.testing.assert_allclose(frame.world_from_cam, trajectory.pose(index), atol=1e-9)
        assert int(frame.name.removeprefix('frame_').removesuffix('.jpg')) == index


class TestExif:
    def test_upright_calibration_of_a_turned_picture(self, case):
        path = case('photos_with_exif_orientation/orientation_6')
        with pytest.raises(DatasetError, match=r'EXIF orientation \(6\).*give --exif'):
            images_only(path)
        assert images_only(path, exif=True).frames[0].image().shape == (320, 240, 3)

    def test_picture_upside_down(self, case):
        path = case('photos_with_exif_orientation/orientation_3')
        assert 'EXIF orientation that is not applied' in images_only(path).notes[0]
        turned = images_only(path, exif=True).frames[0].image()
        stored = images_only(path).frames[0].image()
        np.testing.assert_array_equal(turned, stored[::-1, ::-1])
