"""NeRF and COLMAP layouts on tiny scenes."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.colmap import _make_camera
from aceg_ros.errors import CameraError, DatasetError
from aceg_ros.geometry.poses import inverse, pose_to_tum

GL_FROM_CV = np.diag([1.0, -1.0, -1.0, 1.0])


def nerf_frame(name, pose, **entries):
    return {'file_path': name, 'transform_matrix': (pose @ GL_FROM_CV).tolist(), **entries}


@pytest.fixture
def nerf(tmp_path, write_image, poses):
    for i in range(3):
        write_image(tmp_path / f'images/{i}.png')
    common = {'fl_x': 60.0, 'fl_y': 61.0, 'cx': 32.0, 'cy': 24.0, 'w': 64.0, 'h': 48.0}
    common |= {'k1': 0.1, 'k2': 0.02, 'p1': 0.001, 'p2': -0.002}
    frames = [nerf_frame(f'./images/{i}.png', poses[i]) for i in range(3)]
    (tmp_path / 'transforms.json').write_text(json.dumps({**common, 'frames': frames}))
    return tmp_path


def rewrite(folder, **changes):
    file = folder / 'transforms.json'
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


class TestNerf:
    def test_poses_and_camera(self, nerf, poses):
        dataset = open_dataset(nerf)
        assert not dataset.metric
        assert [frame.name for frame in dataset.frames] == [f'images/{i}.png' for i in range(3)]
        found = [frame.world_from_cam for frame in dataset.frames]
        np.testing.assert_allclose(found, poses[:3], atol=1e-12)
        camera = dataset.frames[0].camera
        assert camera.model == 'plumb_bob'
        np.testing.assert_array_equal(camera.K[:2, 2], [31.5, 23.5])
        np.testing.assert_array_equal(camera.distortion, [0.1, 0.02, 0.001, -0.002, 0.0])

    def test_own_intrinsics_of_a_frame(self, nerf, poses):
        frames = [nerf_frame('images/0.png', poses[0], fl_x=70.0), nerf_frame('images/1', poses[1])]
        rewrite(nerf, frames=frames)
        first, second = open_dataset(nerf).frames
        assert first.camera.K[0, 0] == 70.0
        assert second.camera.K[0, 0] == 60.0

    def test_angle_of_view_and_splits_of_a_synthetic_scene(self, nerf, poses):
        (nerf / 'transforms.json').unlink()
        for split, name in (('train', './images/0'), ('test', './images/1')):
            content = {'camera_angle_x': np.pi / 2, 'frames': [nerf_frame(name, poses[0])]}
            (nerf / f'transforms_{split}.json').write_text(json.dumps(content))
        dataset = open_dataset(nerf)
        assert dataset.splits == ['test', 'train']
        K = dataset.frames[0].camera.K
        np.testing.assert_allclose([K[0, 0], K[1, 1], K[0, 2], K[1, 2]], [32.0, 32.0, 31.5, 23.5])

    def test_fisheye(self, nerf):
        rewrite(nerf, camera_model='OPENCV_FISHEYE', k3=0.3, p1=0.0, p2=0.0)
        camera = open_dataset(nerf).frames[0].camera
        assert camera.model == 'equidistant'
        np.testing.assert_array_equal(camera.distortion, [0.1, 0.02, 0.3, 0.0])

    def test_frames_left_out_are_named(self, nerf, poses):
        frames = [
            nerf_frame('images/0.png', poses[0]),
            nerf_frame('images/1.png', np.full((4, 4), np.nan)),
            nerf_frame('images/absent.png', poses[0]),
            {'file_path': 'images/2.png'},
            {'transform_matrix': []},
        ]
        rewrite(nerf, frames=frames)
        dataset = open_dataset(nerf)
        assert len(dataset) == 1
        assert [entry.split(': ')[0] for entry in dataset.skipped] == [
            'transforms.json, frame 4',
            'images/1.png',
            'images/2.png',
            'images/absent.png',
        ]

    @pytest.mark.parametrize(
        ('changes', 'reason'),
        [
            ({'fl_x': None}, 'focal length is missing'),
            ({'fl_x': 'long'}, 'fl_x is no number'),
            ({'fl_x': 0.0}, 'not calibrated'),
            ({'fl_x': None, 'camera_angle_x': 0.0}, 'angle of view'),
            ({'k4': 0.1}, 'k4'),
            ({'w': 128}, 'calibration is for 128x48'),
            ({'frames': []}, 'no usable frame'),
            ({'frames': None}, 'lacks the list'),
        ],
    )
    def test_refused(self, nerf, changes, reason):
        rewrite(nerf, **changes)
        with pytest.raises(DatasetError, match=reason):
            open_dataset(nerf)

    @pytest.mark.parametrize(
        ('changes', 'named'),
        [
            ({'ftheta_p0': 0.1}, 'ftheta_p0'),
            ({'camera_model': 'EQUIRECTANGULAR'}, 'EQUIRECTANGULAR.*a panorama'),
            ({'distortion_params': [0.1, 0, 0, 0, 0, 0]}, 'given twice'),
            ({'k7': 0.1}, 'k7'),
            ({'lens_type': 'fisheye'}, 'fisheye'),
            ({'cx': 0.5, 'cy': 0.5, 'fl_x': 0.9, 'fl_y': 0.9}, 'normalized'),
        ],
    )
    def test_lens_that_is_not_understood_is_refused_by_name(self, nerf, changes, named):
        rewrite(nerf, **changes)
        with pytest.raises(DatasetError, match=rf'transforms\.json: .*{named}'):
            open_dataset(nerf)

    def test_other_entries_are_passed_over(self, nerf):
        rewrite(nerf, aabb_scale=4, ply_file_path='a.ply', distance=[1, 2], is_fisheye=False)
        assert len(open_dataset(nerf)) == 3

    def test_names_of_windows_and_without_padding(self, nerf, poses, write_image):
        for i in (9, 10):
            write_image(nerf / f'images/{i}.png')
        names = ['.\\images\\10.png', 'images\\9.png', 'images\\2']
        frames = [nerf_frame(name, pose) for name, pose in zip(names, poses, strict=False)]
        rewrite(nerf, frames=frames)
        found = [frame.name for frame in open_dataset(nerf).frames]
        assert found == ['images/2', 'images/9.png', 'images/10.png']

    def test_broken_json(self, nerf):
        (nerf / 'transforms.json').write_text('{"frames": [')
        with pytest.raises(DatasetError, match='JSON'):
            open_dataset(nerf)


def quaternion_and_translation(pose):
    x, y, z, qx, qy, qz, qw = pose_to_tum(inverse(pose))
    return [qw, qx, qy, qz, x, y, z]


def write_text_model(folder, poses):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'cameras.txt').write_text('# cameras\n7 SIMPLE_RADIAL 64 48 60.0 32.0 24.0 0.1\n')
    lines = ['# two lines an image']
    for i, pose in enumerate(poses):
        numbers = ' '.join(map(str, quaternion_and_translation(pose)))
        lines += [f'{i + 1} {numbers} 7 a b{i}.png', '' if i else '1.0 2.0 -1 3.0 4.0 9']
    (folder / 'images.txt').write_text('\n'.join(lines) + '\n')


def write_binary_model(folder, poses):
    folder.mkdir(parents=True, exist_ok=True)
    camera = struct.pack('<QiiQQ4d', 1, 7, 2, 64, 48, 60.0, 32.0, 24.0, 0.1)
    (folder / 'cameras.bin').write_bytes(camera)
    data = struct.pack('<Q', len(poses))
    for i, pose in enumerate(poses):
        data += struct.pack('<i7di', i + 1, *quaternion_and_translation(pose), 7)
        data += f'a b{i}.png'.encode() + b'\0'
        data += struct.pack('<Q', i) + struct.pack('<ddq', 1.0, 2.0, -1) * i
    (folder / 'images.bin').write_bytes(data)


@pytest.fixture
def images(tmp_path, write_image):
    for i in range(3):
        write_image(tmp_path / f'images/a b{i}.png')
    return tmp_path


class TestColmap:
    @pytest.mark.parametrize('write', [write_text_model, write_binary_model])
    @pytest.mark.parametrize('folder', ['', 'sparse', 'sparse/0'])
    def test_text_and_binary(self, images, poses, write, folder):
        write(images / folder, poses[:3])
        dataset = open_dataset(images)
        assert dataset.skipped == []
        found = [frame.world_from_cam for frame in dataset.frames]
        np.testing.assert_allclose(found, poses[:3], atol=1e-12)
        camera = dataset.frames[0].camera
        np.testing.assert_array_equal(camera.K, [[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1]])
        np.testing.assert_array_equal(camera.distortion, [0.1])
        assert len(open_dataset(images / folder)) == 3

    @pytest.mark.parametrize(
        ('name', 'parameters', 'model', 'distortion'),
        [
            ('SIMPLE_PINHOLE', [60, 32, 24], 'pinhole', []),
            ('PINHOLE', [60, 60, 32, 24], 'pinhole', []),
            ('RADIAL', [60, 32, 24, 1, 2], 'plumb_bob', [1, 2]),
            ('OPENCV', [60, 60, 32, 24, 1, 2, 3, 4], 'plumb_bob', [1, 2, 3, 4]),
            ('OPENCV_FISHEYE', [60, 60, 32, 24, 1, 2, 3, 4], 'equidistant', [1, 2, 3, 4]),
            ('SIMPLE_RADIAL_FISHEYE', [60, 32, 24, 1], 'equidistant', [1, 0, 0, 0]),
            ('RADIAL_FISHEYE', [60, 32, 24, 1, 2], 'equidistant', [1, 2, 0, 0]),
            ('FULL_OPENCV', [60, 60, 32, 24, *range(8)], 'rational_polynomial', list(range(8))),
        ],
    )
    def test_camera_models(self, name, parameters, model, distortion):
        camera = _make_camera(name, 64, 48, parameters)
        assert camera.model == model
        np.testing.assert_array_equal(camera.distortion, distortion)
        np.testing.assert_array_equal(camera.K, [[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1]])

    def test_unpaired_are_named(self, images, poses, write_image):
        write_text_model(images / 'sparse', poses[:3])
        (images / 'images/a b1.png').unlink()
        write_image(images / 'images/new.png')
        dataset = open_dataset(images)
        assert len(dataset) == 2
        assert dataset.skipped == [
            'a b1.png: the image file is missing',
            'new.png: is not registered in the model',
        ]

    @pytest.mark.parametrize('file', ['cameras.bin', 'images.bin'])
    def test_truncated_binary(self, images, poses, file):
        write_binary_model(images / 'sparse', poses[:3])
        content = (images / 'sparse' / file).read_bytes()
        (images / 'sparse' / file).write_bytes(content[:-20])
        with pytest.raises(DatasetError, match='damaged'):
            open_dataset(images)

    def test_garbled_text(self, images, poses):
        write_text_model(images / 'sparse', poses[:3])
        (images / 'sparse/images.txt').write_text('1 0 0\n\n')
        with pytest.raises(DatasetError, match='damaged'):
            open_dataset(images)

    def test_unsupported_camera(self, images, poses):
        write_text_model(images / 'sparse', poses[:3])
        (images / 'sparse/cameras.txt').write_text('7 FOV 64 48 60 60 32 24 0.5\n')
        with pytest.raises(
            DatasetError, match='camera 7: COLMAP camera model FOV is not supported'
        ):
            open_dataset(images)

    def test_unsupported_camera_in_binary(self, images, poses):
        write_binary_model(images / 'sparse', poses[:3])
        content = struct.pack('<QiiQQ5d', 1, 7, 7, 64, 48, 60.0, 60.0, 32.0, 24.0, 0.5)
        (images / 'sparse/cameras.bin').write_bytes(content)
        with pytest.raises(
            DatasetError, match='camera 7: COLMAP camera model FOV is not supported'
        ):
            open_dataset(images)

    def test_unknown_camera_in_binary(self, images, poses):
        write_binary_model(images / 'sparse', poses[:3])
        content = struct.pack('<QiiQQ5d', 1, 7, 99, 64, 48, 60.0, 60.0, 32.0, 24.0, 0.5)
        (images / 'sparse/cameras.bin').write_bytes(content)
        with pytest.raises(CameraError, match=r'cameras\.bin.*number 99.*output_type TXT'):
            open_dataset(images)

    def test_image_of_an_absent_camera(self, images, poses):
        write_text_model(images / 'sparse', poses[:3])
        (images / 'sparse/cameras.txt').write_text('8 PINHOLE 64 48 60 60 32 24\n')
        with pytest.raises(DatasetError, match='camera 7 is not in the model'):
            open_dataset(images)

    def test_no_images(self, tmp_path, poses):
        write_text_model(tmp_path / 'sparse', poses[:3])
        with pytest.raises(DatasetError, match='no folder "images"'):
            open_dataset(tmp_path)

    def test_largest_model_is_read(self, images, poses):
        for number, count in ((0, 1), (2, 3), (10, 2)):
            write_text_model(images / f'sparse/{number}', poses[:count])
        dataset = open_dataset(images)
        assert len(dataset) == 3
        expected = 'sparse/0 has 1 images, sparse/2 has 3 images, sparse/10 has 2 images'
        assert dataset.notes[0].endswith(expected)

    @pytest.mark.parametrize('points', ['', '1.0 2.0 -1'])
    @pytest.mark.parametrize('extra', ['\n', '\n\n# remark\n'])
    def test_empty_lines_and_remarks_anywhere(self, images, poses, points, extra):
        write_text_model(images / 'sparse', poses[:3])
        lines = (images / 'sparse/images.txt').read_text().splitlines()
        text = extra
        for line in lines[1::2]:
            text += f'{line}\n{points}\n{extra}'
        (images / 'sparse/images.txt').write_text(text)
        found = [frame.world_from_cam for frame in open_dataset(images).frames]
        np.testing.assert_allclose(found, poses[:3], atol=1e-12)

    def test_without_lines_of_points(self, images, poses):
        write_text_model(images / 'sparse', poses[:3])
        lines = (images / 'sparse/images.txt').read_text().splitlines()
        (images / 'sparse/images.txt').write_text('\n'.join(lines[1::2]))
        assert len(open_dataset(images)) == 3

    @pytest.mark.parametrize('write', [write_text_model, write_binary_model])
    def test_only_images_of_an_unsupported_camera_are_left_out(self, images, poses, write):
        write(images / 'sparse', poses[:3])
        if write is write_text_model:
            file = images / 'sparse/cameras.txt'
            file.write_text(file.read_text() + '8 SIMPLE_DIVISION 64 48 60 32 24 -0.01\n')
            file = images / 'sparse/images.txt'
            file.write_text(file.read_text().replace(' 7 a b1.png', ' 8 a b1.png'))
        else:
            file = images / 'sparse/cameras.bin'
            other = struct.pack('<iiQQ4d', 8, 12, 64, 48, 60.0, 32.0, 24.0, -0.01)
            file.write_bytes(struct.pack('<Q', 2) + other + file.read_bytes()[8:])
            file = images / 'sparse/images.bin'
            wanted = struct.pack('<i', 7) + b'a b1.png'
            file.write_bytes(file.read_bytes().replace(wanted, struct.pack('<i', 8) + wanted[4:]))
        dataset = open_dataset(images)
        assert [frame.name for frame in dataset.frames] == ['a b0.png', 'a b2.png']
        assert dataset.skipped[0].startswith(
            'a b1.png: its camera 8: COLMAP camera model SIMPLE_DI'
        )

    def test_names_of_windows(self, images, poses, write_image):
        write_image(images / 'images/cam0/1.png')
        write_text_model(images / 'sparse', poses[:1])
        file = images / 'sparse/images.txt'
        file.write_text(file.read_text().replace('a b0.png', 'cam0\\1.png'))
        assert [frame.name for frame in open_dataset(images).frames] == ['cam0/1.png']

    def test_damage_names_file_and_line(self, images, poses):
        write_text_model(images / 'sparse', poses[:3])
        file = images / 'sparse/images.txt'
        file.write_text(file.read_text().replace(' 7 a b1.png', ' seven a b1.png'))
        with pytest.raises(DatasetError, match=r'images\.txt, line 4: .*camera id and name'):
            open_dataset(images)
