"""NeRF layout: transforms.json of instant-ngp and nerfstudio, or transforms_{train,val,test}.json.

Poses are world_from_cam with OpenGL's camera axes (y up, z backwards), at an arbitrary scale.
Intrinsics stand at the top or in each frame; pixel centers are at 0.5, as in COLMAP.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.calibration_entries import looks_like_lens
from aceg_ros.datasets.calibration_keys import camera_from_mapping
from aceg_ros.datasets.images import IMAGE_SUFFIXES, image_header, turned
from aceg_ros.datasets.json_file import read_json
from aceg_ros.datasets.names import file_named, is_file, natural_key, shown
from aceg_ros.errors import CameraError, DatasetError, ImageError, PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import validate_pose

SIGNATURE = 'transforms.json or transforms_train.json'

GL_FROM_CV = np.diag([1.0, -1.0, -1.0, 1.0])
SPLITS = ('train', 'val', 'test')


def recognize(path: Path) -> bool:
    """Whether `path` is a folder of this layout."""
    return bool(_files(path))


def read(path: Path, exif: bool = False) -> Dataset:
    """Read a scene, in natural order; frames of transforms_<split>.json belong to that split.

    `exif` turns images as their EXIF orientation says. Raises DatasetError.
    """
    collector = FrameCollector(exif)
    for file, splits in _files(path):
        transforms = _read_json(file)
        common = {name: value for name, value in transforms.items() if name != 'frames'}
        for name, frame in _named_frames(transforms['frames'], file, collector):
            with collector.skipping(name):
                image = _image_file(path, frame['file_path'])
                size, turn = image_header(image)
                size = turned(size, turn) if exif else size
                camera = _camera({**common, **frame}, size, file.name)
                pose = _pose(frame.get('transform_matrix'))
                collector.add(name, image, camera, pose, splits=splits)
    return collector.dataset(path.resolve().name, metric=False)


def _named_frames(
    frames: list[Any], file: Path, collector: FrameCollector
) -> list[tuple[str, dict[str, Any]]]:
    """Frames with their names, in natural order of these."""
    named = []
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict) or not isinstance(frame.get('file_path'), str):
            collector.skip(f'{file.name}, frame {number}', 'file_path is missing')
            continue
        named.append((shown(frame['file_path']), frame))
    return sorted(named, key=lambda entry: natural_key(entry[0]))


def _files(path: Path) -> list[tuple[Path, tuple[str, ...]]]:
    if (path / 'transforms.json').is_file():
        return [(path / 'transforms.json', ())]
    files = [(path / f'transforms_{split}.json', (split,)) for split in SPLITS]
    return [(file, splits) for file, splits in files if file.is_file()]


def _read_json(file: Path) -> dict[str, Any]:
    values = read_json(file)
    if not isinstance(values.get('frames'), list):
        raise DatasetError(f'{file}: lacks the list "frames", with file_path and transform_matrix')
    return values


def _image_file(folder: Path, name: str) -> Path:
    """File of a frame; synthetic scenes name it without suffix."""
    file = file_named(folder, name)
    if is_file(file):
        return file
    found = (file_named(folder, name + suffix) for suffix in sorted(IMAGE_SUFFIXES))
    existing = next((candidate for candidate in found if is_file(candidate)), None)
    if existing is None:
        raise ImageError('the image file is missing')
    return existing


def _pose(matrix: Any) -> np.ndarray:
    if matrix is None:
        raise PoseError('transform_matrix is missing')
    return validate_pose(matrix) @ GL_FROM_CV


def _camera(values: dict[str, Any], size: tuple[int, int], file: str) -> Camera:
    """Camera of one frame, its own entries before the common ones; `size` is the image's.

    Whatever speaks of a lens, by its name, is understood or refused; coefficients are 0 where there
    are none.
    """
    try:
        width, height = (int(_number(values, key, size[i])) for i, key in enumerate(('w', 'h')))
        fx = _focal_length(values, 'fl_x', 'camera_angle_x', width)
        if fx is None:
            raise CameraError('focal length is missing; add fl_x or camera_angle_x')
        fy = _focal_length(values, 'fl_y', 'camera_angle_y', height) or fx
        lens = {n: v for n, v in values.items() if looks_like_lens(n)}
        if not any(re.fullmatch(r'k\d|dist.*', name) for name in lens):
            lens['k1'] = 0.0
        lens |= {'w': width, 'h': height, 'fl_x': fx, 'fl_y': fy}
        lens['cx'] = _number(values, 'cx', width / 2.0)
        lens['cy'] = _number(values, 'cy', height / 2.0)
        return camera_from_mapping(lens)
    except CameraError as error:
        raise CameraError(f'{file}: {error}') from error


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
    except (TypeError, ValueError, OverflowError) as error:
        raise CameraError(f'{key} is no number: {value!r}') from error
