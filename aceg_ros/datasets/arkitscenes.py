"""ARKitScenes layout (Baruch et al., NeurIPS 2021): a scan made with an iPad.

`lowres_wide/<video>_<seconds>.png`, `lowres_wide_intrinsics/<the same>.pincam`, `lowres_wide.traj`
and `lowres_depth/` (millimeters), in the scan's folder (raw) or in `<video>_frames` (3dod). From
DATA.md and tenFpsDataLoader.py (github.com/apple/ARKitScenes): a line of the trajectory is `seconds
rx ry rz tx ty tz`, an axis times angle (rad) and a translation (m) of cam_from_world, with x right,
y down, z forward; a `.pincam` is `width height fx fy cx cy`. Images lie as the sensor does,
whichever way the tablet was held. The larger images of the same camera, `vga_wide` and `wide`, are
read where there are no small ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.images import image_size, list_images, read_depth
from aceg_ros.datasets.matrices import read_numbers
from aceg_ros.datasets.trajectory import Trajectory, read_table
from aceg_ros.errors import CameraError, DatasetError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, pose_to_tum, so3_exp

SIGNATURE = 'lowres_wide/, lowres_wide_intrinsics/ and lowres_wide.traj'

TRAJECTORY, DEPTH = 'lowres_wide.traj', 'lowres_depth'
IMAGE_FOLDERS = ('lowres_wide', 'vga_wide', 'wide')
# Poses come at 10 Hz, a little late at times.
MAX_GAP = 0.15
# Names of calibrations are rounded otherwise than those of their images.
MAX_CALIBRATION_OFFSET = 0.02
DEPTH_UNITS_PER_METER = 1000.0


def recognize(path: Path) -> bool:
    """Whether `path` is a scan of this layout."""
    return _root(path) is not None


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read a scan; `camera` replaces the calibrations.

    Poses are interpolated between those at most 0.15 s apart. Raises DatasetError.
    """
    root = _root(path)
    if root is None:
        raise DatasetError(f'{path}: lacks {SIGNATURE}')
    folder = _image_folder(root)
    collector = FrameCollector()
    trajectory = _read_trajectory(root / TRAJECTORY, collector)
    calibrations = _by_time((root / f'{folder.name}_intrinsics').glob('*.pincam'))
    depths = _by_time(list_images(root / DEPTH)) if (root / DEPTH).is_dir() else {}
    for stamp, image in sorted(_by_time(list_images(folder)).items()):
        with collector.skipping(image.name):
            used = camera or _read_camera(_nearest(stamp, calibrations))
            depth = depths.get(stamp)
            collector.add(
                image.name,
                image,
                used,
                trajectory.at(stamp, MAX_GAP),
                stamp=stamp,
                load_depth=partial(read_depth, depth, DEPTH_UNITS_PER_METER) if depth else None,
                depth_camera=used.scaled(*image_size(depth)) if depth else None,
            )
    return collector.dataset(path.resolve().name, metric=True)


def _root(path: Path) -> Path | None:
    """The folder with the trajectory: `path`, or the one below it that is named for frames."""
    for root in (path, *sorted(path.glob('*_frames'))):
        if (root / TRAJECTORY).is_file() and _image_folder(root).is_dir():
            return root
    return None


def _image_folder(root: Path) -> Path:
    folders = (root / name for name in IMAGE_FOLDERS)
    return next((f for f in folders if f.is_dir() and list_images(f)), root / IMAGE_FOLDERS[0])


def _by_time(files: Iterable[Path]) -> dict[float, Path]:
    """Files by the seconds that end their names."""
    found: dict[float, Path] = {}
    for file in files:
        match = re.search(r'(?:^|_)(\d+(?:\.\d+)?)$', file.stem)
        if match:
            found[float(match.group(1))] = file
    return found


def _nearest(stamp: float, calibrations: dict[float, Path]) -> Path:
    nearest = min(calibrations, key=lambda time: abs(time - stamp), default=None)
    if nearest is None or abs(nearest - stamp) > MAX_CALIBRATION_OFFSET:
        raise CameraError('there is no .pincam of its time')
    return calibrations[nearest]


def _read_camera(file: Path) -> Camera:
    try:
        numbers = read_numbers(file)
    except DatasetError as error:
        raise CameraError(str(error)) from error
    if numbers.size != 6 or not np.isfinite(numbers).all():
        raise CameraError(f'{file.name}: width height fx fy cx cy are expected')
    width, height, *rest = numbers
    return Camera.pinhole(int(width), int(height), *rest)


def _read_trajectory(path: Path, collector: FrameCollector) -> Trajectory:
    """world_from_cam over time; lines that hold no pose are named, and stay in as holes."""
    stamps: list[float] = []
    numbers: list[list[float]] = []
    for line, words in read_table(path):
        try:
            stamp, *values = (float(word) for word in words)
        except ValueError:
            collector.skip(f'{path.name}, line {line}', 'holds something that is no number')
            continue
        stamps.append(stamp)
        # Angles beyond some turns are no angles.
        if len(values) == 6 and np.isfinite(values).all() and np.abs(values[:3]).max() < 100.0:
            world_from_cam = inverse(make_pose(so3_exp(values[:3]), values[3:]))
            numbers.append(pose_to_tum(world_from_cam).tolist())
        else:
            collector.skip(f'{path.name}, line {line}', 'is not seconds rx ry rz tx ty tz')
            numbers.append([np.nan] * 7)
    if not stamps:
        raise DatasetError(f'{path}: holds no pose; lines of 7 numbers are expected')
    return Trajectory(stamps, numbers)
