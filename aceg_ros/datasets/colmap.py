"""COLMAP models, text or binary: cameras and images; points are not read.

Formats: https://colmap.github.io/format.html. Poses are cam_from_world with w first. COLMAP puts
the center of the top-left pixel at (0.5, 0.5), so half a pixel is taken off cx and cy here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.calibration_keys import camera_from_mapping
from aceg_ros.datasets.calibration_text import colmap_entries
from aceg_ros.datasets.images import list_images
from aceg_ros.datasets.names import file_named, natural_key, shown
from aceg_ros.datasets.text import TextError, is_number, read_text
from aceg_ros.errors import CameraError, DatasetError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, pose_from_tum

SIGNATURE = 'cameras and images (.txt or .bin), here or in sparse/, sparse/0/, sparse/1/, ...'

# Where models lie; those below `sparse` are numbered by COLMAP.
MODEL_FOLDERS = ('', 'sparse', 'sparse/*', 'colmap/sparse', 'colmap/sparse/*')

# Name and count of parameters by the number by which binary files call a model. Also of those that
# are not supported, so that files with such cameras can be read on.
_MODELS = {
    0: ('SIMPLE_PINHOLE', 3),
    1: ('PINHOLE', 4),
    2: ('SIMPLE_RADIAL', 4),
    3: ('RADIAL', 5),
    4: ('OPENCV', 8),
    5: ('OPENCV_FISHEYE', 8),
    6: ('FULL_OPENCV', 12),
    7: ('FOV', 5),
    8: ('SIMPLE_RADIAL_FISHEYE', 4),
    9: ('RADIAL_FISHEYE', 5),
    10: ('THIN_PRISM_FISHEYE', 12),
    11: ('RAD_TAN_THIN_PRISM_FISHEYE', 16),
    12: ('SIMPLE_DIVISION', 4),
    13: ('DIVISION', 5),
    14: ('SIMPLE_FISHEYE', 3),
    15: ('FISHEYE', 4),
}

# A camera, or why images of it cannot be used.
_Cameras = dict[int, Camera | CameraError]


@dataclass(frozen=True)
class _Image:
    """One registered image; `qvec` has w first, and both describe cam_from_world."""

    name: str
    camera_id: int
    qvec: tuple[float, ...]
    tvec: tuple[float, ...]


def recognize(path: Path) -> bool:
    """Whether `path` is a COLMAP model or a folder with one."""
    return bool(_find_models(path))


def read(path: Path, exif: bool = False) -> Dataset:
    """Read the registered images, in natural order, of the model that has most of them.

    Images of a camera that cannot be used are left out; `exif` turns images as their EXIF
    orientation says. Raises DatasetError or CameraError.
    """
    collector = FrameCollector(exif)
    model, suffix, images = _largest_model(path, collector)
    read_cameras, _ = _READERS[suffix]
    cameras = read_cameras(model / f'cameras{suffix}')
    folder = _image_folder(path, model)
    for image in sorted(images, key=lambda image: natural_key(image.name)):
        name = shown(image.name)
        with collector.skipping(name):
            camera = cameras.get(image.camera_id)
            if camera is None:
                raise CameraError(f'its camera {image.camera_id} is not in the model')
            if isinstance(camera, CameraError):
                raise CameraError(f'its camera {image.camera_id}: {camera}')
            qw, qx, qy, qz = image.qvec
            cam_from_world = pose_from_tum([*image.tvec, qx, qy, qz, qw])
            collector.add(name, file_named(folder, image.name), camera, inverse(cam_from_world))
    registered = {shown(image.name) for image in images}
    for file in list_images(folder):
        if file.name not in registered:
            collector.skip(file.name, 'is not registered in the model')
    return collector.dataset(path.resolve().name, metric=False)


def _find_models(path: Path) -> list[tuple[Path, str]]:
    """Folders with a model and its files' suffix, in natural order."""
    found = []
    for pattern in MODEL_FOLDERS:
        # '' would be refused as a pattern.
        folders = [path] if not pattern else sorted(path.glob(pattern), key=natural_key)
        for folder in folders:
            suffix = next(
                (
                    suffix
                    for suffix in _READERS
                    if all((folder / f'{part}{suffix}').is_file() for part in ('cameras', 'images'))
                ),
                None,
            )
            if suffix is not None:
                found.append((folder, suffix))
    return found


def _largest_model(path: Path, collector: FrameCollector) -> tuple[Path, str, list[_Image]]:
    """The model with most images; the others are named in a note."""
    models = _find_models(path)
    if not models:
        raise DatasetError(f'{path}: lacks {SIGNATURE}')
    contents = [_READERS[suffix][1](model / f'images{suffix}') for model, suffix in models]
    best = max(range(len(models)), key=lambda index: len(contents[index]))
    if len(models) > 1:
        counts = ', '.join(
            f'{model.relative_to(path)} has {len(images)} images'
            for (model, _), images in zip(models, contents, strict=True)
        )
        collector.note(f'{path}: of {len(models)} models, the largest is read: {counts}')
    return *models[best], contents[best]


def _image_folder(path: Path, model: Path) -> Path:
    """`images` beside the model or above it."""
    above = [path.resolve(), *list(model.resolve().parents)[:2]]
    for base in above:
        if (base / 'images').is_dir():
            return base / 'images'
    raise DatasetError(f'{path}: no folder "images" beside the COLMAP model; put the images there')


def _make_camera(name: str, width: object, height: object, parameters: list[Any]) -> Camera:
    return camera_from_mapping(colmap_entries(name, width, height, parameters))


def _camera(
    name: str, width: object, height: object, parameters: list[Any]
) -> Camera | CameraError:
    try:
        return _make_camera(name, width, height, parameters)
    except CameraError as error:
        return error


def _lines(path: Path) -> list[tuple[int, str]]:
    """Lines with their numbers, without empty ones and comments."""
    try:
        lines = enumerate(read_text(path).splitlines(), start=1)
    except TextError as error:
        raise DatasetError(f'{path}: {error}') from error
    return [(n, line.strip()) for n, line in lines if line.strip() and line.strip()[0] != '#']


def _read_cameras_text(path: Path) -> _Cameras:
    cameras: _Cameras = {}
    for number, line in _lines(path):
        words = line.split()
        if len(words) < 4 or not words[0].isdecimal():
            raise DatasetError(
                f'{path}, line {number}: COLMAP model is damaged; camera id, model, width, height '
                'and parameters are expected'
            )
        cameras[int(words[0])] = _camera(words[1], words[2], words[3], words[4:])
    return cameras


def _read_images_text(path: Path) -> list[_Image]:
    """Lines with a pose and a name, each followed by one with 2D points, which may be empty."""
    images: list[_Image] = []
    points_may_follow = False
    for number, line in _lines(path):
        if points_may_follow and _are_points(line):
            points_may_follow = False
            continue
        words = line.split(maxsplit=9)
        try:
            pose = tuple(float(word) for word in words[1:8])
            images.append(_Image(words[9], int(words[8]), pose[:4], pose[4:]))
        except (ValueError, IndexError) as error:
            raise DatasetError(
                f'{path}, line {number}: COLMAP model is damaged; image id, qw, qx, qy, qz, tx, '
                'ty, tz, camera id and name are expected'
            ) from error
        points_may_follow = True
    return images


def _are_points(line: str) -> bool:
    """Whether a line holds 2D points, x y id each, and no image's pose."""
    words = line.split()
    return len(words) % 3 == 0 and all(map(is_number, words))


class _Binary:
    """Reads little-endian values one after another; DatasetError at the end of the data."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise DatasetError(f'{path}: cannot be read ({error.strerror})') from error
        self._at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        start = self._at
        self.skip(struct.calcsize('<' + layout))
        return struct.unpack_from('<' + layout, self._data, start)

    def text(self) -> str:
        end = self._data.find(b'\0', self._at)
        if end < 0:
            raise self._damaged()
        text = self._data[self._at : end].decode('utf-8', 'surrogateescape')
        self._at = end + 1
        return text

    def skip(self, size: int) -> None:
        self._at += size
        if self._at > len(self._data):
            raise self._damaged()

    def _damaged(self) -> DatasetError:
        return DatasetError(
            f'{self._path}: COLMAP model is damaged: the file ends early, after {len(self._data)} '
            'bytes; export or copy it again'
        )


def _read_cameras_binary(path: Path) -> _Cameras:
    data = _Binary(path)
    cameras: _Cameras = {}
    (count,) = data.take('Q')
    for _ in range(count):
        camera_id, number, width, height = data.take('iiQQ')
        if number not in _MODELS:
            # How many parameters follow is not known, so neither is where the next camera begins.
            raise CameraError(
                f'{path}: camera {camera_id} is of COLMAP camera model number {number}, which is '
                'not supported; convert the model to text (colmap model_converter --output_type '
                'TXT), so that other cameras can be read'
            )
        name, parameters = _MODELS[number]
        cameras[camera_id] = _camera(name, width, height, list(data.take(f'{parameters}d')))
    return cameras


def _read_images_binary(path: Path) -> list[_Image]:
    data = _Binary(path)
    images = []
    (count,) = data.take('Q')
    for _ in range(count):
        _, *pose, camera_id = data.take('i7di')
        name = data.text()
        (points,) = data.take('Q')
        data.skip(points * struct.calcsize('<ddq'))
        images.append(_Image(name, camera_id, tuple(pose[:4]), tuple(pose[4:])))
    return images


_Readers = tuple[Callable[[Path], _Cameras], Callable[[Path], list[_Image]]]
_READERS: dict[str, _Readers] = {
    '.bin': (_read_cameras_binary, _read_images_binary),
    '.txt': (_read_cameras_text, _read_images_text),
}
