"""Camera calibration files: finding, reading and writing them.

Read are those of ROS, OpenCV, Kalibr, ORB-SLAM, VINS, nerfstudio, COLMAP, Metashape and
librealsense. Written is `width height fx fy cx cy distortion_model distortion`, which is read, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from aceg_ros.datasets.calibration_keys import camera_from_mapping
from aceg_ros.datasets.calibration_text import parse
from aceg_ros.datasets.text import TextError, read_text
from aceg_ros.errors import CameraError, PoseError
from aceg_ros.files import write_atomically
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import pose_from_tum

CALIBRATION_NAMES = (
    'calibration.yaml',
    'calibration.yml',
    'calibration.json',
    'camera.yaml',
    'camera.yml',
    'camera.json',
    'camera_info.yaml',
    'ost.yaml',
)


@dataclass(frozen=True)
class Calibration:
    """A camera, and how depth images that go with it are to be read."""

    camera: Camera
    depth_camera: Camera | None = None  # None: depth is registered to the color image
    depth_scale: float | None = None  # raw units per meter; None: the layout's own
    # tx ty tz qx qy qz qw of the depth camera in the color camera's frame; None: both in one place
    depth_pose: tuple[float, ...] | None = None

    @property
    def color_from_depth(self) -> NDArray[np.float64] | None:
        """`depth_pose` as a transform (4, 4)."""
        return None if self.depth_pose is None else pose_from_tum(self.depth_pose)


def find_calibration(folder: Path) -> Path | None:
    """First calibration file by a usual name in `folder`, or None."""
    return next((folder / name for name in CALIBRATION_NAMES if (folder / name).is_file()), None)


def read_camera(path: str | Path) -> Camera:
    """Read the camera of a calibration file; raises CameraError when it cannot be used."""
    return read_calibration(path).camera


def read_calibration(path: str | Path) -> Calibration:
    """Read a calibration file; optional entries: `depth_camera`, `depth_scale`, `depth_pose`.

    `FILE#cam1` chooses one of several cameras. Raises CameraError, naming the file and the entry,
    when it cannot be read, is in no known style, or holds a calibration that cannot be used.
    """
    file, chosen = _split_choice(str(path))
    values = read_mapping(file)
    try:
        depth_values = values.get('depth_camera')
        depth_camera = None if depth_values is None else camera_from_mapping(depth_values)
        return Calibration(
            camera_from_mapping(values, chosen),
            depth_camera,
            _depth_scale(values),
            _depth_pose(values),
        )
    except CameraError as error:
        raise CameraError(f'{file}: {error}') from error


def folder_calibration(folder: Path, camera: Camera | None) -> Calibration | None:
    """What a dataset's own file says, with `camera`, if there is one, in place of its camera.

    None without file and camera. Raises CameraError when the file is needed and cannot be used.
    """
    file = find_calibration(folder)
    if camera is None:
        return None if file is None else read_calibration(file)
    try:
        return (
            Calibration(camera) if file is None else replace(read_calibration(file), camera=camera)
        )
    except CameraError:
        # It is the reason why another camera was given.
        return Calibration(camera)


def write_calibration(path: str | Path, calibration: Calibration) -> None:
    """Write a calibration in the simple style as YAML, which `read_calibration` reads back."""
    values = _to_simple(calibration.camera)
    if calibration.depth_camera is not None:
        values['depth_camera'] = _to_simple(calibration.depth_camera)
    if calibration.depth_scale is not None:
        values['depth_scale'] = float(calibration.depth_scale)
    if calibration.depth_pose is not None:
        values['depth_pose'] = list(calibration.depth_pose)
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None)
    try:
        write_atomically(Path(path), text.encode())
    except OSError as error:
        raise CameraError(f'{path}: cannot be written ({error.strerror})') from error


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Read the first document of a calibration file as a dict, or raise CameraError."""
    try:
        return parse(read_text(path), Path(path).suffix.lower() == '.json')
    except (TextError, CameraError) as error:
        raise CameraError(f'{path}: {error}') from error


def _split_choice(path: str) -> tuple[str, str]:
    """The file and the camera in it of `FILE#cam1`."""
    file, mark, chosen = path.rpartition('#')
    return (file, chosen) if mark and not Path(path).exists() else (path, '')


def _depth_scale(values: Mapping[str, Any]) -> float | None:
    value = values.get('depth_scale')
    if value is None:
        return None
    scale = float(value) if isinstance(value, int | float) else np.nan
    if not (np.isfinite(scale) and scale > 0):
        raise CameraError(f'depth_scale is {value!r}; give the raw units per meter, such as 1000')
    return scale


def _depth_pose(values: Mapping[str, Any]) -> tuple[float, ...] | None:
    value = values.get('depth_pose')
    if value is None:
        return None
    try:
        numbers = tuple(float(number) for number in value)
        pose_from_tum(numbers)
    except (TypeError, ValueError, PoseError) as error:
        raise CameraError(
            f'depth_pose is {value!r}; give the place of the depth camera in the frame of the '
            'color camera, [tx, ty, tz, qx, qy, qz, qw] in meters'
        ) from error
    return numbers


def _to_simple(camera: Camera) -> dict[str, Any]:
    K = camera.K
    return {
        'width': camera.width,
        'height': camera.height,
        'fx': float(K[0, 0]),
        'fy': float(K[1, 1]),
        'cx': float(K[0, 2]),
        'cy': float(K[1, 2]),
        'distortion_model': camera.model,
        'distortion': camera.distortion.tolist(),
    }
