"""Replica as rendered for iMAP and NICE-SLAM: `results/frame000000.jpg` and `traj.txt`.

A line of `traj.txt` is one world_from_cam, 16 numbers by rows, with x right, y down, z forward:
NICE-SLAM's reader (github.com/cvg/nice-slam, src/utils/datasets.py) turns these axes to OpenGL's
for its renderer. `cam_params.json`, in the folder or above it, holds the camera and the scale of
`results/depth000000.png`; without it a calibration file, or the published camera, is taken.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.calibration import Calibration, find_calibration, read_calibration
from aceg_ros.datasets.images import image_size, list_images, read_depth
from aceg_ros.datasets.json_file import number, read_json
from aceg_ros.datasets.trajectory import read_table
from aceg_ros.errors import CameraError, DatasetError, PoseError
from aceg_ros.geometry.cameras import Camera

SIGNATURE = 'traj.txt and results/frame*.jpg'

TRAJECTORY, IMAGES, PARAMETERS = 'traj.txt', 'results', 'cam_params.json'
DEPTH_UNITS_PER_METER = 6553.5
_ENTRIES = ('w', 'h', 'fx', 'fy', 'cx', 'cy')
PUBLISHED_CAMERA = Camera.pinhole(1200, 680, 600.0, 600.0, 599.5, 339.5)


def recognize(path: Path) -> bool:
    """Whether `path` is a sequence of this layout."""
    return (path / TRAJECTORY).is_file() and bool(_frames(path))


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read a sequence; `camera` replaces its own. Raises DatasetError or CameraError."""
    frames = _frames(path)
    if camera is None:
        calibration = _calibration(path, image_size(frames[0][1]))
    else:
        calibration = Calibration(camera)
    poses = _read_poses(path / TRAJECTORY)
    numbered = frames[-1][0] < len(poses)
    if not numbered and len(frames) != len(poses):
        raise DatasetError(
            f'{path / TRAJECTORY}: has {len(poses)} poses, but {IMAGES}/ has {len(frames)} frames, '
            f'numbered to {frames[-1][0]}; a pose for each number is expected'
        )
    units = calibration.depth_scale or DEPTH_UNITS_PER_METER
    collector = FrameCollector()
    for index, (named, image) in enumerate(frames):
        depth = image.with_name(re.sub('^frame', 'depth', image.stem) + '.png')
        with collector.skipping(image.name):
            pose = poses[named if numbered else index]
            if isinstance(pose, str):
                raise PoseError(pose)
            collector.add(
                image.name,
                image,
                calibration.camera,
                pose,
                load_depth=partial(read_depth, depth, units) if depth.is_file() else None,
                depth_camera=calibration.depth_camera,
                color_from_depth=calibration.color_from_depth,
            )
    return collector.dataset(path.resolve().name, metric=True)


def _frames(path: Path) -> list[tuple[int, Path]]:
    """Numbers and image files, by number."""
    if not (path / IMAGES).is_dir():
        return []
    found = [
        (int(match.group(1)), file)
        for file in list_images(path / IMAGES)
        if (match := re.fullmatch(r'frame(\d+)', file.stem))
    ]
    return sorted(found)


def _read_poses(path: Path) -> list[NDArray[np.float64] | str]:
    """Pose (4, 4) of each line, or what is wrong with it."""
    poses: list[NDArray[np.float64] | str] = []
    for line, words in read_table(path):
        try:
            poses.append(np.array([float(word) for word in words]).reshape(4, 4))
        except ValueError:
            poses.append(f'{path.name}, line {line}: does not hold 16 numbers')
    if not poses:
        raise DatasetError(f'{path}: holds no pose; lines of 16 numbers are expected')
    return poses


def _calibration(path: Path, size: tuple[int, int]) -> Calibration:
    for folder in (path, path.resolve().parent):
        if (folder / PARAMETERS).is_file():
            return _read_parameters(folder / PARAMETERS)
    file = find_calibration(path)
    if file is not None:
        return read_calibration(file)
    if size == (PUBLISHED_CAMERA.width, PUBLISHED_CAMERA.height):
        return Calibration(PUBLISHED_CAMERA)
    raise CameraError(
        f'{path}: the camera of {size[0]}x{size[1]} images is not known; put {PARAMETERS} or a '
        'calibration.yaml there, or give the calibration by --camera FILE'
    )


def _read_parameters(file: Path) -> Calibration:
    try:
        values = read_json(file).get('camera')
    except DatasetError as error:
        raise CameraError(str(error)) from error
    if not isinstance(values, dict):
        raise CameraError(f'{file}: lacks the entry "camera" with w, h, fx, fy, cx, cy and scale')
    w, h, fx, fy, cx, cy = (number(values, name, file) for name in _ENTRIES)
    scale = number({'scale': DEPTH_UNITS_PER_METER} | values, 'scale', file)
    if not scale > 0.0:
        raise CameraError(f'{file}: scale is {scale:g}; give the units of depth per meter')
    try:
        return Calibration(Camera.pinhole(int(w), int(h), fx, fy, cx, cy), depth_scale=scale)
    except CameraError as error:
        raise CameraError(f'{file}: {error}') from error
