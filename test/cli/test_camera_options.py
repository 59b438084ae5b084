"""--camera and --exif of the commands that read datasets."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from PIL import Image

from aceg_ros.cli import localize
from aceg_ros.cli.common import add_selection, images_at, selected
from aceg_ros.errors import CameraError

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
    assert len(images_at(given.images, given.camera, given.exif)) == 3
