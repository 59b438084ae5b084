"""ASL layout (EuRoC, Burri et al., IJRR 2016): one camera of a drone and its ground truth.

`mav0/cam0/data.csv` lists `nanoseconds,file`, `cam0/sensor.yaml` holds the calibration and T_BS
(body_from_cam), `state_groundtruth_estimate0/data.csv` holds world_from_body with w first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.calibration import camera_from_mapping, read_mapping
from aceg_ros.datasets.trajectory import Trajectory, read_table
from aceg_ros.errors import CameraError, DatasetError, PoseError
from aceg_ros.geometry.poses import validate_pose

SIGNATURE = 'mav0/cam0/data.csv and mav0/state_groundtruth_estimate0/data.csv'

CAMERA = 'cam0'
GROUND_TRUTH = Path('state_groundtruth_estimate0', 'data.csv')


def recognize(path: Path) -> bool:
    """Whether `path` is a sequence of this layout, or its mav0 folder."""
    return _root(path) is not None


def read(path: Path) -> Dataset:
    """Read the first camera; poses are interpolated between ground truth at most 0.1 s apart.

    Raises DatasetError, CameraError, or PoseError when T_BS is unusable.
    """
    root = _root(path)
    if root is None:
        raise DatasetError(f'{path}: lacks {SIGNATURE}')
    sensor_file = root / CAMERA / 'sensor.yaml'
    sensor = read_mapping(sensor_file)
    try:
        camera = camera_from_mapping(sensor)
    except CameraError as error:
        raise CameraError(f'{sensor_file}: {error}') from error
    body_from_cam = _body_from_cam(sensor, sensor_file)
    trajectory = _read_ground_truth(root / GROUND_TRUTH)
    collector = FrameCollector()
    for nanoseconds, file in _read_list(root / CAMERA / 'data.csv'):
        stamp = nanoseconds * 1e-9
        with collector.skipping(file):
            world_from_body = trajectory.at(stamp)
            collector.add(
                file,
                root / CAMERA / 'data' / file,
                camera,
                world_from_body @ body_from_cam,
                stamp=stamp,
            )
    folder = path.resolve()
    name = folder.parent.name if folder.name == 'mav0' else folder.name
    return collector.dataset(name, metric=True)


def _root(path: Path) -> Path | None:
    for root in (path / 'mav0', path):
        if (root / CAMERA / 'data.csv').is_file() and (root / GROUND_TRUTH).is_file():
            return root
    return None


def _body_from_cam(sensor: dict[str, Any], file: Path) -> np.ndarray:
    try:
        return validate_pose(np.array(sensor['T_BS']['data'], dtype=np.float64).reshape(4, 4))
    except (KeyError, TypeError, ValueError) as error:
        raise PoseError(f'{file}: lacks T_BS with 16 numbers, the camera in the body') from error
    except PoseError as error:
        raise PoseError(f'{file}: T_BS: {error}') from error


def _read_list(path: Path) -> list[tuple[int, str]]:
    rows = []
    for number, words in read_table(path):
        try:
            rows.append((int(words[0]), words[1]))
        except (ValueError, IndexError) as error:
            raise DatasetError(f'{path}, line {number}: is not a time and a file name') from error
    return sorted(rows)


def _read_ground_truth(path: Path) -> Trajectory:
    """world_from_body; a row without a usable pose stays in as a hole."""
    stamps, numbers = [], []
    for line, words in read_table(path):
        try:
            stamps.append(int(words[0]) * 1e-9)
            x, y, z, qw, qx, qy, qz = (float(word) for word in words[1:8])
        except ValueError as error:
            raise DatasetError(f'{path}, line {line}: is not a time and a pose') from error
        numbers.append([x, y, z, qx, qy, qz, qw])
    if not stamps:
        raise DatasetError(f'{path}: holds no pose')
    return Trajectory(stamps, numbers)
