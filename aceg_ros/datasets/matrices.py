"""Matrices and cameras as research datasets write them: numbers in text files, without a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aceg_ros.datasets.plausibility import check_calibration
from aceg_ros.datasets.trajectory import read_table
from aceg_ros.errors import CameraError, DatasetError, PoseError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix


def read_numbers(path: Path) -> NDArray[np.float64]:
    """All numbers (N,) of a text file, separated by blanks, commas or lines.

    Raises DatasetError, naming the line, for anything that is no number.
    """
    numbers = []
    for line, words in read_table(path):
        for word in words:
            try:
                numbers.append(float(word))
            except ValueError as error:
                raise DatasetError(f'{path}, line {line}: {word[:40]!r} is no number') from error
    return np.array(numbers, dtype=np.float64)


def read_pose(path: Path) -> NDArray[np.float64]:
    """Matrix (4, 4) of a text file with 4 rows of 4 numbers, not validated; raises PoseError."""
    if not path.is_file():
        raise PoseError(f'there is an image but no pose; {path.parent.name}/{path.name} is missing')
    try:
        numbers = read_numbers(path)
    except DatasetError as error:
        raise PoseError(str(error)) from error
    if numbers.size != 16:
        raise PoseError(f'{path}: holds {numbers.size} numbers; 4 rows of 4 are expected')
    return numbers.reshape(4, 4)


def read_intrinsics(path: Path) -> NDArray[np.float64]:
    """Camera matrix (3, 3) of a text file with 3x3 numbers, or 4x4 with it at the top left.

    Raises CameraError when it holds anything else.
    """
    if not path.is_file():
        raise CameraError(f'{path}: is missing; it holds the camera matrix of the images')
    try:
        numbers = read_numbers(path)
    except DatasetError as error:
        raise CameraError(str(error)) from error
    if numbers.size == 16:
        return numbers.reshape(4, 4)[:3, :3]
    if numbers.size == 9:
        return numbers.reshape(3, 3)
    raise CameraError(f'{path}: holds {numbers.size} numbers; a camera matrix, 3x3, is expected')


def camera_of_matrix(K: ArrayLike, size: tuple[int, int], source: Path) -> Camera:
    """Pinhole camera of a matrix (3, 3) whose file does not say for which image size it holds.

    `size` is that of the images. Raises CameraError, naming `source`, when it cannot be of them.
    """
    try:
        camera = Camera('pinhole', *size, np.asarray(K, dtype=np.float64))
        check_calibration(camera)
    except CameraError as error:
        raise CameraError(f'{source}: {error}') from error
    return camera


def central_camera(focal: float, size: tuple[int, int], source: Path) -> Camera:
    """Pinhole camera of one focal length (pixels), its principal point in the image's middle."""
    width, height = size
    K = intrinsic_matrix(focal, focal, width / 2 - 0.5, height / 2 - 0.5)
    return camera_of_matrix(K, size, source)
