"""Calibration files: each style, and what cannot be used."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aceg_ros.datasets.calibration import (
    Calibration,
    camera_from_mapping,
    find_calibration,
    read_calibration,
    read_camera,
    write_calibration,
)
from aceg_ros.errors import CameraError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix

EXPECTED = Camera(
    'plumb_bob',
    64,
    48,
    intrinsic_matrix(60.0, 61.0, 31.5, 23.5),
    np.array([0.1, -0.05, 0.001, 0.002, 0.0]),
)

ROS_FILE = """\
image_width: 64
image_height: 48
camera_name: head
camera_matrix:
  rows: 3
  cols: 3
  data: [60.0, 0.0, 31.5, 0.0, 61.0, 23.5, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -0.05, 0.001, 0.002, 0.0]
projection_matrix:
  rows: 3
  cols: 4
  data: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
"""

ROS_MESSAGE = """\
header:
  frame_id: camera
height: 48
width: 64
distortion_model: plumb_bob
d: [0.1, -0.05, 0.001, 0.002, 0.0]
k: [60.0, 0.0, 31.5, 0.0, 61.0, 23.5, 0.0, 0.0, 1.0]
p: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
---
"""

ASL_FILE = """\
resolution: [64, 48]
camera_model: pinhole
intrinsics: [60.0, 61.0, 31.5, 23.5] #fu, fv, cu, cv
distortion_model: radial-tangential
distortion_coefficients: [0.1, -0.05, 0.001, 0.002, 0.0]
"""


class TestStyles:
    @pytest.mark.parametrize('text', [ROS_FILE, ROS_MESSAGE, ASL_FILE])
    def test_yaml(self, tmp_path, text):
        (tmp_path / 'camera.yaml').write_text(text)
        assert read_camera(tmp_path / 'camera.yaml') == EXPECTED

    def test_simple(self, tmp_path, simple_calibration):
        (tmp_path / 'calibration.yaml').write_text(simple_calibration)
        assert read_camera(tmp_path / 'calibration.yaml') == EXPECTED

    def test_json_of_a_camera(self, tmp_path):
        (tmp_path / 'camera.json').write_text(json.dumps(EXPECTED.to_dict()))
        assert read_camera(tmp_path / 'camera.json') == EXPECTED

    @pytest.mark.parametrize(
        ('model', 'coefficients', 'expected'),
        [
            ('fisheye', [0.1, 0.2, 0.3, 0.4], ('equidistant', 4)),
            ('', [], ('pinhole', 0)),
            ('', [0.1] * 8, ('rational_polynomial', 8)),
            ('plumb_bob', [], ('pinhole', 0)),
            ('plumb_bob', [0.1, 0.2, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0], ('plumb_bob', 5)),
            ('rational_polynomial', [0.1] * 8 + [0.0] * 6, ('rational_polynomial', 8)),
        ],
    )
    def test_names_and_padding(self, model, coefficients, expected):
        values = {'width': 64, 'height': 48, 'fx': 60, 'fy': 60, 'cx': 32, 'cy': 24}
        values |= {'distortion_model': model, 'distortion': coefficients}
        camera = camera_from_mapping(values)
        assert (camera.model, camera.distortion.size) == expected

    def test_find(self, tmp_path):
        assert find_calibration(tmp_path) is None
        (tmp_path / 'camera_info.yaml').write_text(ROS_FILE)
        assert find_calibration(tmp_path) == tmp_path / 'camera_info.yaml'


class TestWriting:
    @pytest.mark.parametrize(
        'calibration',
        [
            Calibration(EXPECTED),
            Calibration(
                Camera.pinhole(64, 48, 60.1, 60.2, 31.0, 23.0),
                EXPECTED,
                5000.0,
                (-0.025, 0.0, 0.001, 0.0, 0.0, 0.0, 1.0),
            ),
        ],
    )
    def test_round_trip(self, tmp_path, calibration):
        write_calibration(tmp_path / 'c.yaml', calibration)
        assert read_calibration(tmp_path / 'c.yaml') == calibration

    def test_unwritable(self, tmp_path):
        (tmp_path / 'file').write_text('')
        with pytest.raises(CameraError, match='cannot be written'):
            write_calibration(tmp_path / 'file' / 'c.yaml', Calibration(EXPECTED))


class TestBad:
    @pytest.mark.parametrize(
        ('text', 'reason'),
        [
            ('', 'no entries'),
            ('[1, 2', 'neither YAML nor JSON'),
            ('- 1\n- 2', 'no entries'),
            ('width: 64\nfx: 1\nfy: 1\ncx: 1\ncy: 1', 'image size'),
            ('width: 64\nheight: 48', 'focal lengths'),
            ('width: 64\nheight: 48\nK: [1, 2, 3]', '3 numbers'),
            ('width: 64\nheight: 48\nK: [0, 0, 0, 0, 0, 0, 0, 0, 0]', 'not calibrated'),
            ('resolution: [64, 48]\nintrinsics: [60, 60]', '2 numbers'),
            (ASL_FILE + 'depth_scale: 0', 'depth_scale'),
            (ASL_FILE + 'depth_camera: 5', 'no entries'),
            (ASL_FILE + 'depth_pose: 5', 'depth_pose is 5; give the place'),
            (ASL_FILE + 'depth_pose: [0, 0, 0, 0, 0, 0, 9]', 'depth_pose'),
            (ASL_FILE.replace('radial-tangential', 'omni'), 'not supported'),
            (ASL_FILE.replace('0.002', 'small'), 'no number'),
        ],
    )
    def test_refused_by_name(self, tmp_path, text, reason):
        file = tmp_path / 'camera.yaml'
        file.write_text(text)
        with pytest.raises(CameraError, match=reason) as caught:
            read_calibration(file)
        assert str(file) in str(caught.value)

    def test_bad_json(self, tmp_path):
        (tmp_path / 'camera.json').write_text('{"width": ')
        with pytest.raises(CameraError, match='neither'):
            read_camera(tmp_path / 'camera.json')

    def test_missing(self, tmp_path):
        with pytest.raises(CameraError, match='cannot be read'):
            read_camera(tmp_path / 'camera.yaml')
