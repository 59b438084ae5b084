"""A camera from the entries of a calibration, by any of their usual names, of all programs.

An entry must be understood, or known to be unrelated to the lens. Otherwise the calibration is
refused and the entry named, because an ignored entry becomes a wrong pose. Names are compared
folded (`image_width`, `imageWidth` and `ImageWidth` are one).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.calibration_cameras import choose_camera
from aceg_ros.datasets.calibration_entries import Entries, number_of, numbers_of, text_of, whole_of
from aceg_ros.datasets.calibration_names import (
    CENTER,
    COEFFICIENTS,
    CX,
    CY,
    DISTORTION_MODEL,
    FISHEYE,
    FOCAL,
    FX,
    FY,
    HEIGHT,
    KEYED,
    KEYED_ALSO,
    MATRIX,
    MIRROR,
    PROJECTION_MODEL,
    RADIAL,
    SIZE,
    SKEW,
    TANGENTIAL,
    WIDTH,
)
from aceg_ros.datasets.lens_models import family, fold, resolve, unsupported
from aceg_ros.datasets.plausibility import check_calibration
from aceg_ros.errors import CameraError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix

Array = NDArray[np.float64]


def camera_from_mapping(values: Any, chosen: str = '') -> Camera:
    """Build a camera from entries in the style of any program.

    `chosen` names one of several cameras (`cam1` of Kalibr). Raises CameraError, which names the
    entry, when one is missing, not understood, or describes a camera that cannot be.
    """
    entries = Entries(choose_camera(values, chosen))
    projection = text_of(entries, PROJECTION_MODEL)
    distortion = text_of(entries, DISTORTION_MODEL) or _named_in_place_of_numbers(entries)
    projection = _projection_with_fisheye(entries, projection)
    for name in (projection, distortion):
        # Their intrinsics would be misunderstood, or refused for another reason.
        if name and family(name) == 'unsupported' and 'brown' not in fold(name):
            raise unsupported(name)
    _refuse_parts_of_the_sensor(entries)
    width, height = _size(entries)
    K = _matrix(entries)
    coefficients = _coefficients(entries, projection, distortion)
    entries.refuse_rest()
    model, coefficients = resolve(projection, distortion, coefficients)
    camera = Camera(model, width, height, K, coefficients)
    check_calibration(camera)
    return camera


def _refuse_parts_of_the_sensor(entries: Entries) -> None:
    """A calibration in a file is for the images as they are, not for the sensor behind them."""
    for name in ('binningx', 'binningy'):
        entry = entries.take((name,))
        if entry is not None and numbers_of(*entry)[:1].sum() > 1:
            raise CameraError(
                f'entry {entry[0]!r} is {entry[1]}: the calibration is for larger images; '
                'scale it to the images and remove the entry'
            )
    roi = entries.take(('roi',))
    if roi is not None and isinstance(roi[1], Mapping):
        edges = ('x_offset', 'y_offset', 'width', 'height')
        if any(numbers_of('roi', [roi[1].get(edge) or 0]).any() for edge in edges):
            raise CameraError(
                "entry 'roi' cuts a part out of the image; give the calibration of that part, "
                'with width, height, cx and cy of the images, and remove the entry'
            )


def _size(entries: Entries) -> tuple[Any, Any]:
    width, height = entries.take(WIDTH), entries.take(HEIGHT)
    size = entries.take(SIZE)
    if width is not None and height is not None:
        both = whole_of(*width), whole_of(*height)
        if size is not None and _size_of(*size) != both:
            raise CameraError(
                f'entry {size[0]!r} and width, height differ; give the size of the images'
            )
        return both
    if size is None:
        raise CameraError('calibration lacks the image size; add width and height in pixels')
    return _size_of(*size)


def _size_of(name: str, value: Any) -> tuple[int, int]:
    numbers = numbers_of(name, value.lower().replace('x', ' ') if isinstance(value, str) else value)
    if numbers.size != 2:
        raise CameraError(f'entry {name!r} holds {numbers.size} numbers; give width and height')
    return whole_of(name, numbers[0]), whole_of(name, numbers[1])


def _matrix(entries: Entries) -> Array:
    fx, fy, cx, cy = (entries.take(names) for names in (FX, FY, CX, CY))
    focal, center, skew = entries.take(FOCAL), entries.take(CENTER), entries.take(SKEW)
    slant = 0.0 if skew is None else number_of(*skew)
    matrix = entries.take(MATRIX)
    if focal is not None and fx is None and fy is None:
        lengths = numbers_of(*focal)
        if lengths.size not in (1, 2):
            raise CameraError(f'entry {focal[0]!r} holds {lengths.size} numbers; give fx and fy')
        fx, fy = (focal[0], lengths[0]), (focal[0], lengths[-1])
    if center is not None and cx is None and cy is None:
        middle = numbers_of(*center)
        if middle.size != 2:
            raise CameraError(f'entry {center[0]!r} holds {middle.size} numbers; give cx and cy')
        cx, cy = (center[0], middle[0]), (center[0], middle[1])
    if fx is not None and cx is not None and cy is not None:
        lengths_and_center = [number_of(*entry) for entry in (fx, fy or fx, cx, cy)]
        K = intrinsic_matrix(*lengths_and_center)
        K[0, 1] = slant
        if fold(fx[0]) == 'flx':
            # NeRF programs count pixels from the corner of the image.
            K[:2, 2] -= 0.5
        if matrix is not None:
            _agrees(matrix, K)
        return K
    if matrix is None:
        raise CameraError('calibration lacks the focal lengths; add fx, fy, cx and cy in pixels')
    return _matrix_of(*matrix)


def _matrix_of(name: str, value: Any) -> Array:
    """K (3, 3) of fx fy cx cy, of a 3x3 matrix by rows or columns, or of a 4x4 one."""
    numbers = numbers_of(name, value)
    if numbers.size == 4:
        return intrinsic_matrix(*numbers)
    if numbers.size == 9:
        K = numbers.reshape(3, 3)
        # Open3D, ARKit and MATLAB write columns first.
        if K[0, 2] == 0.0 and K[1, 2] == 0.0 and (K[2, :2] > 0.0).all():
            K = K.T
        return K
    if numbers.size == 16 and np.array_equal(numbers.reshape(4, 4)[3], [0.0, 0.0, 0.0, 1.0]):
        return numbers.reshape(4, 4)[:3, :3]
    raise CameraError(
        f'entry {name!r} holds {numbers.size} numbers; give fx, fy, cx, cy, or 3 rows of 3'
    )


def _agrees(matrix: tuple[str, Any], K: Array) -> None:
    """Refuse a matrix that says something else than fx, fy, cx and cy do."""
    read = _matrix_of(*matrix)
    places = [0, 1, 0, 1], [0, 1, 2, 2]
    if not np.allclose(read[places], K[places], rtol=1e-3):
        raise CameraError(f'entry {matrix[0]!r} and fx, fy, cx, cy differ; remove the wrong ones')


def _named_in_place_of_numbers(entries: Entries) -> str:
    """librealsense calls the model's name "Distortion", and the numbers "Coeffs"."""
    _, value = entries.values.get('distortion', ('', None))
    if isinstance(value, str) and not re.match(r'[\s\[(]*[-+.\d]', value):
        return text_of(entries, ('distortion',))
    return ''


def _projection_with_fisheye(entries: Entries, projection: str) -> str:
    entry = entries.take(FISHEYE)
    if entry is None or entry[1] in (False, 0, '0', 'false', 'False', ''):
        return projection
    if entry[1] not in (True, 1, '1', 'true', 'True'):
        raise CameraError(f'entry {entry[0]!r} is {entry[1]!r}; give true or false')
    if projection and family(projection) not in ('none', 'fisheye'):
        raise CameraError(
            f'entry {entry[0]!r} and the lens model {projection!r} contradict each other; '
            'remove the wrong one'
        )
    return 'OPENCV_FISHEYE'


def _coefficients(entries: Entries, projection: str, distortion: str) -> Array | None:
    """Coefficients in OpenCV's order; None when the calibration has none at all."""
    if (mirror := entries.take(MIRROR)) is not None and number_of(*mirror):
        raise CameraError(
            f'entry {mirror[0]!r} describes a mirror, of the omnidirectional model of Mei, which '
            'is not supported; calibrate with plumb_bob or equidistant'
        )
    listed = entries.take(COEFFICIENTS)
    radial, tangential = entries.take(RADIAL), entries.take(TANGENTIAL)
    fisheye = any(name and family(name) == 'fisheye' for name in (projection, distortion))
    keyed = _keyed(entries, fisheye)
    given = [part for part in (listed, radial or tangential, keyed) if part is not None]
    if len(given) > 1 and not (listed is not None and not numbers_of(*listed).size):
        raise CameraError('distortion is given twice, as a list and by name; remove one of them')
    if keyed is not None:
        return keyed
    if radial is not None or tangential is not None:
        r = np.zeros(0) if radial is None else numbers_of(*radial)
        t = np.zeros(2) if tangential is None else numbers_of(*tangential)
        if r.size > 3 or t.size != 2:
            raise CameraError(
                f'there are {r.size} radial and {t.size} tangential coefficients; give up to 3 '
                'radial ones and 2 tangential ones'
            )
        r = np.pad(r, (0, 3 - r.size))
        return np.array([r[0], r[1], t[0], t[1], r[2]])
    return None if listed is None else numbers_of(*listed)


def _keyed(entries: Entries, fisheye: bool) -> Array | None:
    """Coefficients given one by one: k1, k2, p1 and so on."""
    found: dict[str, float] = {}
    for name in KEYED:
        entry = entries.take((name, *KEYED_ALSO.get(name, ())))
        if entry is not None:
            found[name] = number_of(*entry)
    if not found:
        return None
    if fisheye:
        # VINS counts the powers of the angle from k2.
        order = ('k1', 'k2', 'k3', 'k4') if 'k1' in found else ('k2', 'k3', 'k4', 'k5')
        extra = [name for name in found if name not in order and found[name]]
        if extra:
            raise CameraError(
                f'entry {extra[0]!r} is not of a fisheye lens, which has k1 to k4; remove it, or '
                'name another model'
            )
        return np.array([found.get(name, 0.0) for name in order])
    if not any(found.values()):
        return np.zeros(0)
    coefficients = np.array([found.get(name, 0.0) for name in KEYED])
    if found.get('k4') and 'k5' not in found:
        raise CameraError(
            "entry 'k4' is a fourth radial coefficient, which is not supported; of a fisheye lens "
            'it needs distortion_model: equidistant, else undistort the images'
        )
    return coefficients
