"""ASL layout (EuRoC, Burri et al., IJRR 2016; TUM-VI, Schubert et al., IROS 2018).

`mav0/cam0/data.csv` lists `nanoseconds,file`, `cam0/sensor.yaml` holds the calibration and T_BS
(body_from_cam), `state_groundtruth_estimate0/data.csv`, or `mocap0/data.csv` of TUM-VI, holds
world_from_body with w first; the body is the IMU. TUM-VI has no sensor.yaml; its exports bring
Kalibr's `dso/camchain.yaml` instead, with T_cam_imu (cam_from_body), see
https://cvg.cit.tum.de/data/datasets/visual-inertial-dataset and
https://github.com/ethz-asl/kalibr/wiki/yaml-formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.calibration import read_mapping
from aceg_ros.datasets.calibration_keys import camera_from_mapping
from aceg_ros.datasets.names import file_named, shown
from aceg_ros.datasets.times import read_times
from aceg_ros.datasets.trajectory import Trajectory, read_stamped_files, read_table
from aceg_ros.errors import CameraError, DatasetError, PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, validate_pose

SIGNATURE = (
    'mav0/cam0/data.csv and mav0/state_groundtruth_estimate0/data.csv, or mav0/mocap0/data.csv'
)

CAMERA = 'cam0'
# Of times, where they say nothing else by themselves.
UNIT = 'nanoseconds'
GROUND_TRUTHS = (
    Path('state_groundtruth_estimate0', 'data.csv'),
    Path('mocap0', 'data.csv'),
)
CAMCHAIN = Path('dso', 'camchain.yaml')
# Clocks of one rig differ by less (s).
MAX_SHIFT = 10.0


def recognize(path: Path) -> bool:
    """Whether `path` is a sequence of this layout, or its mav0 folder."""
    return _root(path) is not None


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read the first camera; poses are interpolated between ground truth at most 0.1 s apart.

    `camera` replaces the calibration; where it lies on the body is still read. Raises DatasetError,
    CameraError, or PoseError when T_BS is unusable.
    """
    found = _root(path)
    if found is None:
        raise DatasetError(f'{path}: lacks {SIGNATURE}')
    root, ground_truth = found
    used, body_from_cam, shift = _read_sensor(root, camera)
    trajectory = _read_ground_truth(ground_truth)
    collector = FrameCollector()
    images = root / CAMERA / 'data'
    times, files = read_stamped_files(root / CAMERA / 'data.csv', trajectory.stamps, UNIT)
    for stamp, file in zip(times.seconds.tolist(), files, strict=True):
        with collector.skipping(shown(file)):
            world_from_body = trajectory.at(stamp + shift)
            collector.add(
                shown(file),
                file_named(images, file),
                used,
                world_from_body @ body_from_cam,
                stamp=stamp,
            )
    folder = path.resolve()
    name = folder.parent.name if folder.name == 'mav0' else folder.name
    return collector.dataset(name, metric=True)


def _root(path: Path) -> tuple[Path, Path] | None:
    """The mav0 folder, and the file of ground truth in it."""
    for root in (path / 'mav0', path):
        truth = next((root / name for name in GROUND_TRUTHS if (root / name).is_file()), None)
        if truth is not None and (root / CAMERA / 'data.csv').is_file():
            return root, truth
    return None


def _read_sensor(root: Path, camera: Camera | None) -> tuple[Camera, np.ndarray, float]:
    """`camera`, or else the one in the files, and body_from_cam (4, 4).

    Last the seconds by which the body's clock is ahead of the camera's.
    """
    sensor_file, chain_file = root / CAMERA / 'sensor.yaml', root.resolve().parent / CAMCHAIN
    if not sensor_file.is_file() and chain_file.is_file():
        entry = read_mapping(chain_file).get(CAMERA)
        if not isinstance(entry, Mapping):
            raise CameraError(f'{chain_file}: lacks the entry {CAMERA}')
        cam_from_body = _matrix(entry.get('T_cam_imu'), 'T_cam_imu', chain_file)
        shift = entry.get('timeshift_cam_imu', 0.0)
        if not isinstance(shift, int | float) or not abs(shift) < MAX_SHIFT:
            raise CameraError(f'{chain_file}: timeshift_cam_imu is {shift!r}; give seconds')
        return camera or _camera(entry, chain_file), inverse(cam_from_body), float(shift)
    values = read_mapping(sensor_file)
    used = camera or _camera(values, sensor_file)
    return used, _body_from_cam(values, sensor_file), 0.0


def _camera(values: Mapping[Any, Any], file: Path) -> Camera:
    try:
        return camera_from_mapping(values)
    except CameraError as error:
        raise CameraError(f'{file}: {error}') from error


def _body_from_cam(sensor: Mapping[str, Any], file: Path) -> np.ndarray:
    entry = sensor.get('T_BS')
    return _matrix(entry.get('data') if isinstance(entry, Mapping) else None, 'T_BS', file)


def _matrix(entry: Any, name: str, file: Path) -> np.ndarray:
    try:
        numbers = np.array(entry, dtype=np.float64).reshape(4, 4)
    except (TypeError, ValueError) as error:
        raise PoseError(f'{file}: lacks {name} with 16 numbers, where the camera is') from error
    try:
        return validate_pose(numbers)
    except PoseError as error:
        raise PoseError(f'{file}: {name}: {error}') from error


def _read_ground_truth(path: Path) -> Trajectory:
    """world_from_body; a row without a usable pose stays in as a hole."""
    stamps, numbers = [], []
    for line, words in read_table(path):
        try:
            x, y, z, qw, qx, qy, qz = (float(word) for word in words[1:8])
        except ValueError as error:
            raise DatasetError(
                f'{path}, line {line}: is not a time and a pose; nanoseconds, x, y, z, qw, qx, qy, '
                'qz are expected'
            ) from error
        if read_times(words[:1]) is None:
            raise DatasetError(f'{path}, line {line}: {words[0]!r} is no time in nanoseconds')
        stamps.append(words[0])
        numbers.append([x, y, z, qx, qy, qz, qw])
    times = read_times(stamps, otherwise=UNIT)
    if times is None:
        raise DatasetError(f'{path}: holds no pose')
    return Trajectory(times.seconds, numbers, times.taken_as)
