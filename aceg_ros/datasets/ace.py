"""Layout of DSAC*, ACE, GLACE and ACE0: an image, a pose and a focal length for each frame.

A scene holds splits such as `train` and `test`, each with `rgb/`, `poses/` and `calibration/`. From
the data structure in the README of DSAC* (github.com/vislearn/dsacstar), which ACE's README names
as its own: poses are 4x4, world_from_cam, with x right, y down, z forward as in 7-Scenes; a
calibration is one focal length in pixels, the principal point being the image's middle, or a 3x3
matrix (ACE's dataset.py). Files belong together by their names or, where names differ, by their
order. Depth is not read, for that of 7-Scenes in this layout is not registered to the images.
"""

from __future__ import annotations

from pathlib import Path

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.images import image_size, list_images
from aceg_ros.datasets.matrices import (
    camera_of_matrix,
    central_camera,
    read_intrinsics,
    read_numbers,
    read_pose,
)
from aceg_ros.datasets.names import natural_key
from aceg_ros.errors import CameraError, DatasetError, PoseError
from aceg_ros.geometry.cameras import Camera

SIGNATURE = 'train/ and test/, or one of them, each with rgb/, poses/ and calibration/'

IMAGES, POSES, CALIBRATIONS = 'rgb', 'poses', 'calibration'
# What files of one frame are called after its name.
_KINDS = ('.color', '.pose', '.calibration')
_SPLIT_NAMES = {'training': 'train', 'testing': 'test'}


def recognize(path: Path) -> bool:
    """Whether `path` is a scene of this layout, or one split of it."""
    return bool(_splits(path))


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read a scene or one split; `camera` replaces the calibrations. Raises DatasetError."""
    collector = FrameCollector()
    for folder in _splits(path):
        split = _SPLIT_NAMES.get(folder.name, folder.name)
        _read_split(folder, '' if folder == path else f'{split}/', split, camera, collector)
    folder = path.resolve()
    name = f'{folder.parent.name}/{folder.name}' if _is_split(path) else folder.name
    return collector.dataset(name, metric=True)


def _read_split(
    folder: Path, prefix: str, split: str, camera: Camera | None, collector: FrameCollector
) -> None:
    images = list_images(folder / IMAGES)
    poses = _beside(images, folder / POSES)
    calibrations = _beside(images, folder / CALIBRATIONS)
    for image in images:
        name = f'{prefix}{image.name}'
        with collector.skipping(name):
            pose_file, calibration = poses.get(image), calibrations.get(image)
            if pose_file is None:
                raise PoseError(f'there is an image but no pose of its name in {POSES}/')
            if camera is None and calibration is None:
                raise CameraError(f'there is no calibration of its name in {CALIBRATIONS}/')
            used = camera or _read_camera(calibration, image_size(image))
            collector.add(name, image, used, read_pose(pose_file), splits=(split,))


def _read_camera(file: Path | None, size: tuple[int, int]) -> Camera:
    if file is None:
        raise CameraError(f'there is no calibration of its name in {CALIBRATIONS}/')
    try:
        numbers = read_numbers(file)
    except DatasetError as error:
        raise CameraError(str(error)) from error
    if numbers.size == 1:
        return central_camera(float(numbers[0]), size, file)
    return camera_of_matrix(read_intrinsics(file), size, file)


def _beside(images: list[Path], folder: Path) -> dict[Path, Path]:
    """The file that goes with each image: by name, or else by order where there are as many."""
    found_files = (file for file in folder.iterdir() if file.suffix == '.txt')
    files = sorted(found_files, key=lambda file: natural_key(file.name))
    by_name = {_frame_name(file): file for file in files}
    found = {
        image: by_name[_frame_name(image)] for image in images if _frame_name(image) in by_name
    }
    if not found and len(files) == len(images):
        return dict(zip(images, files, strict=True))
    return found


def _frame_name(file: Path) -> str:
    name = file.stem
    for kind in _KINDS:
        name = name.removesuffix(kind)
    return name


def _splits(path: Path) -> list[Path]:
    if _is_split(path):
        return [path]
    # Training comes first by no name that is in use.
    found = [folder for folder in path.iterdir() if folder.is_dir() and _is_split(folder)]
    return sorted(found, key=lambda folder: (not folder.name.startswith('train'), folder.name))


def _is_split(folder: Path) -> bool:
    return all((folder / part).is_dir() for part in (IMAGES, POSES, CALIBRATIONS))
