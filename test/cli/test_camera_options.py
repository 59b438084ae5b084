"""--camera and --exif of the commands that read datasets."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from PIL import Image

from aceg_ros.cli import localize
from aceg_ros.cli.common import add_selection, images_at, selected
from aceg_ros.datasets import RecordingWriter
from aceg_ros.errors import CameraError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose

CALIBRATION = 'width: 64\nheight: 48\nfx: 60\nfy: 60\ncx: 32\ncy: 24\n'


@pytest.fixture
def folder(tmp_path):
    """Three upright pictures of 64x48, stored turned, with poses and a wrong calibration."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for index in range(3):
        Image.fromarray(np.zeros((64, 48, 3), np.uint8)).save(tmp_path / f'{index}.jpg', exif=exif)
    (tmp_path / 'poses.txt').write_text(''.join(f'{i} 0 0 0 0 0 0 1\n' for i in range(3)))
    (tmp_path / 'calibration.yaml').write_text(CALIBRATION.replace('64', '640'))
    (tmp_path / 'right.yaml').write_text(CALIBRATION)
    return tmp_path


def arguments(*words):
    parser = argparse.ArgumentParser()
    add_selection(parser)
    return parser.parse_args([str(word) for word in words])


def test_another_camera_and_upright_pictures(folder, capsys):
    given = arguments('--camera', folder / 'right.yaml', '--exif')
    dataset = selected(given, folder)
    assert [frame.camera.width for frame in dataset.frames] == [64, 64, 64]
    assert dataset.frames[0].image().shape == (48, 64, 3)
    assert capsys.readouterr().err == ''


def test_notes_are_printed(folder, capsys):
    (folder / 'across.yaml').write_text('width: 48\nheight: 64\nfx: 60\nfy: 60\ncx: 24\ncy: 32\n')
    selected(arguments('--camera', folder / 'across.yaml'), folder)
    assert 'EXIF orientation that is not applied' in capsys.readouterr().err


def test_a_bad_file_is_named(folder):
    with pytest.raises(CameraError, match=r'absent\.yaml: cannot be read'):
        selected(arguments('--camera', folder / 'absent.yaml'), folder)


def test_localize_takes_both(folder):
    parser = argparse.ArgumentParser()
    localize.add_arguments(parser)
    given = parser.parse_args(
        ['map', str(folder), '--camera', str(folder / 'right.yaml'), '--exif']
    )
    assert len(images_at(given.images, given)) == 3


def test_images_with_another_camera_keep_what_their_dataset_says(tmp_path):
    """Depth images are no images to ask for, and poses stay, by which a rig finds its mounts."""
    writer = RecordingWriter(tmp_path / 'r', Camera.pinhole(64, 48, 50.0, 50.0, 32.0, 24.0))
    for index in range(3):
        pose = make_pose(np.eye(3), [index, 0.0, 0.0])
        writer.add(np.zeros((48, 64, 3), np.uint8), pose, index + 1.0, np.ones((48, 64), 'f4'))
    (tmp_path / 'right.yaml').write_text(CALIBRATION)
    frames = images_at(tmp_path / 'r', arguments(), tmp_path / 'right.yaml').frames
    assert [frame.camera.K[0, 0] for frame in frames] == [60.0] * 3
    assert all(frame.load_depth for frame in frames)
    assert [frame.world_from_cam[0, 3] for frame in frames] == [0.0, 1.0, 2.0]


def test_images_without_poses(tmp_path):
    for index in range(3):
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / f'{index}.png')
    (tmp_path / 'right.yaml').write_text(CALIBRATION)
    frames = images_at(tmp_path, arguments('--camera', tmp_path / 'right.yaml')).frames
    assert [frame.world_from_cam for frame in frames] == [None] * 3
