"""NeRF layout: transforms.json of instant-ngp and nerfstudio, or transforms_{train,val,test}.json.

Poses are world_from_cam with OpenGL's camera axes (y up, z backwards), at an arbitrary scale.
Intrinsics stand at the top or in each frame; pixel centers are at 0.5, as in COLMAP.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.images import IMAGE_SUFFIXES, image_size
from aceg_ros.errors import CameraError, DatasetError, ImageError, PoseError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix
from aceg_ros.geometry.poses import validate_pose

SIGNATURE = 'transforms.json or transforms_train.json'

GL_FROM_CV = np.diag([1.0, -1.0, -1.0, 1.0])
SPLITS = ('train', 'val', 'test')


def recognize(path: Path) -> bool:
    """Whether `path` is a folder of this layout."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read a scene; frames of transforms_<split>.json belong to that split. Raises DatasetError."""
    collector = FrameCollector()
    for file, splits in _files(path):
        transforms = _read_json(file)
        for number, frame in enumerate(transforms['frames']):
            if not isinstance(frame, dict) or not isinstance(frame.get('file_path'), str):
                collector.skip(f'{file.name}, frame {number}', 'file_path is missing')
                continue
            name = frame['file_path'].removeprefix('./')
            with collector.skipping(name):
                image = _image_file(path, name)
                camera = _camera({**transforms, **frame}, image_size(image))
                pose = _pose(frame.get('transform_matrix'))
                collector.add(name, image, camera, pose, splits=splits)
    return collector.dataset(path.resolve().name, metric=False)


def _files(path: Path) -> list[tuple[Path, tuple[str, ...]]]:
    if (path / 'transforms.json').is_file():
        return [(path / 'transforms.json', ())]
    files = [(path / f'transforms_{split}.json', (split,)) for split in SPLITS]
    return [(file, splits) for file, splits in files if file.is_file()]


def _read_json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise DatasetError(f'{file}: cannot be read as JSON ({error})') from error
    if not isinstance(values, dict) or not isinstance(values.get('frames'), list):
        raise DatasetError(f'{file}: lacks the list "frames"')
    return values


def _image_file(folder: Path, name: str) -> Path:
    """File of a frame; synthetic scenes name it without suffix."""
    file = folder / name
    if file.is_file():
        return file
    named = (file.with_name(file.name + suffix) for suffix in sorted(IMAGE_SUFFIXES))
    found = next((candidate for candidate in named if candidate.is_file()), None)
    if found is None:
        raise ImageError('the image file is missing')
    return found


def _pose(matrix: Any) -> np.ndarray:
    if matrix is None:
        raise PoseError('transform_matrix is missing')
    return validate_pose(matrix) @ GL_FROM_CV


def _camera(values: dict[str, Any], size: tuple[int, int]) -> Camera:
    """Camera of one frame, its own entries before the common ones; `size` is the image's."""
    width, height = (int(_number(values, key, size[i])) for i, key in enumerate(('w', 'h')))
    fx = _focal_length(values, 'fl_x', 'camera_angle_x', width)
    if fx is None:
        raise CameraError('focal length is missing; add fl_x or camera_angle_x')
    fy = _focal_length(values, 'fl_y', 'camera_angle_y', height) or fx
    K = intrinsic_matrix(
        fx,
        fy,
        _number(values, 'cx', width / 2.0) - 0.5,
        _number(values, 'cy', height / 2.0) - 0.5,
    )
    k1, k2, k3, k4, p1, p2 = (
        _number(values, key, 0.0) for key in ('k1', 'k2', 'k3', 'k4', 'p1', 'p2')
    )
    if values.get('is_fisheye') or values.get('camera_model') == 'OPENCV_FISHEYE':
        return Camera('equidistant', width, height, K, np.array([k1, k2, k3, k4]))
    if k4:
        raise CameraError('a fourth radial coefficient (k4) is not supported; undistort the images')
    coefficients = np.array([k1, k2, p1, p2, k3])
    if not coefficients.any():
        return Camera('pinhole', width, height, K)
    return Camera('plumb_bob', width, height, K, coefficients)


def _focal_length(values: dict[str, Any], key: str, angle_key: str, extent: int) -> float | None:
    """Focal length in pixels, given as such or by the angle of view over `extent` pixels."""
    if values.get(key) is not None:
        return _number(values, key, 0.0)
    if values.get(angle_key) is None:
        return None
    angle = _number(values, angle_key, 0.0)
    if not 0.0 < angle < np.pi:
        raise CameraError(f'{angle_key} is {angle:g}; give an angle of view in radians')
    return 0.5 * extent / float(np.tan(0.5 * angle))


def _number(values: dict[str, Any], key: str, default: float) -> float:
    value = values.get(key)
    try:
        return float(default if value is None else value)
    except (TypeError, ValueError) as error:
        raise CameraError(f'{key} is no number: {value!r}') from error
