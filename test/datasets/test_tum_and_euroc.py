"""TUM RGB-D and EuRoC layouts on tiny sequences."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.tum import PUBLISHED_CAMERAS
from aceg_ros.errors import CameraError, DatasetError, PoseError
from aceg_ros.geometry.poses import inverse, make_pose, pose_to_tum, so3_exp

T_BS = make_pose(so3_exp([0.3, -1.2, 0.5]), [0.1, -0.02, 0.03])


@pytest.fixture
def tum(tmp_path, write_image, write_depth, poses, simple_calibration):
    """Images at 100.02, 100.05, 100.08 s; poses every 20 ms from 100.0 s."""
    root = tmp_path / 'sequence'
    rows = ['# timestamp filename']
    for i in range(3):
        write_image(root / f'rgb/{i}.png')
        rows.append(f'{100.02 + 0.03 * i:.6f} rgb/{i}.png')
    (root / 'rgb.txt').write_text('\n'.join(rows))
    write_depth(root / 'depth/0.png')
    (root / 'depth.txt').write_text('100.031 depth/0.png\n')
    rows = [' '.join(map(str, [100.0 + 0.02 * i, *pose_to_tum(poses[i])])) for i in range(5)]
    (root / 'groundtruth.txt').write_text('\n'.join(rows))
    (root / 'calibration.yaml').write_text(simple_calibration)
    return root


@pytest.fixture
def euroc(tmp_path, write_image, poses):
    """Images at 1.02, 1.04, 1.06 s; body poses such that the cameras are at `poses`."""
    mav0 = tmp_path / 'V1_01/mav0'
    rows = ['#timestamp [ns],filename']
    for i in range(3):
        stamp = 1_020_000_000 + 20_000_000 * i
        write_image(mav0 / f'cam0/data/{stamp}.png')
        rows.append(f'{stamp},{stamp}.png')
    (mav0 / 'cam0/data.csv').write_text('\r\n'.join(rows))
    (mav0 / 'cam0/sensor.yaml').write_text(
        f'T_BS:\n  cols: 4\n  rows: 4\n  data: {T_BS.ravel().tolist()}\n'
        'resolution: [64, 48]\nintrinsics: [60.0, 61.0, 31.5, 23.5]\n'
        'distortion_model: radial-tangential\ndistortion_coefficients: [-0.2, 0.1, 0.0, 0.001]\n'
    )
    rows = ['#timestamp,p_x,p_y,p_z,q_w,q_x,q_y,q_z,v_x']
    for i in range(5):
        x, y, z, qx, qy, qz, qw = pose_to_tum(poses[i] @ inverse(T_BS))
        numbers = [1_000_000_000 + 20_000_000 * i, x, y, z, qw, qx, qy, qz, 0.0]
        rows.append(','.join(map(str, numbers)))
    (mav0 / 'state_groundtruth_estimate0').mkdir()
    (mav0 / 'state_groundtruth_estimate0/data.csv').write_text('\r\n'.join(rows))
    return mav0.parent


class TestTum:
    def test_poses_at_the_images_times(self, tum, poses):
        dataset = open_dataset(tum)
        assert [frame.stamp for frame in dataset.frames] == pytest.approx([100.02, 100.05, 100.08])
        np.testing.assert_allclose(dataset.frames[0].world_from_cam, poses[1], atol=1e-6)
        between = dataset.frames[1].world_from_cam
        np.testing.assert_allclose(between[:3, 3], (poses[2] + poses[3])[:3, 3] / 2, atol=1e-6)

    def test_depth_is_paired_by_time(self, tum):
        frames = open_dataset(tum).frames
        assert frames[0].depth()[5, 5] == pytest.approx(0.4)
        assert frames[0].depth_camera is None
        assert frames[2].depth() is None

    @pytest.mark.parametrize('name', ['rgbd_dataset_freiburg2_desk', 'fr2_desk'])
    def test_published_camera(self, tum, write_image, name):
        (tum / 'calibration.yaml').unlink()
        for file in tum.glob('rgb/*.png'):
            write_image(file, (640, 480))
        dataset = open_dataset(tum.rename(tum.with_name(name)))
        assert dataset.frames[0].camera == PUBLISHED_CAMERAS['2']

    def test_unknown_camera(self, tum):
        (tum / 'calibration.yaml').unlink()
        with pytest.raises(CameraError, match=r'put a calibration\.yaml'):
            open_dataset(tum)

    def test_images_without_pose_are_named(self, tum):
        with (tum / 'rgb.txt').open('a') as file:
            file.write('\n103.0 rgb/3.png\n')
        dataset = open_dataset(tum)
        assert len(dataset) == 3
        (skipped,) = dataset.skipped
        assert skipped.startswith('rgb/3.png: there is no pose for time 103.000000')

    def test_nothing_pairs(self, tum):
        text = (tum / 'groundtruth.txt').read_text()
        (tum / 'groundtruth.txt').write_text(text.replace('100.', '200.'))
        with pytest.raises(DatasetError, match='no pose for time'):
            open_dataset(tum)

    def test_garbled_list(self, tum):
        (tum / 'rgb.txt').write_text('100.0\n')
        with pytest.raises(DatasetError, match='line 1'):
            open_dataset(tum)


class TestEuroc:
    @pytest.mark.parametrize('folder', ['', 'mav0'])
    def test_camera_poses(self, euroc, poses, folder):
        dataset = open_dataset(euroc / folder)
        assert dataset.name == 'V1_01'
        found = [frame.world_from_cam for frame in dataset.frames]
        np.testing.assert_allclose(found, poses[1:4], atol=1e-9)
        assert dataset.frames[0].camera.model == 'plumb_bob'
        assert dataset.frames[0].image().shape == (48, 64, 3)

    def test_nan_row_leaves_its_image_out(self, euroc):
        file = euroc / 'mav0/state_groundtruth_estimate0/data.csv'
        lines = file.read_text().splitlines()
        words = lines[2].split(',')
        lines[2] = ','.join([words[0], 'nan', *words[2:]])
        file.write_text('\n'.join(lines))
        dataset = open_dataset(euroc)
        assert len(dataset) == 2
        assert '1020000000.png' in dataset.skipped[0]

    def test_missing_image_is_named(self, euroc):
        (euroc / 'mav0/cam0/data/1040000000.png').unlink()
        assert open_dataset(euroc).skipped == ['1040000000.png: the image file is missing']

    def test_without_extrinsics(self, euroc):
        file = euroc / 'mav0/cam0/sensor.yaml'
        file.write_text(file.read_text().replace('T_BS', 'T_SB'))
        with pytest.raises(PoseError, match='T_BS'):
            open_dataset(euroc)

    def test_bad_intrinsics_name_the_file(self, euroc):
        file = euroc / 'mav0/cam0/sensor.yaml'
        file.write_text(file.read_text().replace('60.0, 61.0', '0.0, 0.0'))
        with pytest.raises(CameraError, match=r'sensor\.yaml.*not calibrated'):
            open_dataset(euroc)

    def test_garbled_ground_truth(self, euroc):
        (euroc / 'mav0/state_groundtruth_estimate0/data.csv').write_text('1,2,3\n')
        with pytest.raises(DatasetError, match='line 1'):
            open_dataset(euroc)
