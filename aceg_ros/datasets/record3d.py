"""Record3D's exports: EXR + RGB (`metadata.json`, `rgb/0.jpg`) or an unzipped `.r3d` (`metadata`,
`rgbd/0.jpg`).

From its author (github.com/marek-simonik/record3d, issues 27, 36 and 64): `poses` are
camera_to_world as qx qy qz qw tx ty tz (m), one for each image. Axes are OpenGL's in the image as
stored, as nerfstudio takes them (nerfstudio/process_data/record3d_utils.py). `K` is 3x3 by columns,
for images of `w` x `h`. `perFrameIntrinsicCoeffs`, fx fy cx cy of each image, follow the focus,
and are taken where they are there. Depth is not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.images import image_size, list_images
from aceg_ros.datasets.json_file import number, read_json
from aceg_ros.datasets.nerf import GL_FROM_CV
from aceg_ros.errors import CameraError, DatasetError, PoseError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix
from aceg_ros.geometry.poses import pose_from_tum

SIGNATURE = 'metadata.json or metadata, and rgb/ or rgbd/ with 0.jpg, 1.jpg, ...'

METADATA_NAMES = ('metadata.json', 'metadata')
IMAGE_FOLDERS = ('rgb', 'rgbd')
# Sides may be rounded when images are resized; more than this is another crop.
SAME_SHAPE = 0.02


def recognize(path: Path) -> bool:
    """Whether `path` is an export of this layout."""
    return _find(path) is not None


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read an export; `camera` replaces its calibration. Raises DatasetError."""
    found = _find(path)
    if found is None:
        raise DatasetError(f'{path}: lacks {SIGNATURE}')
    file, folder = found
    metadata = read_json(file)
    poses = metadata.get('poses')
    if not isinstance(poses, list) or not poses:
        raise DatasetError(
            f'{file}: has no "poses"; only recordings with the LiDAR on the back of the phone have'
        )
    collector = FrameCollector()
    for image in _numbered(folder):
        index, name = int(image.stem), image.name
        with collector.skipping(name):
            if index >= len(poses):
                raise PoseError(f'{file.name} has no pose for it, only {len(poses)}')
            used = camera or _camera(metadata, index, image_size(image), file)
            stamp = _stamp(metadata, index)
            collector.add(name, image, used, _pose(poses[index]), stamp=stamp)
    return collector.dataset(path.resolve().name, metric=True)


def _find(path: Path) -> tuple[Path, Path] | None:
    """The metadata and the folder of images."""
    for root in (path, path / 'EXR_RGBD'):
        file = next((root / name for name in METADATA_NAMES if (root / name).is_file()), None)
        folder = next((root / n for n in IMAGE_FOLDERS if _numbered(root / n)), None)
        if file is not None and folder is not None:
            return file, folder
    return None


def _numbered(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [file for file in list_images(folder) if file.stem.isdecimal()]


def _pose(values: Any) -> NDArray[np.float64]:
    try:
        qx, qy, qz, qw, tx, ty, tz = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise PoseError('its pose is not 7 numbers, qx qy qz qw tx ty tz') from error
    return pose_from_tum([tx, ty, tz, qx, qy, qz, qw]) @ GL_FROM_CV


def _camera(metadata: dict[str, Any], index: int, size: tuple[int, int], file: Path) -> Camera:
    """Camera of one image, scaled from `w` x `h` to the image's size."""
    width, height = int(number(metadata, 'w', file)), int(number(metadata, 'h', file))
    coefficients = metadata.get('perFrameIntrinsicCoeffs')
    if isinstance(coefficients, list) and index < len(coefficients):
        values, count = coefficients[index], 4
        named = 'perFrameIntrinsicCoeffs'
    else:
        values, count, named = metadata.get('K'), 9, 'K'
    try:
        numbers = np.array([float(value) for value in values])
        if numbers.size != count:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise CameraError(f'{file.name}: {named} is not {count} numbers') from error
    K = intrinsic_matrix(*numbers) if count == 4 else numbers.reshape(3, 3).T
    camera = Camera('pinhole', width, height, K)
    if abs(size[0] * height / (size[1] * width) - 1.0) > SAME_SHAPE:
        raise CameraError(
            f'image is {size[0]}x{size[1]} but {file.name} is for {width}x{height}, which has '
            'another shape; export it anew'
        )
    return camera.scaled(*size)


def _stamp(metadata: dict[str, Any], index: int) -> float | None:
    """Seconds since the first image."""
    times, rate = metadata.get('frameTimestamps'), metadata.get('fps')
    if isinstance(times, list) and index < len(times) and isinstance(times[index], (int, float)):
        return float(times[index])
    return index / rate if isinstance(rate, (int, float)) and rate > 0 else None
