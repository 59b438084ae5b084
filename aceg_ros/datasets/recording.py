"""Writing a recording in the plain layout of `aceg_ros.datasets.folder`, image by image."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aceg_ros.datasets.base import Dataset
from aceg_ros.datasets.calibration import Calibration, write_calibration
from aceg_ros.datasets.folder import CALIBRATION_NAME, DEPTH_FOLDER, DEPTH_UNITS_PER_METRE
from aceg_ros.datasets.trajectory import format_tum_line
from aceg_ros.errors import DatasetError, ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import validate_pose

IMAGE_FOLDER = 'images'
POSE_NAME = 'poses.txt'
JPEG_QUALITY = 95


class RecordingWriter:
    """Writes frames of one camera into a new folder; what is written can be read at any time.

    Each image appears whole or not at all, and its pose is written after it, so a recording that
    breaks off keeps every frame written before.
    """

    def __init__(
        self,
        path: str | Path,
        camera: Camera,
        *,
        depth_camera: Camera | None = None,
        image_suffix: str = '.png',
    ) -> None:
        """Make the folder; `depth_camera` is None when depth is registered to the images.

        `image_suffix` is '.png' or '.jpg'. Raises DatasetError when the folder already holds a
        recording or cannot be made.
        """
        if image_suffix not in ('.png', '.jpg'):
            raise DatasetError(f'images are recorded as .png or .jpg, not {image_suffix!r}')
        self.path = Path(path)
        self._camera = camera
        self._depth_camera = depth_camera
        self._suffix = image_suffix
        if (self.path / POSE_NAME).exists():
            raise DatasetError(f'{self.path}: holds a recording already; choose another folder')
        try:
            (self.path / IMAGE_FOLDER).mkdir(parents=True, exist_ok=True)
            write_calibration(
                self.path / CALIBRATION_NAME,
                Calibration(camera, depth_camera, DEPTH_UNITS_PER_METRE),
            )
            (self.path / POSE_NAME).write_text(
                '# timestamp tx ty tz qx qy qz qw (world_from_cam)\n', encoding='utf-8'
            )
        except OSError as error:
            raise DatasetError(f'{self.path}: cannot record there ({error})') from error

    def add(
        self,
        image: NDArray[np.uint8],
        world_from_cam: NDArray[np.float64],
        stamp: float,
        depth: NDArray[np.float32] | None = None,
    ) -> None:
        """Write one frame: RGB (H, W, 3) uint8, pose (4, 4), seconds, depth (H, W) metres or None.

        Depth is stored in millimetres up to 65.5 m, nan as unknown. Raises ImageError for an array
        that does not fit the camera, PoseError, and DatasetError when two frames have one stamp or
        the disk does not take the frame.
        """
        pose = validate_pose(world_from_cam)
        if image.dtype != np.uint8:
            raise ImageError(f'image has type {image.dtype}; give RGB uint8')
        _check_shape('image', image.shape, (self._camera.height, self._camera.width, 3))
        stem = f'{stamp:.6f}'
        image_file = self.path / IMAGE_FOLDER / f'{stem}{self._suffix}'
        if image_file.exists():
            raise DatasetError(f'{image_file}: two frames have the same time stamp')
        try:
            if depth is not None:
                depth_camera = self._depth_camera or self._camera
                _check_shape('depth', depth.shape, (depth_camera.height, depth_camera.width))
                (self.path / DEPTH_FOLDER).mkdir(exist_ok=True)
                _save(Image.fromarray(_to_raw(depth)), self.path / DEPTH_FOLDER / f'{stem}.png')
            _save(Image.fromarray(image), image_file)
            with (self.path / POSE_NAME).open('a', encoding='utf-8') as file:
                file.write(format_tum_line(stamp, pose) + '\n')
        except OSError as error:
            raise DatasetError(
                f'{self.path}: frame {stem} was not recorded ({error}); frames before it are kept'
            ) from error


def write_recording(dataset: Dataset, path: str | Path, image_suffix: str = '.png') -> None:
    """Copy a dataset with poses and one camera into the plain layout.

    Raises DatasetError when a frame has no pose or cameras differ, and what `RecordingWriter` and
    reading the frames raise.
    """
    first = dataset.frames[0]
    writer = RecordingWriter(
        path, first.camera, depth_camera=first.depth_camera, image_suffix=image_suffix
    )
    for frame in dataset.frames:
        if frame.world_from_cam is None:
            raise DatasetError(f'{frame.name} has no pose; only posed frames can be recorded')
        if (frame.camera, frame.depth_camera) != (first.camera, first.depth_camera):
            raise DatasetError(f'{frame.name} has another camera than {first.name}')
        writer.add(frame.image(), frame.world_from_cam, frame.stamp, frame.depth())


def _check_shape(what: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise ImageError(f'{what} has shape {shape}; its camera gives {expected}')


def _to_raw(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Millimetres (H, W) uint16, 0 where unknown or too far to be stored."""
    raw = np.nan_to_num(depth * DEPTH_UNITS_PER_METRE, nan=0.0, posinf=0.0, neginf=0.0).round()
    return np.where((raw > 0) & (raw <= 65535), raw, 0).astype(np.uint16)


def _save(image: Image.Image, path: Path) -> None:
    """Write under another name, then rename, so that no reader ever sees half an image."""
    partial_file = path.with_name(f'.{path.name}.part')
    try:
        if path.suffix == '.jpg':
            image.save(partial_file, format='JPEG', quality=JPEG_QUALITY)
        else:
            # Level 1 keeps up with a camera; higher levels save little on photographs.
            image.save(partial_file, format='PNG', compress_level=1)
        os.replace(partial_file, path)
    finally:
        partial_file.unlink(missing_ok=True)
