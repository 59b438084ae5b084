"""Writing a recording in the plain layout of `aceg_ros.datasets.folder`, image by image."""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aceg_ros.datasets.base import Dataset
from aceg_ros.datasets.calibration import Calibration, read_calibration, write_calibration
from aceg_ros.datasets.folder import CALIBRATION_NAME, DEPTH_FOLDER, DEPTH_UNITS_PER_METER
from aceg_ros.datasets.trajectory import INDEX_HEADER, format_tum_line, read_trajectory
from aceg_ros.errors import DatasetError, ImageError, PoseError, StorageError
from aceg_ros.files import leftovers, make_folder, sync_folder, write_atomically
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import pose_to_tum, validate_pose

IMAGE_FOLDER = 'images'
POSE_NAME = 'poses.txt'
JPEG_QUALITY = 95


class RecordingWriter:
    """Writes frames of one camera into a folder; what is written can be read at any time.

    A frame's image appears whole or not at all, and its pose, a line at the end of the index, after
    it. So a crash, `kill -9` or a full disk harms no frame but the one being written, and a
    recording that broke off can be extended later. Everything is on the disk when `add` returns.

    `camera` is the recording's, `poses` are the world_from_cam (4, 4) of its frames, and `repairs`
    says what an earlier crash had left unfinished.
    """

    def __init__(
        self,
        path: str | Path,
        camera: Camera | None = None,
        *,
        depth_camera: Camera | None = None,
        color_from_depth: NDArray[np.float64] | None = None,
        image_suffix: str = '.png',
    ) -> None:
        """Begin a recording, or without `camera` continue the one that the folder holds.

        `depth_camera` is None when depth is registered to the images, `color_from_depth` (4, 4)
        when both cameras are in one place; `image_suffix` is '.png' or '.jpg'. Raises DatasetError
        when a recording is there already, or none to be continued, CameraError when its calibration
        is damaged, StorageError when the disk does not take it.
        """
        if image_suffix not in ('.png', '.jpg'):
            raise DatasetError(f'images are recorded as .png or .jpg, not {image_suffix!r}')
        self.path = Path(path)
        self.poses: list[NDArray[np.float64]] = []
        self.repairs: list[str] = []
        self._suffix = image_suffix
        self._stems: set[str] = set()
        self._index_size = 0  # bytes that this writer knows of
        try:
            if camera is None:
                self._calibration = self._resume()
            else:
                place = None if color_from_depth is None else pose_to_tum(color_from_depth)
                self._calibration = Calibration(
                    camera,
                    depth_camera,
                    DEPTH_UNITS_PER_METER,
                    None if place is None else tuple(place.tolist()),
                )
                self._begin()
        except OSError as error:
            raise StorageError(f'{self.path}: cannot record there ({error})') from error

    @property
    def camera(self) -> Camera:
        """Camera of all images."""
        return self._calibration.camera

    def __len__(self) -> int:
        return len(self.poses)

    def add(
        self,
        image: NDArray[np.uint8],
        world_from_cam: NDArray[np.float64],
        stamp: float,
        depth: NDArray[np.float32] | None = None,
    ) -> str:
        """Write one frame: RGB (H, W, 3) uint8, pose (4, 4), seconds, depth (H, W) meters or None.

        Gives the image's name. Depth is stored in millimeters up to 65.5 m, nan as unknown. Raises
        ImageError for an array that does not fit the camera, and PoseError for a bad pose. Raises
        DatasetError when two frames have the same stamp or another program records here too. Raises
        StorageError when the frame cannot be written.
        """
        pose = validate_pose(world_from_cam)
        if image.dtype != np.uint8:
            raise ImageError(f'image has type {image.dtype}; give RGB uint8')
        _check_shape('image', image.shape, (self.camera.height, self.camera.width, 3))
        stem = f'{stamp:.6f}'
        image_file = self.path / IMAGE_FOLDER / f'{stem}{self._suffix}'
        depth_file = self.path / DEPTH_FOLDER / f'{stem}.png'
        if stem in self._stems:
            raise DatasetError(f'{image_file}: two frames have the same time stamp')
        if depth is not None:
            depth_camera = self._calibration.depth_camera or self.camera
            _check_shape('depth', depth.shape, (depth_camera.height, depth_camera.width))
        line = format_tum_line(stamp, pose) + '\n'
        try:
            if self._index.stat().st_size != self._index_size:
                raise DatasetError(f'{self.path}: another program records there; stop one of them')
            if depth is not None:
                write_atomically(depth_file, _encode(_to_raw(depth), '.png'))
            write_atomically(image_file, _encode(image, self._suffix))
            _append(self._index, line)
        except OSError as error:
            # Without its pose an image is of no use, and would have to be explained.
            for file in (image_file, depth_file):
                with suppress(OSError):
                    file.unlink()
            raise StorageError(
                f'{self.path}: frame {stem} was not recorded ({error}); frames before it are kept. '
                'Fix that and continue recording, or record elsewhere'
            ) from error
        self._index_size += len(line)
        self._stems.add(stem)
        self.poses.append(pose)
        return image_file.name

    @property
    def _index(self) -> Path:
        return self.path / POSE_NAME

    def _refuse_links(self) -> None:
        """Raise DatasetError where writing would change what lies elsewhere."""
        for name in (IMAGE_FOLDER, DEPTH_FOLDER, POSE_NAME, CALIBRATION_NAME):
            if (self.path / name).is_symlink():
                raise DatasetError(
                    f'{self.path / name} is a link, so what is recorded would lie elsewhere; put '
                    'there what it leads to, or record in another folder'
                )

    def _begin(self) -> None:
        self._refuse_links()
        if self._index.exists():
            raise DatasetError(f'{self.path}: holds a recording already; choose another folder')
        calibration = self.path / CALIBRATION_NAME
        # It is there too when a crash came before the index; then it is mostly of the same camera.
        if calibration.exists() and read_calibration(calibration) != self._calibration:
            raise DatasetError(
                f'{calibration} is of another camera, and no recording is there; choose another '
                'folder, or remove it'
            )
        make_folder(self.path / IMAGE_FOLDER)
        write_calibration(calibration, self._calibration)
        write_atomically(self._index, INDEX_HEADER.encode())
        self._index_size = len(INDEX_HEADER)

    def _resume(self) -> Calibration:
        """Take up what is recorded, after removing what a crash left half-done."""
        self._refuse_links()
        if not is_recording(self.path):
            raise DatasetError(f'{self.path}: holds no recording that could be continued')
        calibration = read_calibration(self.path / CALIBRATION_NAME)
        text = self._index.read_bytes()
        whole = self._index_size = text.rindex(b'\n') + 1
        if whole < len(text):
            os.truncate(self._index, whole)
            self.repairs.append(f'{POSE_NAME}: the last line, torn off, is removed')
        for folder in (self.path / IMAGE_FOLDER, self.path / DEPTH_FOLDER):
            for file in leftovers(folder):
                file.unlink()
                self.repairs.append(f'{folder.name}/{file.name}: half-written, is removed')
        if whole > len(INDEX_HEADER):
            trajectory, problems = read_trajectory(self._index)
            self.repairs += [f'{line}: left out ({reason})' for line, reason in problems]
            for index, stamp in enumerate(trajectory.stamps):
                self._stems.add(f'{stamp:.6f}')
                try:
                    self.poses.append(trajectory.pose(index))
                except PoseError as error:
                    self.repairs.append(f'{POSE_NAME}, time {stamp:.6f}: left out ({error})')
        return calibration


def is_recording(path: Path) -> bool:
    """Whether `path` holds what a `RecordingWriter` began, with or without frames yet."""
    try:
        with (path / POSE_NAME).open(encoding='utf-8') as file:
            return file.readline() == INDEX_HEADER
    except (OSError, UnicodeDecodeError):
        return False


def set_aside(path: Path) -> Path:
    """Rename a recording to `<name>.backup-1`, or the next free number, and give the new path.

    Raises StorageError when that fails.
    """
    number = 1
    while (backup := path.with_name(f'{path.name}.backup-{number}')).exists():
        number += 1
    try:
        path.rename(backup)
        sync_folder(path.parent)
        return backup
    except OSError as error:
        raise StorageError(f'{path}: cannot be renamed to {backup.name} ({error})') from error


def write_recording(dataset: Dataset, path: str | Path, image_suffix: str = '.png') -> None:
    """Copy a dataset with poses and one camera into the plain layout.

    Raises DatasetError when a frame has no pose or cameras differ, and what `RecordingWriter` and
    reading the frames raise.
    """
    first = dataset.frames[0]
    writer = RecordingWriter(
        path,
        first.camera,
        depth_camera=first.depth_camera,
        color_from_depth=first.color_from_depth,
        image_suffix=image_suffix,
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
    """Millimeters (H, W) uint16, 0 where unknown or too far to be stored."""
    raw = np.nan_to_num(depth * DEPTH_UNITS_PER_METER, nan=0.0, posinf=0.0, neginf=0.0).round()
    return np.where((raw > 0) & (raw <= 65535), raw, 0).astype(np.uint16)


def _encode(pixels: NDArray[np.uint8] | NDArray[np.uint16], suffix: str) -> bytes:
    file = BytesIO()
    if suffix == '.jpg':
        Image.fromarray(pixels).save(file, format='JPEG', quality=JPEG_QUALITY)
    else:
        # Level 1 keeps up with a camera; higher levels save little on photographs.
        Image.fromarray(pixels).save(file, format='PNG', compress_level=1)
    return file.getvalue()


def _append(path: Path, line: str) -> None:
    """Put a line at the end of a file, all of it or nothing, onto the disk."""
    data = line.encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError('the disk is full')
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
