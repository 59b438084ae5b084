"""Polycam's raw data, an export of its developer mode: `keyframes/` with images and cameras.

From its data format (github.com/PolyCam/polyform, README.md): images are named by microseconds;
the JSON file beside each holds `width height fx fy cx cy` and the rows `t_00` ... `t_23` of
world_from_cam; depth is in millimeters. `corrected_images` and `corrected_cameras` are undistorted
and globally optimized; without them `images` and `cameras` are taken. The axes are ARKit's
(https://developer.apple.com/documentation/arkit/arcamera/transform), which are OpenGL's in the
image as the sensor gives it: x right, y up, z backwards.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.images import image_size, list_images, read_depth
from aceg_ros.datasets.json_file import number, read_json
from aceg_ros.datasets.nerf import GL_FROM_CV
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import validate_pose

SIGNATURE = 'keyframes/ with corrected_images/ and corrected_cameras/, or images/ and cameras/'

FOLDERS = (('corrected_images', 'corrected_cameras'), ('images', 'cameras'))
DEPTH_UNITS_PER_METER = 1000.0


def recognize(path: Path) -> bool:
    """Whether `path` is an export of this layout, or its `keyframes`."""
    return _folders(path) is not None


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read an export; `camera` replaces the calibrations. Raises DatasetError."""
    folders = _folders(path)
    if folders is None:
        raise DatasetError(f'{path}: lacks {SIGNATURE}')
    images, cameras = folders
    collector = FrameCollector()
    if images.name == FOLDERS[1][0]:
        collector.note(
            f'{path}: has no {FOLDERS[0][0]}; images with some distortion, and poses that were not '
            'optimized, are taken'
        )
    for image in list_images(images):
        name = image.name
        with collector.skipping(name):
            file = cameras / f'{image.stem}.json'
            values = read_json(file)
            used = camera or Camera.pinhole(
                int(number(values, 'width', file)),
                int(number(values, 'height', file)),
                *(number(values, entry, file) for entry in ('fx', 'fy', 'cx', 'cy')),
            )
            depth = images.parent / 'depth' / f'{image.stem}.png'
            has_depth = depth.is_file()
            load_depth = partial(read_depth, depth, DEPTH_UNITS_PER_METER) if has_depth else None
            stamp = float(image.stem) * 1e-6 if image.stem.isdecimal() else None
            collector.add(
                name,
                image,
                used,
                _pose(values, file),
                stamp=stamp,
                load_depth=load_depth,
                depth_camera=used.scaled(*image_size(depth)) if has_depth else None,
            )
    return collector.dataset(_name(path), metric=True)


def _name(path: Path) -> str:
    folder = path.resolve()
    return folder.parent.name if folder.name == 'keyframes' else folder.name


def _folders(path: Path) -> tuple[Path, Path] | None:
    """Folders of images and of cameras."""
    for root in (path / 'keyframes', path):
        for images, cameras in FOLDERS:
            if (root / images).is_dir() and (root / cameras).is_dir():
                return root / images, root / cameras
    return None


def _pose(values: dict[str, object], file: Path) -> NDArray[np.float64]:
    rows = [[number(values, f't_{i}{j}', file) for j in range(4)] for i in range(3)]
    return validate_pose([*rows, [0.0, 0.0, 0.0, 1.0]]) @ GL_FROM_CV
