"""Camera calibration files, YAML or JSON, in the styles found in practice.

- simple: `width height fx fy cx cy distortion_model distortion`, what `write_calibration` writes;
- ROS camera_calibration: `image_width`, `camera_matrix: {data}`, `distortion_coefficients: {data}`;
- ROS CameraInfo as printed by `ros2 topic echo`: `width height distortion_model d k`;
- ASL (EuRoC): `resolution intrinsics distortion_model distortion_coefficients`;
- `Camera.to_dict`: `model width height K distortion`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from aceg_ros.errors import CameraError
from aceg_ros.files import write_atomically
from aceg_ros.geometry.cameras import COEFFICIENT_COUNTS, Camera, intrinsic_matrix

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

_MODEL_ALIASES = {
    'none': 'pinhole',
    'radial-tangential': 'plumb_bob',
    'radtan': 'plumb_bob',
    'fisheye': 'equidistant',
    'kannala_brandt': 'equidistant',
    'equi': 'equidistant',
}


@dataclass(frozen=True)
class Calibration:
    """A camera, and how depth images that go with it are to be read."""

    camera: Camera
    depth_camera: Camera | None = None  # None: depth is registered to the color image
    depth_scale: float | None = None  # raw units per meter; None: the layout's own


def find_calibration(folder: Path) -> Path | None:
    """First calibration file by a usual name in `folder`, or None."""
    return next((folder / name for name in CALIBRATION_NAMES if (folder / name).is_file()), None)


def read_camera(path: str | Path) -> Camera:
    """Read the camera of a calibration file; raises CameraError when it cannot be used."""
    return read_calibration(path).camera


def read_calibration(path: str | Path) -> Calibration:
    """Read a calibration file, with the optional entries `depth_camera` and `depth_scale`.

    Raises CameraError, naming the file, when it cannot be read, is in no known style, or holds a
    calibration that cannot be used.
    """
    values = read_mapping(path)
    try:
        depth_values = values.get('depth_camera')
        depth_camera = None if depth_values is None else camera_from_mapping(depth_values)
        return Calibration(camera_from_mapping(values), depth_camera, _depth_scale(values))
    except CameraError as error:
        raise CameraError(f'{path}: {error}') from error


def write_calibration(path: str | Path, calibration: Calibration) -> None:
    """Write a calibration in the simple style as YAML, which `read_calibration` reads back."""
    values = _to_simple(calibration.camera)
    if calibration.depth_camera is not None:
        values['depth_camera'] = _to_simple(calibration.depth_camera)
    if calibration.depth_scale is not None:
        values['depth_scale'] = float(calibration.depth_scale)
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None)
    try:
        write_atomically(Path(path), text.encode())
    except OSError as error:
        raise CameraError(f'{path}: cannot be written ({error.strerror})') from error


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Read the first document of a YAML or JSON file as a dict, or raise CameraError."""
    try:
        text = Path(path).read_text(encoding='utf-8')
        if Path(path).suffix.lower() == '.json':
            values = json.loads(text)
        else:
            # `ros2 topic echo` ends each message with a document separator.
            values = next(iter(yaml.safe_load_all(text)), None)
    except OSError as error:
        raise CameraError(f'{path}: cannot be read ({error.strerror})') from error
    except (ValueError, yaml.YAMLError) as error:
        raise CameraError(f'{path}: is neither YAML nor JSON ({error})') from error
    if not isinstance(values, dict):
        raise CameraError(f'{path}: holds no entries by name; a camera calibration is expected')
    return values


def camera_from_mapping(values: Mapping[str, Any]) -> Camera:
    """Build a camera from the entries of any of the styles; raises CameraError."""
    if not isinstance(values, Mapping):
        raise CameraError('calibration holds no entries by name')
    width, height = _size(values)
    coefficients = _numbers(_first(values, 'distortion', 'distortion_coefficients', 'd', 'D') or [])
    named = _first(values, 'distortion_model', 'model')
    model = _model('' if named is None else str(named), coefficients.size)
    return Camera(model, width, height, _matrix(values), _drop_zero_tail(model, coefficients))


def _size(values: Mapping[str, Any]) -> tuple[Any, Any]:
    resolution = values.get('resolution')
    if isinstance(resolution, list) and len(resolution) == 2:
        return resolution[0], resolution[1]
    width = _first(values, 'width', 'image_width')
    height = _first(values, 'height', 'image_height')
    if width is None or height is None:
        raise CameraError('calibration lacks the image size; add width and height in pixels')
    return width, height


def _matrix(values: Mapping[str, Any]) -> np.ndarray:
    if all(name in values for name in ('fx', 'fy', 'cx', 'cy')):
        return _intrinsics([values[name] for name in ('fx', 'fy', 'cx', 'cy')])
    if 'intrinsics' in values:
        return _intrinsics(values['intrinsics'])
    entry = _first(values, 'camera_matrix', 'K', 'k')
    if entry is None:
        raise CameraError('calibration lacks the focal lengths; add fx, fy, cx and cy in pixels')
    numbers = _numbers(entry)
    if numbers.size != 9:
        raise CameraError(f'camera matrix has {numbers.size} numbers; give 9')
    return numbers.reshape(3, 3)


def _intrinsics(entry: Any) -> np.ndarray:
    numbers = _numbers(entry)
    if numbers.size != 4:
        raise CameraError(f'intrinsics have {numbers.size} numbers; give fx, fy, cx, cy')
    return intrinsic_matrix(*numbers)


def _model(name: str, count: int) -> str:
    """Name of the model in our vocabulary; without a name the count of coefficients decides."""
    if not name:
        return {0: 'pinhole', 8: 'rational_polynomial'}.get(count, 'plumb_bob')
    model = _MODEL_ALIASES.get(name.lower(), name.lower())
    # Drivers of undistorted images name a model and give no coefficients.
    return 'pinhole' if count == 0 and model in COEFFICIENT_COUNTS else model


def _drop_zero_tail(model: str, coefficients: np.ndarray) -> np.ndarray:
    """Cut zeros beyond what `model` can take, as drivers pad them; anything else is left."""
    most = max(COEFFICIENT_COUNTS[model]) if model in COEFFICIENT_COUNTS else coefficients.size
    return coefficients if coefficients[most:].any() else coefficients[:most]


def _depth_scale(values: Mapping[str, Any]) -> float | None:
    if values.get('depth_scale') is None:
        return None
    scale = _numbers([values['depth_scale']])[0]
    if not (np.isfinite(scale) and scale > 0):
        raise CameraError(f'depth_scale is {scale:g}; give the raw units per meter, such as 1000')
    return float(scale)


def _first(values: Mapping[str, Any], *names: str) -> Any:
    return next((values[name] for name in names if values.get(name) is not None), None)


def _numbers(entry: Any) -> np.ndarray:
    """Flat float64 array of a list, a list of lists, or ROS's {rows, cols, data}."""
    if isinstance(entry, Mapping):
        entry = entry.get('data')
    try:
        return np.array(entry, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise CameraError(f'calibration holds something that is no number: {entry!r}') from error


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
