"""One scene in every layout gives the same frames; and what is peculiar to each."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from layouts import (
    CAMERA,
    INTERVAL,
    LAYOUTS,
    PINHOLE_YAML,
    POSES,
    START,
    ace,
    arkitscenes,
    picture,
    polycam,
    record3d,
    replica,
    rows,
    save,
    scannet,
    stray_scanner,
    tum_vi,
    write,
)

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.detect import OWN_CAMERAS
from aceg_ros.datasets.replica import PUBLISHED_CAMERA
from aceg_ros.errors import CameraError, DatasetError, ImageError
from aceg_ros.geometry.cameras import Camera

every = pytest.mark.parametrize('layout', LAYOUTS)
GIVEN = Camera.pinhole(64, 48, 55.0, 55.0, 31.0, 23.0)


@pytest.fixture
def written(tmp_path, layout):
    return LAYOUTS[layout](tmp_path / '40777060')


class TestEveryLayout:
    @every
    def test_same_poses(self, written):
        dataset = open_dataset(written)
        assert dataset.skipped == []
        found = [frame.world_from_cam for frame in dataset.frames]
        np.testing.assert_allclose(found, POSES, atol=1e-6)

    @every
    def test_same_camera(self, written, layout):
        for frame in open_dataset(written).frames:
            assert (frame.camera.width, frame.camera.height) == (64, 48)
            np.testing.assert_allclose(frame.camera.K, CAMERA.K, atol=1e-9)
            assert (frame.camera.model == 'equidistant') == (layout == 'TUM-VI')
            assert not frame.camera.distortion.any()

    @every
    def test_images_in_their_order(self, written):
        for index, frame in enumerate(open_dataset(written).frames):
            assert abs(frame.image().astype(int) - picture(index).astype(int)).mean() < 5.0

    @every
    def test_depth_in_meters(self, written):
        for frame in open_dataset(written).frames:
            depth = frame.depth()
            assert depth is None or (abs(depth - 2.0) < 1e-3).all()

    @every
    def test_times(self, written):
        """In seconds, where the layout has any; else they count."""
        stamps = [frame.stamp for frame in open_dataset(written).frames]
        counts = list(range(5))
        times = [START + INTERVAL * index for index in counts]
        assert stamps == counts or stamps == pytest.approx(times, abs=1e-6)

    @every
    def test_camera_given_by_the_user(self, written, layout):
        if layout.startswith(OWN_CAMERAS):
            with pytest.raises(CameraError, match='leave --camera out'):
                open_dataset(written, camera=GIVEN)
            return
        assert {frame.camera for frame in open_dataset(written, camera=GIVEN).frames} == {GIVEN}

    @every
    def test_camera_of_another_size_is_refused_in_words(self, written, layout):
        if layout.startswith(OWN_CAMERAS):
            return
        with pytest.raises((CameraError, DatasetError), match=r'64x48.*128x96'):
            open_dataset(written, camera=GIVEN.scaled(128, 96))

    @every
    def test_image_that_is_missing_is_named(self, written, layout):
        if layout == 'Stray Scanner':
            return
        image = open_dataset(written).frames[2].load_image.args[0]
        image.unlink()
        dataset = open_dataset(written)
        assert len(dataset) == 4
        np.testing.assert_allclose(dataset.frames[2].world_from_cam, POSES[3], atol=1e-6)


class TestAce:
    def test_splits(self, tmp_path):
        dataset = open_dataset(ace(tmp_path / 'scene'))
        assert dataset.splits == ['test', 'train']
        assert dataset.frames[0].name == 'train/0000.color.png'
        np.testing.assert_allclose(dataset.select('test').frames[0].world_from_cam, POSES[3])

    def test_one_split(self, tmp_path):
        dataset = open_dataset(ace(tmp_path / 'scene') / 'test')
        assert (dataset.name, len(dataset)) == ('scene/test', 2)

    def test_training_of_dsac(self, tmp_path):
        (ace(tmp_path / 'scene') / 'train').rename(tmp_path / 'scene/training')
        assert open_dataset(tmp_path / 'scene').splits == ['test', 'train']

    def test_matrix_as_calibration(self, tmp_path):
        root = ace(tmp_path / 'scene')
        for file in root.glob('*/calibration/*'):
            write(file, rows(GIVEN.K))
        assert open_dataset(root).frames[0].camera == GIVEN

    def test_other_names_pair_by_order(self, tmp_path):
        root = ace(tmp_path / 'scene')
        for file in sorted((root / 'train/poses').iterdir()):
            file.rename(file.with_name(f'pose_{file.name}'))
        np.testing.assert_allclose(open_dataset(root).frames[1].world_from_cam, POSES[1], atol=1e-9)

    def test_pose_that_is_missing_is_named(self, tmp_path):
        root = ace(tmp_path / 'scene')
        (root / 'train/poses/0001.pose.txt').unlink()
        (skipped,) = open_dataset(root).skipped
        assert skipped.startswith('train/0001.color.png: there is an image but no pose')

    def test_calibration_without_sense_is_named(self, tmp_path):
        root = ace(tmp_path / 'scene')
        write(root / 'train/calibration/0001.calibration.txt', 'focal 60')
        (skipped,) = open_dataset(root).skipped
        assert "0001.calibration.txt, line 1: 'focal' is no number" in skipped


class TestScanNet:
    def test_numbers_without_zeros_are_in_order(self, tmp_path):
        names = [frame.name for frame in open_dataset(scannet(tmp_path / 'scene')).frames]
        assert names == ['0.png', '5.png', '10.png', '15.png', '20.png']

    def test_lost_tracking_is_left_out(self, tmp_path):
        root = scannet(tmp_path / 'scene')
        write(root / 'pose/5.txt', '-inf -inf -inf -inf\n' * 4)
        dataset = open_dataset(root)
        assert len(dataset) == 4
        assert dataset.skipped[0].startswith('5.png: pose has nan or infinite entries')

    def test_frames_folder(self, tmp_path):
        scannet(tmp_path / 'scene/frames')
        assert open_dataset(tmp_path / 'scene').name == 'scene'

    def test_intrinsics_of_another_size_are_refused(self, tmp_path):
        """Images are often made smaller, and the file stays that of 1296x968."""
        root = scannet(tmp_path / 'scene')
        write(
            root / 'intrinsic/intrinsic_color.txt', '1170 0 648 0\n0 1170 484 0\n0 0 1 0\n0 0 0 1'
        )
        with pytest.raises(
            CameraError, match=r'intrinsic_color\.txt: .*the principal point lies outside'
        ):
            open_dataset(root)

    def test_without_intrinsics(self, tmp_path):
        root = scannet(tmp_path / 'scene')
        (root / 'intrinsic/intrinsic_color.txt').unlink()
        with pytest.raises(CameraError, match=r'intrinsic_color\.txt: is missing'):
            open_dataset(root)


class TestReplica:
    def test_parameters_above(self, tmp_path):
        root = replica(tmp_path / 'Replica/room0')
        (root / 'cam_params.json').rename(root.parent / 'cam_params.json')
        assert open_dataset(root).frames[0].camera == CAMERA

    def test_published_camera(self, tmp_path):
        root = replica(tmp_path / 'room0')
        (root / 'cam_params.json').unlink()
        for index in range(5):
            save(root / f'results/frame{index:06d}.png', picture(index, (1200, 680)))
        assert open_dataset(root).frames[0].camera == PUBLISHED_CAMERA

    def test_calibration_file(self, tmp_path):
        root = replica(tmp_path / 'room0')
        (root / 'cam_params.json').unlink()
        with pytest.raises(
            CameraError, match=r'camera of 64x48 images is not known; put cam_params'
        ):
            open_dataset(root)
        write(root / 'calibration.yaml', PINHOLE_YAML)
        assert open_dataset(root).frames[0].camera == CAMERA

    def test_some_frames_of_many_go_by_their_number(self, tmp_path):
        root = replica(tmp_path / 'room0')
        for index in (0, 1, 3):
            (root / f'results/frame{index:06d}.png').unlink()
        found = [frame.world_from_cam for frame in open_dataset(root).frames]
        np.testing.assert_allclose(found, POSES[[2, 4]], atol=1e-9)

    def test_numbers_and_poses_that_do_not_pair(self, tmp_path):
        root = replica(tmp_path / 'room0')
        (root / 'traj.txt').write_text(' '.join(map(str, POSES[0].ravel())))
        with pytest.raises(DatasetError, match=r'has 1 poses, but results/ has 5 frames'):
            open_dataset(root)

    @pytest.mark.parametrize(
        ('text', 'said'),
        [
            ('[]', 'holds no entries by name'),
            ('{', 'cannot be read as JSON'),
            ('{"camera": {"w": 64}}', "the entry 'h' is missing"),
            ('{"camera": 3}', 'lacks the entry "camera"'),
        ],
    )
    def test_parameters_without_sense(self, tmp_path, text, said):
        root = replica(tmp_path / 'room0')
        write(root / 'cam_params.json', text)
        with pytest.raises(CameraError, match=rf'cam_params\.json: {said}'):
            open_dataset(root)


class TestArkitScenes:
    def test_scan_of_the_raw_dataset(self, tmp_path):
        root = arkitscenes(tmp_path / '40777060') / '40777060_frames'
        assert len(open_dataset(root)) == 5

    def test_poses_between(self, tmp_path):
        root = arkitscenes(tmp_path / '40777060')
        file = root / '40777060_frames/lowres_wide.traj'
        lines = file.read_text().splitlines()
        file.write_text('\n'.join(lines[::2]))
        middle = open_dataset(root).frames[1].world_from_cam
        np.testing.assert_allclose(middle[:3, 3], (POSES[0] + POSES[2])[:3, 3] / 2, atol=1e-6)

    def test_larger_images_of_the_same_camera(self, tmp_path):
        root = arkitscenes(tmp_path / '40777060')
        frames = root / '40777060_frames'
        (frames / 'lowres_wide').rename(frames / 'vga_wide')
        (frames / 'lowres_wide_intrinsics').rename(frames / 'vga_wide_intrinsics')
        assert len(open_dataset(root)) == 5

    def test_calibration_a_millisecond_off(self, tmp_path):
        root = arkitscenes(tmp_path / '40777060')
        folder = root / '40777060_frames/lowres_wide_intrinsics'
        (folder / '40777060_100.000.pincam').rename(folder / '40777060_99.999.pincam')
        assert len(open_dataset(root)) == 5
        (folder / '40777060_99.999.pincam').unlink()
        assert 'there is no .pincam of its time' in open_dataset(root).skipped[0]

    def test_line_without_a_pose_is_named_and_bridges_nothing(self, tmp_path):
        root = arkitscenes(tmp_path / '40777060')
        file = root / '40777060_frames/lowres_wide.traj'
        lines = file.read_text().splitlines()
        lines[1] = '100.05 1e300 0 0 0 0 0'
        file.write_text('\n'.join(lines))
        dataset = open_dataset(root)
        assert len(dataset) == 4
        assert dataset.skipped[0] == 'lowres_wide.traj, line 2: is not seconds rx ry rz tx ty tz'


class TestPolycam:
    def test_original_images_where_none_were_corrected(self, tmp_path):
        keyframes = polycam(tmp_path / 'capture') / 'keyframes'
        (keyframes / 'corrected_images').rename(keyframes / 'images')
        (keyframes / 'corrected_cameras').rename(keyframes / 'cameras')
        dataset = open_dataset(keyframes)
        assert (dataset.name, len(dataset)) == ('capture', 5)
        assert 'has no corrected_images' in dataset.notes[0]

    def test_entry_that_is_missing_is_named(self, tmp_path):
        root = polycam(tmp_path / 'capture')
        file = root / 'keyframes/corrected_cameras/100000000.json'
        values = json.loads(file.read_text())
        del values['t_12']
        write(file, json.dumps(values))
        (skipped,) = open_dataset(root).skipped
        assert "100000000.json: the entry 't_12' is missing; a number is expected" in skipped


class TestRecord3d:
    def change(self, root, **entries):
        file = root / 'metadata.json'
        write(file, json.dumps(json.loads(file.read_text()) | entries))

    def test_unzipped_recording(self, tmp_path):
        root = record3d(tmp_path / 'scan')
        (root / 'rgb').rename(root / 'rgbd')
        (root / 'metadata.json').rename(root / 'metadata')
        assert len(open_dataset(root)) == 5

    def test_exr_folder(self, tmp_path):
        record3d(tmp_path / 'scan/EXR_RGBD')
        assert open_dataset(tmp_path / 'scan').name == 'scan'

    def test_autofocus_is_followed(self, tmp_path):
        root = record3d(tmp_path / 'scan')
        self.change(root, perFrameIntrinsicCoeffs=[[60.0 + i, 60.0, 31.5, 23.5] for i in range(5)])
        found = [frame.camera.K[0, 0] for frame in open_dataset(root).frames]
        assert found == [60.0, 61.0, 62.0, 63.0, 64.0]

    def test_images_larger_than_the_calibration(self, tmp_path):
        root = record3d(tmp_path / 'scan')
        K = CAMERA.scaled(32, 24).K
        self.change(root, w=32, h=24, K=K.T.ravel().tolist())
        np.testing.assert_allclose(open_dataset(root).frames[0].camera.K, CAMERA.K)

    def test_ten_or_more_images_are_in_order(self, tmp_path):
        root = record3d(tmp_path / 'scan')
        poses = json.loads((root / 'metadata.json').read_text())['poses']
        (root / 'rgb/1.png').rename(root / 'rgb/10.png')
        self.change(root, poses=poses * 3, frameTimestamps=None)
        names = [frame.name for frame in open_dataset(root).frames]
        assert names == ['0.png', '2.png', '3.png', '4.png', '10.png']

    def test_without_poses(self, tmp_path):
        root = record3d(tmp_path / 'scan')
        self.change(root, poses=[])
        with pytest.raises(DatasetError, match=r'has no "poses"; only recordings with the LiDAR'):
            open_dataset(root)

    def test_packed_says_how_to_unpack(self, tmp_path):
        write(tmp_path / 'scan.r3d', '')
        with pytest.raises(DatasetError, match='recording of Record3D; unzip it'):
            open_dataset(tmp_path / 'scan.r3d')


class TestStrayScanner:
    def test_frames_in_any_order(self, tmp_path):
        frames = open_dataset(stray_scanner(tmp_path / 'scan')).frames
        for index in (3, 1, 1, 4, 0):
            assert abs(frames[index].image().astype(int) - picture(index)).mean() < 5.0

    def test_old_odometry_without_header(self, tmp_path):
        root = stray_scanner(tmp_path / 'scan')
        lines = (root / 'odometry.csv').read_text().splitlines()[1:]
        write(root / 'odometry.csv', '\n'.join(', '.join(line.split(', ')[2:]) for line in lines))
        found = [frame.world_from_cam for frame in open_dataset(root).frames]
        np.testing.assert_allclose(found, POSES, atol=1e-6)

    def test_row_without_sense_leaves_its_frame_out(self, tmp_path):
        root = stray_scanner(tmp_path / 'scan')
        lines = (root / 'odometry.csv').read_text().splitlines()
        lines[2] = '100.05, 000001, nan, x'
        write(root / 'odometry.csv', '\n'.join(lines))
        dataset = open_dataset(root)
        assert dataset.skipped == ['000001: odometry.csv, line 3: does not hold a pose']
        np.testing.assert_allclose(dataset.frames[1].world_from_cam, POSES[2], atol=1e-6)

    def test_last_pose_without_frame_is_named(self, tmp_path):
        root = stray_scanner(tmp_path / 'scan')
        text = (root / 'odometry.csv').read_text()
        write(root / 'odometry.csv', text + '100.25, 000005, 0, 0, 0, 0, 0, 0, 1\n')
        assert open_dataset(root).skipped == ['000005: there is a pose but no frame in the video']

    def test_many_poses_without_frame_are_refused(self, tmp_path):
        root = stray_scanner(tmp_path / 'scan')
        lines = (root / 'odometry.csv').read_text().splitlines()
        write(root / 'odometry.csv', '\n'.join(lines + lines[1:]))
        with pytest.raises(DatasetError, match=r'rgb\.mp4 has 5 frames, odometry\.csv 10 poses'):
            open_dataset(root)

    def test_matrix_of_another_size(self, tmp_path):
        root = stray_scanner(tmp_path / 'scan')
        write(root / 'camera_matrix.csv', '1400, 0, 960\n0, 1400, 720\n0, 0, 1\n')
        with pytest.raises(
            CameraError, match=r'camera_matrix\.csv: .*the principal point lies outside'
        ):
            open_dataset(root)

    def test_damaged_video(self, tmp_path):
        root = stray_scanner(tmp_path / 'scan')
        (root / 'rgb.mp4').write_bytes(b'no video')
        with pytest.raises(DatasetError, match=r'rgb\.mp4: cannot be read as a video'):
            open_dataset(root)

    def test_video_that_ends_early(self, tmp_path):
        root = stray_scanner(tmp_path / 'scan')
        frame = open_dataset(root).frames[4]
        with pytest.raises(ImageError, match='frame 9 cannot be decoded'):
            frame.load_image.func(9)


class TestTumVi:
    def test_sensor_file_counts_more_than_the_chain(self, tmp_path):
        root = tum_vi(tmp_path / 'room1')
        write(
            root / 'mav0/cam0/sensor.yaml',
            f'T_BS: {{data: {np.eye(4).ravel().tolist()}}}\nresolution: [64, 48]\n'
            'intrinsics: [60, 60, 31.5, 23.5]\ndistortion_model: equidistant\n'
            'distortion_coefficients: [0, 0, 0, 0]\n',
        )
        pose = open_dataset(root).frames[0].world_from_cam
        assert abs(pose - POSES[0]).max() > 0.1

    def test_clock_of_the_body_that_is_ahead(self, tmp_path):
        """Kalibr: t_imu = t_cam + shift."""
        root = tum_vi(tmp_path / 'room1')
        chain = json.loads((root / 'dso/camchain.yaml').read_text())
        chain['cam0']['timeshift_cam_imu'] = INTERVAL
        write(root / 'dso/camchain.yaml', json.dumps(chain))
        dataset = open_dataset(root)
        np.testing.assert_allclose(dataset.frames[0].world_from_cam, POSES[1], atol=1e-6)
        assert (len(dataset), dataset.frames[0].stamp) == (4, START)

    def test_without_calibration(self, tmp_path):
        root = tum_vi(tmp_path / 'room1')
        shutil.rmtree(root / 'dso')
        with pytest.raises(CameraError, match=r'sensor\.yaml'):
            open_dataset(root)


@pytest.mark.parametrize('name', ['scan.sens', 'scan.zip', 'tour.mp4'])
def test_packed_files_say_what_to_do(tmp_path, name):
    write(tmp_path / name, '')
    with pytest.raises(DatasetError, match=r'give (the|a) folder'):
        open_dataset(tmp_path / name)
