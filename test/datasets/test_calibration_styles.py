"""Calibrations as other programs write them: read right, or refused by the entry's name."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets import read_camera
from aceg_ros.datasets.lens_models import resolve
from aceg_ros.errors import CameraError

HEAD = 'width: 640\nheight: 480\n'
PINHOLE = HEAD + 'fx: 500\nfy: 501\ncx: 320\ncy: 240\n'
RADTAN = [-0.28, 0.07, 0.0002, 0.00002]
KB = [-0.01, 0.02, -0.005, 0.001]

KALIBR = """\
cam0:
  cam_overlaps: []
  camera_model: pinhole
  distortion_coeffs: [-0.01, 0.02, -0.005, 0.001]
  distortion_model: equidistant
  intrinsics: [500, 501, 320, 240]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
  T_cam_imu: [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
  timeshift_cam_imu: 0.01
"""
OPENCV = """\
%YAML:1.0
---
calibration_time: "Thu 01 Jan 2015 10:00:00"
image_width: 640
image_height: 480
flags: 6
fisheye_model: 0
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 500., 0., 320., 0., 501., 240., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 4
   cols: 1
   dt: d
   data: [ -0.28, 0.07, 0.0002, 0.00002 ]
avg_reprojection_error: 3.9e-01
per_view_reprojection_errors: !!opencv-matrix
   rows: 2
   cols: 1
   dt: f
   data: [ 3.4e-01, 3.5e-01 ]
"""
OPENCV_XML = """\
<?xml version="1.0"?>
<opencv_storage>
<image_width>640</image_width>
<image_height>480</image_height>
<camera_matrix type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt>
  <data>500. 0. 320. 0. 501. 240. 0. 0. 1.</data></camera_matrix>
<distortion_coefficients type_id="opencv-matrix"><rows>4</rows><cols>1</cols><dt>d</dt>
  <data>-0.28 0.07 0.0002 0.00002</data></distortion_coefficients>
</opencv_storage>
"""
ORB_SLAM2 = """\
%YAML:1.0
Camera.fx: 500
Camera.fy: 501
Camera.cx: 320
Camera.cy: 240
Camera.k1: -0.28
Camera.k2: 0.07
Camera.p1: 0.0002
Camera.p2: 0.00002
Camera.width: 640
Camera.height: 480
Camera.fps: 20.0
Camera.bf: 47.9
Camera.RGB: 1
ThDepth: 35
ORBextractor.nFeatures: 1200
Viewer.KeyFrameSize: 0.05
"""
ORB_SLAM3 = """\
%YAML:1.0
File.version: "1.0"
Camera.type: "KannalaBrandt8"
Camera1.fx: 500
Camera1.fy: 501
Camera1.cx: 320
Camera1.cy: 240
Camera1.k1: -0.01
Camera1.k2: 0.02
Camera1.k3: -0.005
Camera1.k4: 0.001
Camera.width: 640
Camera.height: 480
IMU.NoiseGyro: 1.7e-04
"""
VINS = """\
%YAML:1.0
---
image_topic: "/cam0/image_raw"
model_type: PINHOLE
camera_name: camera
image_width: 640
image_height: 480
distortion_parameters:
   k1: -0.28
   k2: 0.07
   p1: 0.0002
   p2: 0.00002
projection_parameters:
   fx: 500
   fy: 501
   cx: 320
   cy: 240
fisheye: 0
max_cnt: 150
g_norm: 9.81
"""
VINS_FISHEYE = """\
%YAML:1.0
---
model_type: KANNALA_BRANDT
camera_name: camera
image_width: 640
image_height: 480
projection_parameters:
   k2: -0.01
   k3: 0.02
   k4: -0.005
   k5: 0.001
   mu: 500
   mv: 501
   u0: 320
   v0: 240
"""
NERFSTUDIO = """\
{"w": 640, "h": 480, "fl_x": 500, "fl_y": 501, "cx": 320.5, "cy": 240.5, "k1": -0.01, "k2": 0.02,
 "k3": -0.005, "k4": 0.001, "camera_model": "OPENCV_FISHEYE", "aabb_scale": 4,
 "frames": [{"file_path": "a.jpg", "sharpness": 30.5, "transform_matrix": [[1, 0, 0, 0]]}]}
"""
METASHAPE = """\
<?xml version="1.0" encoding="UTF-8"?>
<calibration>
  <projection>frame</projection>
  <width>640</width>
  <height>480</height>
  <f>501</f>
  <cx>0.5</cx>
  <cy>0.5</cy>
  <b1>-1</b1>
  <k1>-0.28</k1>
  <k2>0.07</k2>
  <p1>0.00002</p1>
  <p2>0.0002</p2>
  <date>2018-11-12T10:00:00Z</date>
</calibration>
"""
REALSENSE_JSON = """\
{"width": 640, "height": 480, "ppx": 320, "ppy": 240, "fx": 500, "fy": 501,
 "model": "Brown Conrady", "coeffs": [-0.28, 0.07, 0.0002, 0.00002, 0]}
"""
REALSENSE_TEXT = """\
 Intrinsic of "Fisheye 1" / 640x480 / {Y8}
  Width:      \t640
  Height:     \t480
  PPX:        \t320
  PPY:        \t240
  Fx:         \t500
  Fy:         \t501
  Distortion: \tKannala Brandt4
  Coeffs:     \t-0.01  \t0.02  \t-0.005  \t0.001  \t0
  FOV (deg):  \t65 x 51
"""
REALSENSE_PRINTED = (
    '[ 640x480  p[320 240]  f[500 501]  Brown Conrady [-0.28 0.07 0.0002 0.00002 0] ]'
)
MAPLAB = """\
label: ncamera
cameras:
- camera:
    label: cam0
    image_height: 480
    image_width: 640
    type: pinhole
    intrinsics: {cols: 1, rows: 4, data: [500, 501, 320, 240]}
    distortion:
      type: radial-tangential
      parameters: {cols: 1, rows: 4, data: [-0.28, 0.07, 0.0002, 0.00002]}
"""
COLMAP = '# cameras\n1 OPENCV 640 480 500 501 320.5 240.5 -0.28 0.07 0.0002 0.00002\n'
OPEN3D = '{"width": 640, "height": 480, "intrinsic_matrix": [500, 0, 0, 0, 501, 0, 320, 240, 1]}'


def read(tmp_path, text, name='camera.yaml'):
    file = tmp_path / name
    file.write_text(text, encoding='utf-8')
    return read_camera(file)


@pytest.mark.parametrize(
    ('text', 'name', 'model', 'coefficients'),
    [
        (KALIBR, 'camera.yaml', 'equidistant', KB),
        (KALIBR.replace('equidistant', 'equi'), 'camera.yaml', 'equidistant', KB),
        (OPENCV, 'camera.yml', 'plumb_bob', RADTAN),
        (OPENCV_XML, 'camera.xml', 'plumb_bob', RADTAN),
        (ORB_SLAM2, 'camera.yaml', 'plumb_bob', RADTAN),
        (ORB_SLAM3, 'camera.yaml', 'equidistant', KB),
        (VINS, 'camera.yaml', 'plumb_bob', RADTAN),
        (VINS_FISHEYE, 'camera.yaml', 'equidistant', KB),
        (NERFSTUDIO, 'transforms.json', 'equidistant', KB),
        (METASHAPE, 'camera.xml', 'plumb_bob', RADTAN),
        (REALSENSE_JSON, 'camera.json', 'plumb_bob', RADTAN),
        (REALSENSE_TEXT, 'camera.txt', 'equidistant', KB),
        (REALSENSE_PRINTED, 'camera.txt', 'plumb_bob', RADTAN),
        (MAPLAB, 'camera.yaml', 'plumb_bob', RADTAN),
        (COLMAP, 'cameras.txt', 'plumb_bob', RADTAN),
        (OPEN3D, 'camera.json', 'pinhole', []),
    ],
)
def test_read_right(tmp_path, text, name, model, coefficients):
    camera = read(tmp_path, text, name)
    assert (camera.model, camera.width, camera.height) == (model, 640, 480)
    np.testing.assert_allclose(camera.K, [[500, 0, 320], [0, 501, 240], [0, 0, 1]])
    found = camera.distortion
    np.testing.assert_allclose(found[: len(coefficients)], coefficients)
    assert not found[len(coefficients) :].any()


class TestEntries:
    @pytest.mark.parametrize(
        ('entries', 'coefficients'),
        [
            ('dist_coeffs: [0.26, -0.95, -0.005, 0.002, 1.16]', [0.26, -0.95, -0.005, 0.002, 1.16]),
            ('Distortion_Coeffs: 0.1 0.2 0 0', [0.1, 0.2, 0, 0]),
            (
                'k1: 0.26\nk2: -0.95\np1: -0.005\np2: 0.002\nk3: 1.16',
                [0.26, -0.95, -0.005, 0.002, 1.16],
            ),
            ('radial_distortion: [0.1, 0.2]\ntangential_distortion: [0, 0]', [0.1, 0.2, 0, 0, 0]),
            ('distortion:\n  model: radtan\n  k1: 0.1\n  k2: 0.2', [0.1, 0.2, 0, 0, 0]),
        ],
    )
    def test_coefficients_by_any_name(self, tmp_path, entries, coefficients):
        camera = read(tmp_path, PINHOLE + entries)
        np.testing.assert_allclose(camera.distortion, coefficients)

    @pytest.mark.parametrize(
        ('entries', 'named'),
        [
            ('lens_shape: fisheye', 'lens_shape'),
            ('omega: 0.9', 'omega'),
            ('warp: [0.1, 0.2]', 'warp'),
            ('distortion_model: radtan', 'radtan.*no coefficients'),
            ('camera_model: OPENCV_FISHEYE', 'OPENCV_FISHEYE.*no coefficients'),
            ('camera_model: fisheye\ndistortion_model: plumb_bob\nd: [1, 2, 0, 0]', 'contradict'),
            ('camera_model: omni\nd: [0.1, 0, 0, 0]', "omni.*Mei's"),
            ('distortion_model: FOV\nd: [0.9]', 'FOV.*field-of-view'),
            ('k1: 0.1\nk7: 0.1', 'k7'),
            ('r1: 0.1', 'r1'),
            ('image_size: [320, 240]', 'image_size'),
            ('K: [510, 0, 320, 0, 501, 240, 0, 0, 1]', 'differ'),
            ('distortion: [0.1, 0, 0, 0]\nk1: 0.2', 'twice'),
            ('xi: 1.2', 'xi'),
            ('binning_x: 2', 'binning_x'),
            ('roi: {x_offset: 10, y_offset: 0, width: 100, height: 100}', 'roi'),
            ('k1: [1, 2]', "'k1' holds 2 numbers"),
            ('fx: 510', "'fx' is there twice"),
            ('D: [0.1, 0.02, 0.3, -0.2]', 'model it does not name'),
        ],
    )
    def test_not_understood_is_refused_by_name(self, tmp_path, entries, named):
        with pytest.raises(CameraError, match=named) as caught:
            read(tmp_path, PINHOLE + entries)
        assert str(tmp_path / 'camera.yaml') in str(caught.value)

    @pytest.mark.parametrize(
        'entries',
        ['comment: left camera', 'skew: 0', 'omega: 0.0', 'serial_no: 12', 'binning_x: 1'],
    )
    def test_harmless_is_passed_over(self, tmp_path, entries):
        assert read(tmp_path, PINHOLE + entries).model == 'pinhole'

    def test_no_python_words(self, tmp_path):
        for text in (HEAD + 'fx: {}\n', HEAD + 'K: none\n', PINHOLE + 'd: [a]', '- 1', 'a: *b'):
            with pytest.raises(CameraError) as caught:
                read(tmp_path, text)
            for word in ('NoneType', 'KeyError', 'float()', 'unicode string', ' 0x', 'object'):
                assert word not in str(caught.value)


class TestHostile:
    def test_aliases_that_make_much_of_little(self, tmp_path):
        lists = 'a0: &a0 [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]\n'
        for level in range(12):
            lists += f'a{level + 1}: &a{level + 1} [{", ".join([f"*a{level}"] * 10)}]\n'
        for text in (PINHOLE + 'd: 0\n' + lists, PINHOLE + lists + 'd: *a12\n', lists):
            with pytest.raises(CameraError):
                read(tmp_path, text)

    @pytest.mark.parametrize('text', ['[' * 20_000, '{"a":' * 20_000, 'a: [' * 10_000])
    def test_nesting(self, tmp_path, text):
        for name in ('camera.yaml', 'camera.json'):
            with pytest.raises(CameraError, match=r'nested|neither'):
                read(tmp_path, text, name)

    def test_xml_with_declarations(self, tmp_path):
        with pytest.raises(CameraError, match='declarations'):
            read(tmp_path, '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 'camera.xml')


class TestSeveralCameras:
    PAIR = KALIBR + KALIBR.replace('cam0', 'cam1').replace('[500, 501', '[400, 401')

    def test_choice_is_asked_for(self, tmp_path):
        with pytest.raises(CameraError, match=r'cam0, cam1; choose one by --camera FILE#cam0'):
            read(tmp_path, self.PAIR)

    def test_common_part_of_orb_slam3(self, tmp_path):
        second = ORB_SLAM3[ORB_SLAM3.index('Camera1') : ORB_SLAM3.index('Camera.width')]
        second = second.replace('Camera1', 'Camera2').replace('500', '400')
        (tmp_path / 'pair.yaml').write_text(ORB_SLAM3 + second)
        camera = read_camera(f'{tmp_path}/pair.yaml#Camera2')
        assert (camera.model, camera.width, camera.K[0, 0]) == ('equidistant', 640, 400)

    def test_what_lies_beside_the_cameras_is_understood_too(self, tmp_path):
        with pytest.raises(CameraError, match='lens_shape'):
            read(tmp_path, KALIBR + 'lens_shape: fisheye\n')

    def test_parts_of_one_name(self, tmp_path):
        part = '- camera:\n    resolution: [640, 480]\n    intrinsics: [{}, {}, 320, 240]\n'
        (tmp_path / 'rig.yaml').write_text(
            'cameras:\n' + part.format(500, 500) + part.format(400, 400)
        )
        with pytest.raises(CameraError, match='camera, camera1'):
            read_camera(tmp_path / 'rig.yaml')
        assert read_camera(f'{tmp_path}/rig.yaml#camera1').K[0, 0] == 400

    def test_choice(self, tmp_path):
        (tmp_path / 'camchain.yaml').write_text(self.PAIR)
        assert read_camera(f'{tmp_path}/camchain.yaml#cam1').K[0, 0] == 400
        with pytest.raises(CameraError, match="no camera 'cam2'; there are: cam0, cam1"):
            read_camera(f'{tmp_path}/camchain.yaml#cam2')


class TestModels:
    @pytest.mark.parametrize(
        ('name', 'count', 'expected'),
        [
            ('Plumb Bob', 5, 'plumb_bob'),
            ('plumb_bob', 8, 'rational_polynomial'),
            ('rational_polynomial', 5, 'plumb_bob'),
            ('OPENCV', 4, 'plumb_bob'),
            ('Radial-Tangential', 4, 'plumb_bob'),
            ('Brown Conrady', 5, 'plumb_bob'),
            ('', 8, 'rational_polynomial'),
            ('Kannala-Brandt', 4, 'equidistant'),
            ('KANNALA_BRANDT4', 4, 'equidistant'),
            ('OPENCV_FISHEYE', 4, 'equidistant'),
            ('Equidistant', 4, 'equidistant'),
        ],
    )
    def test_names_and_counts(self, name, count, expected):
        coefficients = np.full(count, 0.01)
        for padding in (0, 1) if expected == 'equidistant' else (0, 14 - count):
            model, found = resolve('', name, np.pad(coefficients, (0, padding)))
            assert model == expected
            np.testing.assert_array_equal(found[:count], coefficients)

    @pytest.mark.parametrize(
        ('name', 'coefficients', 'reason'),
        [
            ('rational_polynomial', [0.1] * 12, 'thin prism'),
            ('', [0.1] * 14, 'thin prism'),
            ('plumb_bob', [0.1] * 3, '3 distortion coefficients; 4, 5, 8'),
            ('equidistant', [0.1] * 5, 'takes 4'),
            ('equidistant', [], 'takes 4'),
            ('Inverse Brown Conrady', [0.1, 0, 0, 0, 0], 'straightens'),
            ('none', [0.1, 0, 0, 0], 'without distortion'),
            ('cubic', [0.1], "'cubic' is unknown"),
            ('plumb_bob', [np.nan, 0, 0, 0], 'nan'),
        ],
    )
    def test_refused(self, name, coefficients, reason):
        with pytest.raises(CameraError, match=reason):
            resolve('', name, np.array(coefficients, dtype=float))

    def test_librealsense_without_coefficients(self):
        model, _ = resolve('Inverse Brown Conrady', '', np.zeros(5))
        assert model == 'plumb_bob'


class TestPlausibility:
    @pytest.mark.parametrize(
        ('size', 'numbers', 'reason'),
        [
            ((4032, 3024), (4.25, 4.25, 2.9, 2.2), 'millimeters'),
            ((640, 480), (0.82, 1.09, 0.5, 0.5), 'normalized'),
            ((640, 480), (500, 500, 240, 640), 'outside the image'),
            ((640, 480), (500, 500, 240, 320), 'swapped'),
            ((640, 480), (320, 240, 400, 400), 'cx, cy seem to be swapped'),
            ((640, 480), (500, 320, 500, 240), 'fx, cx, fy, cy'),
            ((640, 480), (500, 500, 0, 0), 'corner'),
            ((640, 480), (500, 500, 3, -2), 'outside|corner'),
            ((640, 480), (250, 250, 160, 120), 'image of 321x241'),
            ((320, 240), (500, 500, 310, 238), 'image of 62'),
            ((640, 480), (500000, 500000, 320, 240), 'micrometers'),
        ],
    )
    def test_impossible_is_refused_with_the_mistake(self, tmp_path, size, numbers, reason):
        fx, fy, cx, cy = numbers
        text = f'width: {size[0]}\nheight: {size[1]}\nfx: {fx}\nfy: {fy}\ncx: {cx}\ncy: {cy}\n'
        with pytest.raises(CameraError, match=reason):
            read(tmp_path, text)

    @pytest.mark.parametrize(
        ('size', 'numbers'),
        [
            ((640, 480), (500, 500, 330, 230)),
            ((1080, 1920), (1375, 1374, 554, 965)),
            ((640, 480), (500, 660, 300, 260)),  # stretched
            ((640, 480), (500, 500, 200, 290)),  # a part of a larger image
            ((6000, 4000), (100000, 100000, 3000, 2000)),  # a telescope
        ],
    )
    def test_unusual_is_accepted(self, tmp_path, size, numbers):
        fx, fy, cx, cy = numbers
        text = f'width: {size[0]}\nheight: {size[1]}\nfx: {fx}\nfy: {fy}\ncx: {cx}\ncy: {cy}\n'
        assert read(tmp_path, text).K[0, 0] == fx


class TestSkew:
    MATRIX = HEAD + 'K: [500, {}, 320, 0, 500, 240, 0, 0, 1]\n'

    def test_less_than_a_pixel_is_taken_as_none(self, tmp_path):
        assert read(tmp_path, self.MATRIX.format(-1.5)).K[0, 1] == 0.0

    def test_more_names_the_remedy(self, tmp_path):
        with pytest.raises(CameraError, match=r'skew of 4.*--fisheye-fix-skew'):
            read(tmp_path, self.MATRIX.format(4.2))
