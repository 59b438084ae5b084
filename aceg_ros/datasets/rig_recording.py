"""What the mapper records with a rig: `rig.yaml`, and beside it a recording of each camera.

    rig.yaml                         see `aceg_ros.datasets.rig`
    front.image_raw/                 see `aceg_ros.datasets.folder`
    rear.image_raw/

A camera of which nothing is recorded yet has no folder.
"""

from __future__ import annotations

from pathlib import Path

from aceg_ros.datasets import folder
from aceg_ros.datasets.base import Dataset
from aceg_ros.datasets.calibration import read_camera
from aceg_ros.datasets.rig import read_rig
from aceg_ros.errors import DatasetError

RIG_NAME = 'rig.yaml'
SIGNATURE = f'{RIG_NAME}, and a folder of images for each camera'


def recognize(path: Path) -> bool:
    """Whether `path` holds the file of a rig."""
    return (path / RIG_NAME).is_file()


def read(path: Path) -> Dataset:
    """Read the images of all cameras, in order of time; raises DatasetError or CameraError."""
    dataset = read_rig(path / RIG_NAME, _images).posed()
    if not dataset.frames:
        raise DatasetError(f'{path}: no camera that {RIG_NAME} names has a recording there')
    dataset.name = path.resolve().name
    return dataset


def _images(path: Path, calibration: Path | None) -> Dataset:
    if not folder.recognize(path):
        return Dataset(path.name, [], True, notes=[f'{path}: nothing is recorded of this camera'])
    return folder.read(path, None if calibration is None else read_camera(calibration))
