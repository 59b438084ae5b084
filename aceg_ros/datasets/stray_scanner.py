"""Stray Scanner's recordings: `rgb.mp4`, `odometry.csv` and `camera_matrix.csv`.

From docs/format.md and OdometryEncoder.swift (github.com/strayrobots/scanner): a row of odometry is
`timestamp, frame, x, y, z, qx, qy, qz, qw` under a header, or, of old versions, the last seven
without one. It is world_from_cam (m); the app turns ARKit's axes to x right, y down, z forward. The
matrix is for frames as the sensor gives them; that the video is to be shown upright, as it says, is
passed over. `depth/000000.png` is in millimeters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from aceg_ros.datasets.base import Dataset, Frame, FrameCollector
from aceg_ros.datasets.images import image_size, read_depth
from aceg_ros.datasets.matrices import camera_of_matrix, read_intrinsics
from aceg_ros.datasets.trajectory import read_table
from aceg_ros.datasets.video import Video
from aceg_ros.errors import CameraError, DatasetError, PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import pose_from_tum

SIGNATURE = 'rgb.mp4, odometry.csv and camera_matrix.csv'

VIDEO, ODOMETRY, MATRIX, DEPTH = 'rgb.mp4', 'odometry.csv', 'camera_matrix.csv', 'depth'
DEPTH_UNITS_PER_METER = 1000.0
# Frames or poses that may be missing at the end, where the recording was stopped.
MAX_LONE = 2

_POSE_COLUMNS = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')


@dataclass(frozen=True)
class _Row:
    line: int
    number: int  # the app's own, which names the depth image
    stamp: float | None
    pose: list[float] | None  # tx ty tz qx qy qz qw; None where it could not be read


def recognize(path: Path) -> bool:
    """Whether `path` is a recording of this layout."""
    return all((path / name).is_file() for name in (VIDEO, ODOMETRY, MATRIX))


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read a recording; `camera` replaces its own. Raises DatasetError or CameraError.

    Frames of the video are decoded when they are asked for, quickest in their order.
    """
    video = Video(path / VIDEO)
    rows = _read_odometry(path / ODOMETRY)
    if abs(len(rows) - video.count) > MAX_LONE:
        raise DatasetError(
            f'{path}: {VIDEO} has {video.count} frames, {ODOMETRY} {len(rows)} poses, so which '
            'belong together is not known; record anew, or save frames and poses as a plain folder'
        )
    if camera is None:
        matrix = path / MATRIX
        camera = camera_of_matrix(read_intrinsics(matrix), (video.width, video.height), matrix)
    elif (camera.width, camera.height) != (video.width, video.height):
        raise CameraError(
            f'{path / VIDEO}: is {video.width}x{video.height}, but the calibration is for '
            f'{camera.width}x{camera.height}; give the calibration of this size'
        )
    collector = FrameCollector()
    for index, row in enumerate(rows):
        name = f'{row.number:06d}'
        with collector.skipping(name):
            if index >= video.count:
                raise PoseError('there is a pose but no frame in the video')
            if row.pose is None:
                raise PoseError(f'{ODOMETRY}, line {row.line}: does not hold a pose')
            depth = path / DEPTH / f'{name}.png'
            has_depth = depth.is_file()
            collector.add_frame(
                Frame(
                    name=name,
                    camera=camera,
                    load_image=partial(video.frame, index),
                    world_from_cam=pose_from_tum(row.pose),
                    stamp=float(index) if row.stamp is None else row.stamp,
                    load_depth=(
                        partial(read_depth, depth, DEPTH_UNITS_PER_METER) if has_depth else None
                    ),
                    depth_camera=camera.scaled(*image_size(depth)) if has_depth else None,
                )
            )
    for index in range(len(rows), video.count):
        collector.skip(f'{index:06d}', 'there is a frame in the video but no pose')
    return collector.dataset(path.resolve().name, metric=True)


def _read_odometry(path: Path) -> list[_Row]:
    rows: list[_Row] = []
    table = read_table(path)
    columns = _columns(table[0][1], path) if table else {}
    for line, words in table[1:] if 'header' in columns else table:
        try:
            values = {name: float(words[column]) for name, column in columns.items() if column >= 0}
        except (ValueError, IndexError):
            rows.append(_Row(line, len(rows), None, None))
            continue
        number = values.get('frame', float(len(rows)))
        stamp = values.get('timestamp')
        rows.append(
            _Row(
                line,
                int(number) if 0 <= number < 1e9 else len(rows),
                stamp if stamp is not None and np.isfinite(stamp) else None,
                [values[name] for name in _POSE_COLUMNS],
            )
        )
    if not rows:
        raise DatasetError(
            f'{path}: holds no pose; rows of {", ".join(_POSE_COLUMNS)} are expected'
        )
    return rows


def _columns(words: list[str], path: Path) -> dict[str, int]:
    """Where each value stands; 'header' is in it, at -1, where the first row names them."""
    if 'qw' not in words:
        try:
            [float(word) for word in words]
        except ValueError as error:
            raise DatasetError(
                f'{path}, line 1: is no header that is known; {", ".join(_POSE_COLUMNS)} are '
                'expected in it'
            ) from error
        return {name: column for column, name in enumerate(_POSE_COLUMNS)}
    missing = [name for name in _POSE_COLUMNS if name not in words]
    if missing:
        raise DatasetError(f'{path}, line 1: the header lacks {", ".join(missing)}')
    wanted = ('timestamp', 'frame', *_POSE_COLUMNS)
    return {'header': -1} | {name: words.index(name) for name in wanted if name in words}
