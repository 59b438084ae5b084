"""Names and coefficient counts of lens models, as the programs that calibrate cameras write them.

Names are compared folded: without case, blanks, `-`, `_` and dots. Counts follow OpenCV: 4, 5, 8,
12 or 14 coefficients k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tx ty in a perspective image, and 4, k1 k2
k3 k4, in a fisheye image.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import CameraError

Array = NDArray[np.float64]
Family = Literal['none', 'perspective', 'fisheye', 'unsupported']

# What OpenCV takes. One and two are COLMAP's; three would be k1 k2 k3 or k1 k2 p1.
PERSPECTIVE_COUNTS = (0, 1, 2, 4, 5, 8, 12, 14)
# Coefficients of the perspective model that are followed; the thin prism and the tilt are not.
PERSPECTIVE_SUPPORTED = 8
PLUMB_BOB = 5
FISHEYE_COUNT = 4
# A tangential coefficient of a real lens is smaller by far.
MAX_TANGENTIAL = 0.02

_FAMILIES: dict[str, Family] = {
    **dict.fromkeys(
        (
            *('none', 'null', 'pinhole', 'simplepinhole', 'nodistortion', 'ideal', 'perspective'),
            *('rectified', 'undistorted', 'pinholenone', 'linear'),
        ),
        'none',
    ),
    **dict.fromkeys(
        (
            *(
                'plumbbob',
                'radtan',
                'radialtangential',
                'tangentialradial',
                'radial',
                'simpleradial',
            ),
            *('brown', 'brownconrady', 'conradybrown', 'brownc', 'opencv', 'fullopencv', 'frame'),
            *('rational', 'rationalpolynomial', 'rationalpolynom', 'pinholeradtan', 'pinholefull'),
            *('pinholeradialtangential', 'pinholebrown', 'opencvpinhole', 'opencv5', 'opencv8'),
            *('radtan4', 'radtan5', 'radtan8', 'pinholeradialk3', 'pinholebrownt2', 'polynomial8'),
            *('opencvrational', 'pinholeopencv', 'plumbbob5', 'pinholedistorted'),
        ),
        'perspective',
    ),
    **dict.fromkeys(
        (
            *('equidistant', 'equi', 'fisheye', 'opencvfisheye', 'fisheyeopencv', 'pinholeequi'),
            *('pinholeequidistant', 'pinholefisheye', 'kannalabrandt', 'kannalabrandt4'),
            *('kannalabrandt8', 'kb', 'kb4', 'kb8', 'kannala', 'simpleradialfisheye'),
            *('radialfisheye', 'equidistant4', 'fisheye4', 'pinholekannalabrandt'),
        ),
        'fisheye',
    ),
}

# Known models that are not followed, and what they are.
_UNSUPPORTED = {
    **dict.fromkeys(
        ('omni', 'omnidirectional', 'mei', 'catadioptric', 'pinholeomni', 'omniradtan'),
        "Mei's omnidirectional model",
    ),
    **dict.fromkeys(('ucm', 'unified', 'eucm', 'extendedunified'), 'the unified camera model'),
    **dict.fromkeys(('ds', 'doublesphere'), 'the double sphere model'),
    **dict.fromkeys(('fov', 'atan', 'pinholefov', 'fovcamera'), 'the field-of-view model'),
    **dict.fromkeys(('ftheta', 'fthetafisheye'), 'the f-theta model'),
    **dict.fromkeys(('scaramuzza', 'ocam', 'ocamcalib'), "Scaramuzza's polynomial model"),
    **dict.fromkeys(('division', 'simpledivision'), 'the division model'),
    **dict.fromkeys(
        (
            *('thinprism', 'thinprismfisheye', 'radtanthinprismfisheye', 'fisheye624'),
            'opencvthinprism',
        ),
        'a model with thin prism terms',
    ),
    **dict.fromkeys(
        (
            *('equirectangular', 'spherical', 'panorama', 'latlong', 'cylindrical'),
            *('omnidirectionalstereol', 'omnidirectionalstereor', 'vr180l', 'vr180r'),
        ),
        'a panorama',
    ),
    **dict.fromkeys(('orthographic', 'orthophoto'), 'an orthographic projection'),
    **dict.fromkeys(('stereographic', 'equisolid', 'equisolidangle'), 'another fisheye projection'),
    'inversebrownconrady': 'a model that straightens pixels instead of bending them',
    'modifiedbrownconrady': "librealsense's own variant",
}

_REMEDY = 'calibrate with plumb_bob or equidistant, or undistort the images'


def fold(name: str) -> str:
    """A name of a model or an entry without case, blanks and marks between words."""
    return re.sub(r'[^a-z0-9]', '', str(name).lower())


def family(name: str) -> Family:
    """Family of a lens model by any of its names, or 'unsupported'; raises CameraError if unknown.

    'unsupported' models can be used where they have no distortion: see `resolve`.
    """
    folded = re.sub(r'^(rs2)?distortion', '', fold(name)).removesuffix('model') or 'none'
    if folded in _FAMILIES:
        return _FAMILIES[folded]
    if folded in _UNSUPPORTED:
        return 'unsupported'
    raise CameraError(
        f'camera model {name!r} is unknown; known are pinhole, plumb_bob (radtan, OPENCV), '
        'rational_polynomial and equidistant (fisheye, Kannala-Brandt)'
    )


def is_model(name: str) -> bool:
    """Whether a text names a lens model, other than that of no distortion."""
    folded = fold(name)
    return folded in _UNSUPPORTED or _FAMILIES.get(folded, 'none') != 'none'


def unsupported(name: str) -> CameraError:
    """What to raise for a model that is known and not followed."""
    folded = re.sub(r'^(rs2)?distortion', '', fold(name)).removesuffix('model')
    what = _UNSUPPORTED.get(folded, 'another model')
    return CameraError(f'camera model {name!r} is {what}, which is not supported; {_REMEDY}')


def resolve(projection: str, distortion: str, coefficients: Array | None) -> tuple[str, Array]:
    """Our model's name and its coefficients, from what a calibration says.

    `projection` names what bends rays onto the image (`camera_model`, `model_type`), `distortion`
    what is added to it (`distortion_model`); either may be empty. `coefficients` is None where the
    calibration has none at all, which differs from an empty list. Raises CameraError when names
    contradict each other or the coefficients, or when a model is unknown or not supported.
    """
    for name in (projection, distortion):
        if name and family(name) == 'unsupported':
            # librealsense names them for lenses that it has no coefficients of.
            zero = coefficients is not None and not coefficients.any()
            if not ('brown' in fold(name) and (zero or _is_radial(name, coefficients))):
                raise unsupported(name)
            distortion = distortion and 'plumb_bob'
            projection = projection and 'plumb_bob'
    if coefficients is not None and not np.isfinite(coefficients).all():
        raise CameraError('distortion has nan or infinite coefficients; calibrate again')
    chosen = _agree(projection, distortion)
    if chosen is None:
        chosen = _by_count(projection, coefficients)
    if coefficients is None:
        if chosen != 'none':
            raise CameraError(
                f'calibration names the lens model {distortion or projection!r} but holds no '
                'coefficients; add them as distortion_coefficients'
            )
        return 'pinhole', np.zeros(0)
    if chosen == 'none':
        if coefficients.any():
            raise CameraError(
                f'calibration says {distortion or projection!r}, a lens without distortion, but '
                f'holds {coefficients.size} coefficients; name their model in distortion_model'
            )
        return 'pinhole', np.zeros(0)
    return _fisheye(coefficients) if chosen == 'fisheye' else _perspective(coefficients)


def _is_radial(name: str, coefficients: Array | None) -> bool:
    """Whether librealsense's variant is OpenCV's model: it is without tangential terms."""
    if coefficients is None or 'modified' not in fold(name):
        return False
    return not coefficients[2:4].any()


def _agree(projection: str, distortion: str) -> Family | None:
    """Family that both names allow; None where none of them decides."""
    first = family(projection) if projection else None
    second = family(distortion) if distortion else None
    if second is None:
        # "pinhole" says nothing of distortion where coefficients follow.
        return None if first == 'none' else first
    if first in (None, 'none') or first == second:
        return second
    raise CameraError(
        f'calibration names two lens models that contradict each other, {projection!r} and '
        f'{distortion!r}; remove the wrong one'
    )


def _by_count(projection: str, coefficients: Array | None) -> Family:
    if coefficients is None or not coefficients.size:
        return 'none'
    if projection and not coefficients.any():
        return 'none'
    tangential = np.abs(coefficients[2:4])
    if coefficients.size == FISHEYE_COUNT and tangential.max() > MAX_TANGENTIAL:
        raise CameraError(
            'calibration holds 4 coefficients of a model it does not name; add '
            'distortion_model: equidistant for a fisheye lens, or distortion_model: plumb_bob'
        )
    return 'perspective'


def _perspective(coefficients: Array) -> tuple[str, Array]:
    count = coefficients.size
    if count == 0:
        # Drivers of undistorted images name a model and give no coefficients.
        return 'pinhole', coefficients
    if count not in PERSPECTIVE_COUNTS:
        if coefficients.any():
            raise CameraError(
                f'there are {count} distortion coefficients; 4, 5, 8, 12 or 14 are expected: '
                'k1 k2 p1 p2 k3 k4 k5 k6 and so on'
            )
        return 'pinhole', np.zeros(0)
    if coefficients[PERSPECTIVE_SUPPORTED:].any():
        raise CameraError(
            f'{count} distortion coefficients, of which the last {count - PERSPECTIVE_SUPPORTED} '
            '(thin prism, tilt) are not zero, are not supported; calibrate with at most 8'
        )
    coefficients = coefficients[:PERSPECTIVE_SUPPORTED]
    if coefficients[PLUMB_BOB:].any():
        return 'rational_polynomial', coefficients
    return 'plumb_bob', coefficients[:PLUMB_BOB]


def _fisheye(coefficients: Array) -> tuple[str, Array]:
    if coefficients.size < FISHEYE_COUNT or coefficients[FISHEYE_COUNT:].any():
        raise CameraError(
            f'a fisheye lens (equidistant) takes 4 distortion coefficients, not '
            f'{coefficients.size}; check the model and the list'
        )
    return 'equidistant', coefficients[:FISHEYE_COUNT]
