"""TUM RGB-D layout (Sturm et al., IROS 2012): image lists and a motion-capture trajectory.

`rgb.txt` and `depth.txt` list `stamp file`; `groundtruth.txt` is a TUM trajectory. Depth is
registered to color, 5000 units per meter. Without a calibration file in the folder, the published
one of freiburg1, 2 or 3 is taken if the folder's name says which.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.calibration import Calibration, folder_calibration
from aceg_ros.datasets.images import read_depth
from aceg_ros.datasets.names import file_named, shown
from aceg_ros.datasets.times import NUMBERS
from aceg_ros.datasets.trajectory import read_stamped_files, read_trajectory
from aceg_ros.errors import CameraError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix

SIGNATURE = 'rgb.txt and groundtruth.txt'

DEPTH_UNITS_PER_METER = 5000.0
# Half the distance of two images at 30 Hz, with a little room.
MAX_DEPTH_OFFSET = 0.02

# From the benchmark's page on file formats; OpenCV's order.
PUBLISHED_CAMERAS = {
    '1': Camera(
        'plumb_bob',
        640,
        480,
        intrinsic_matrix(517.3, 516.5, 318.6, 255.3),
        np.array([0.2624, -0.9531, -0.0054, 0.0026, 1.1633]),
    ),
    '2': Camera(
        'plumb_bob',
        640,
        480,
        intrinsic_matrix(520.9, 521.0, 325.1, 249.7),
        np.array([0.2312, -0.7849, -0.0033, -0.0001, 0.9172]),
    ),
    '3': Camera.pinhole(640, 480, 535.4, 539.2, 320.1, 247.6),
}


def recognize(path: Path) -> bool:
    """Whether `path` is a sequence of this layout."""
    return (path / 'rgb.txt').is_file() and (path / 'groundtruth.txt').is_file()


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read a sequence; poses are interpolated between ground truth at most 0.1 s apart.

    `camera` replaces that of the calibration. Raises DatasetError or CameraError.
    """
    calibration = _calibration(path, camera)
    trajectory, problems = read_trajectory(path / 'groundtruth.txt')
    times, files = read_stamped_files(path / 'rgb.txt', trajectory.stamps)
    depth_stamps, depth_files = np.zeros(0), list[str]()
    if (path / 'depth.txt').is_file():
        depth_times, depth_files = read_stamped_files(path / 'depth.txt', times.seconds)
        depth_stamps = depth_times.seconds
    units = calibration.depth_scale or DEPTH_UNITS_PER_METER
    collector = FrameCollector()
    for line, reason in problems:
        collector.skip(line, reason)
    for name, unit in (('rgb.txt', times.taken_as), ('groundtruth.txt', trajectory.taken_as)):
        if unit not in ('seconds', NUMBERS):
            collector.note(f'{path}: times in {name} were taken as {unit}')
    for stamp, file in zip(times.seconds.tolist(), files, strict=True):
        with collector.skipping(shown(file)):
            depth = _nearest(stamp, depth_stamps, depth_files)
            depth_file = None if depth is None else file_named(path, depth)
            collector.add(
                shown(file),
                file_named(path, file),
                calibration.camera,
                trajectory.at(stamp),
                stamp=stamp,
                load_depth=None if depth_file is None else partial(read_depth, depth_file, units),
                depth_camera=calibration.depth_camera,
                color_from_depth=calibration.color_from_depth,
            )
    return collector.dataset(path.resolve().name, metric=True)


def _calibration(path: Path, camera: Camera | None) -> Calibration:
    calibration = folder_calibration(path, camera)
    if calibration is not None:
        return calibration
    sensor = re.search(r'(?:freiburg|fr)([123])(?!\d)', path.resolve().name)
    if sensor is None:
        raise CameraError(
            f'{path}: the camera is not known; put a calibration.yaml there, or give --camera FILE'
        )
    return Calibration(PUBLISHED_CAMERAS[sensor.group(1)])


def _nearest(stamp: float, stamps: np.ndarray, files: list[str]) -> str | None:
    if not files:
        return None
    nearest = int(np.abs(stamps - stamp).argmin())
    return files[nearest] if abs(stamps[nearest] - stamp) <= MAX_DEPTH_OFFSET else None
