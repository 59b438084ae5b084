"""The plain layout, also that of recordings: images, a TUM pose file and a calibration file.

    images/1305031229.528748.png     named by time stamp, or by anything
    depth/1305031229.528748.png      optional, 16 bits, `depth_scale` units per meter (default 1000)
    poses.txt                        TUM trajectory of world_from_cam
    calibration.yaml                 see `aceg_ros.datasets.calibration`

Images named by times are paired with poses by time, in any unit (see `aceg_ros.datasets.times`).
Otherwise there must be as many poses as images. They are then paired in natural order of the names.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.calibration import Calibration, folder_calibration
from aceg_ros.datasets.images import IMAGE_SUFFIXES, list_images, read_depth
from aceg_ros.datasets.pairing import pair
from aceg_ros.datasets.times import times_of_names
from aceg_ros.datasets.trajectory import ROUNDED, Trajectory, read_trajectory
from aceg_ros.errors import CameraError, DatasetError
from aceg_ros.files import leftovers
from aceg_ros.geometry.cameras import Camera

IMAGE_FOLDERS = ('images', 'rgb', '')
DEPTH_FOLDER = 'depth'
POSE_NAMES = ('poses.txt', 'groundtruth.txt', 'trajectory.txt', 'poses.tum', 'trajectory.tum')
CALIBRATION_NAME = 'calibration.yaml'
DEPTH_UNITS_PER_METER = 1000.0

SIGNATURE = 'images/, poses.txt (TUM) and calibration.yaml'


def recognize(path: Path) -> bool:
    """Whether `path` holds a pose file and images."""
    return _pose_file(path) is not None and bool(_images(path))


def read(path: Path, camera: Camera | None = None, exif: bool = False) -> Dataset:
    """Read a folder of this layout; `camera` replaces that of its calibration.

    `exif` turns images as their EXIF orientation says. Raises DatasetError or CameraError.
    """
    calibration = _calibration(path, camera)
    pose_file = _pose_file(path)
    if pose_file is None:
        raise DatasetError(f'{path}: lacks a pose file, one of {", ".join(POSE_NAMES)}')
    trajectory, problems = read_trajectory(pose_file)
    images = _images(path)
    try:
        pairing = pair(images, trajectory, pose_file.name)
    except DatasetError as error:
        raise DatasetError(f'{path}: {error}') from error
    collector = FrameCollector(exif)
    for line, reason in problems:
        collector.skip(line, reason)
    for note in pairing.notes:
        collector.note(f'{path}: {note}')
    units = calibration.depth_scale or DEPTH_UNITS_PER_METER
    stamps = pairing.seconds
    order = np.arange(len(images)) if stamps is None else np.argsort(stamps, kind='stable')
    for index in map(int, order):
        file = images[index]
        stamp = float(trajectory.stamps[index] if stamps is None else stamps[index])
        depth = path / DEPTH_FOLDER / f'{file.stem}.png'
        with collector.skipping(file.name):
            collector.add(
                file.name,
                file,
                calibration.camera,
                trajectory.pose(index) if stamps is None else trajectory.at(stamp),
                stamp=stamp,
                load_depth=partial(read_depth, depth, units) if depth.is_file() else None,
                depth_camera=calibration.depth_camera,
                color_from_depth=calibration.color_from_depth,
            )
    if stamps is not None:
        _name_lone_poses(trajectory, stamps, pose_file.name, collector)
    for file in leftovers(images[0].parent):
        collector.skip(file.name, 'was not written to its end')
    return collector.dataset(path.resolve().name, metric=True)


def images_only(path: str | Path, camera: Camera | None = None, exif: bool = False) -> Dataset:
    """Read a folder of images, or one image file, without poses, for localization.

    Without `camera` a calibration file must lie beside the images; `exif` turns images as their
    EXIF orientation says. Stamps are the images' names where these are numbers, else positions.
    Raises DatasetError or CameraError.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        folder, images = path.parent, [path]
    elif path.is_dir():
        folder, images = path, _images(path)
    else:
        raise DatasetError(f'{path}: is neither an image nor a folder of images')
    if not images:
        raise DatasetError(f'{path}: holds no images ({", ".join(sorted(IMAGE_SUFFIXES))})')
    camera = _calibration(folder, camera).camera
    times = times_of_names([file.stem for file in images])
    stamps = np.arange(len(images)) if times is None else times.seconds
    collector = FrameCollector(exif)
    for index in np.argsort(stamps, kind='stable'):
        file = images[index]
        with collector.skipping(file.name):
            stamp = None if times is None else float(stamps[index])
            collector.add(file.name, file, camera, None, stamp=stamp)
    return collector.dataset(path.resolve().name, metric=False)


def _calibration(path: Path, camera: Camera | None) -> Calibration:
    calibration = folder_calibration(path, camera)
    if calibration is None:
        raise CameraError(
            f'{path}: the camera is not known; put a {CALIBRATION_NAME} there, or give '
            '--camera FILE'
        )
    return calibration


def _pose_file(path: Path) -> Path | None:
    return next((path / name for name in POSE_NAMES if (path / name).is_file()), None)


def _images(path: Path) -> list[Path]:
    """Images of the first folder that has any, in natural order."""
    for folder in IMAGE_FOLDERS:
        if (path / folder).is_dir():
            images = list_images(path / folder)
            if images:
                return images
    return []


def _name_lone_poses(
    trajectory: Trajectory, stamps: np.ndarray, file: str, collector: FrameCollector
) -> None:
    """Name poses without image, unless poses come at a higher rate than images do."""
    if len(trajectory) > 2 * len(stamps):
        return
    for stamp in trajectory.stamps:
        if np.abs(stamps - stamp).min() > ROUNDED:
            collector.skip(f'{file}, time {stamp:.6f}', 'there is a pose but no image')
