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

import numpy as np

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.images import list_images
from aceg_ros.datasets.trajectory import read_table
from aceg_ros.errors import CameraError, DatasetError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix
from aceg_ros.geometry.poses import inverse, pose_from_tum

SIGNATURE = 'cameras and images (.txt or .bin), here or in sparse/ or sparse/0/'

MODEL_FOLDERS = ('', 'sparse', 'sparse/0')

# Name, number by which binary files call it, count of parameters.
_MODELS = (
    ('SIMPLE_PINHOLE', 0, 3),
    ('PINHOLE', 1, 4),
    ('SIMPLE_RADIAL', 2, 4),
    ('RADIAL', 3, 5),
    ('OPENCV', 4, 8),
    ('OPENCV_FISHEYE', 5, 8),
    ('FULL_OPENCV', 6, 12),
    ('SIMPLE_RADIAL_FISHEYE', 8, 4),
    ('RADIAL_FISHEYE', 9, 5),
)
_COUNTS = {name: count for name, _, count in _MODELS}
_NAMES = {number: name for name, number, _ in _MODELS}


@dataclass(frozen=True)
class _Image:
    """One registered image; `qvec` has w first, and both describe cam_from_world."""

    name: str
    camera_id: int
    qvec: tuple[float, ...]
    tvec: tuple[float, ...]


def recognize(path: Path) -> bool:
    """Whether `path` is a COLMAP model or a folder with one."""
    return _find_model(path) is not None


def read(path: Path) -> Dataset:
    """Read the registered images in order of name. Raises DatasetError or CameraError."""
    found = _find_model(path)
    if found is None:
        raise DatasetError(f'{path}: lacks {SIGNATURE}')
    model, suffix = found
    read_cameras, read_images = _READERS[suffix]
    try:
        cameras = read_cameras(model / f'cameras{suffix}')
        images = read_images(model / f'images{suffix}')
    except (ValueError, IndexError, struct.error, OSError) as error:
        raise DatasetError(f'{model}: COLMAP model is damaged ({error})') from error
    folder = _image_folder(path, model)
    collector = FrameCollector()
    for image in sorted(images, key=lambda image: image.name):
        with collector.skipping(image.name):
            if image.camera_id not in cameras:
                raise CameraError(f'its camera {image.camera_id} is not in the model')
            qw, qx, qy, qz = image.qvec
            cam_from_world = pose_from_tum([*image.tvec, qx, qy, qz, qw])
            collector.add(
                image.name,
                folder / image.name,
                cameras[image.camera_id],
                inverse(cam_from_world),
            )
    registered = {image.name for image in images}
    for file in list_images(folder):
        if file.name not in registered:
            collector.skip(file.name, 'is not registered in the model')
    return collector.dataset(path.resolve().name, metric=False)


def _find_model(path: Path) -> tuple[Path, str] | None:
    for folder in MODEL_FOLDERS:
        for suffix in _READERS:
            names = [path / folder / f'{part}{suffix}' for part in ('cameras', 'images')]
            if all(name.is_file() for name in names):
                return path / folder, suffix
    return None


def _image_folder(path: Path, model: Path) -> Path:
    """`images` beside the model or above it."""
    above = [path.resolve(), *list(model.resolve().parents)[:2]]
    for base in above:
        if (base / 'images').is_dir():
            return base / 'images'
    raise DatasetError(f'{path}: no folder "images" beside the COLMAP model; put the images there')


def _make_camera(name: str, width: int, height: int, parameters: list[float]) -> Camera:
    if name not in _COUNTS:
        known = ', '.join(_COUNTS)
        raise CameraError(f'COLMAP camera model {name} is not supported, only {known}')
    if len(parameters) != _COUNTS[name]:
        raise CameraError(f'{name} takes {_COUNTS[name]} parameters, not {len(parameters)}')
    if name.startswith(('SIMPLE', 'RADIAL')):
        f, cx, cy, *rest = parameters
        fx = fy = f
    else:
        fx, fy, cx, cy, *rest = parameters
    K = intrinsic_matrix(fx, fy, cx - 0.5, cy - 0.5)
    if name.endswith('FISHEYE'):
        return Camera('equidistant', width, height, K, np.array((rest + [0.0] * 4)[:4]))
    if name == 'FULL_OPENCV':
        return Camera('rational_polynomial', width, height, K, np.array(rest))
    return Camera('plumb_bob' if rest else 'pinhole', width, height, K, np.array(rest))


def _read_cameras_text(path: Path) -> dict[int, Camera]:
    cameras = {}
    for _, words in read_table(path):
        parameters = [float(word) for word in words[4:]]
        cameras[int(words[0])] = _make_camera(words[1], int(words[2]), int(words[3]), parameters)
    return cameras


def _read_images_text(path: Path) -> list[_Image]:
    """Two lines an image: its pose and name, then its 2D points, of which there may be none."""
    lines = path.read_text(encoding='utf-8').splitlines()
    lines = [line for line in lines if not line.startswith('#')]
    images = []
    for line in lines[::2]:
        if not line.strip():
            continue
        words = line.split(maxsplit=9)
        pose = tuple(float(word) for word in words[1:8])
        images.append(_Image(words[9].strip(), int(words[8]), pose[:4], pose[4:]))
    return images


class _Binary:
    """Reads little-endian values one after another; struct.error at the end of the data."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        self._at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from('<' + layout, self._data, self._at)
        self._at += struct.calcsize('<' + layout)
        return values

    def text(self) -> str:
        end = self._data.index(b'\0', self._at)
        text = self._data[self._at : end].decode('utf-8')
        self._at = end + 1
        return text

    def skip(self, size: int) -> None:
        self._at += size
        if self._at > len(self._data):
            raise ValueError('the file ends early')


def _read_cameras_binary(path: Path) -> dict[int, Camera]:
    data = _Binary(path)
    cameras = {}
    (count,) = data.take('Q')
    for _ in range(count):
        camera_id, number, width, height = data.take('iiQQ')
        # An unknown model's parameters cannot be skipped, for their count is unknown too.
        name = _NAMES.get(number, f'number {number}')
        parameters = list(data.take(f'{_COUNTS.get(name, 0)}d'))
        cameras[camera_id] = _make_camera(name, width, height, parameters)
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


_Readers = tuple[Callable[[Path], dict[int, Camera]], Callable[[Path], list[_Image]]]
_READERS: dict[str, _Readers] = {
    '.bin': (_read_cameras_binary, _read_images_binary),
    '.txt': (_read_cameras_text, _read_images_text),
}
