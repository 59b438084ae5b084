"""Calibrations that no camera has: other units, swapped entries, another image size.

A camera with one of these gives poses that are wrong, or none, and nothing says why. Checked where
a calibration comes in, for the whole image: a part cut out of it may lie beside the lens's axis.
"""

from __future__ import annotations

from aceg_ros.errors import CameraError
from aceg_ros.geometry.cameras import Camera

# Focal lengths over the longer side of the image. A perspective lens of 160 degrees has 0.09; of a
# fisheye lens the image of 220 degrees may fill but a third of the longer side.
_SHORTEST = 0.09
_SHORTEST_FISHEYE = 0.06
_LONGEST = 60.0
# Principal points lie within this of the middle, over the side of the image, where ...
_CLOSE = 0.04  # ... an image is whole,
_OFF = 0.08  # ... and further off where something is wrong, or the image is a part.
_SQUARE = 0.03  # pixels are as wide as high, or nearly


def check_calibration(camera: Camera) -> None:
    """Raise CameraError, which names the unit or the mistake suspected, for an impossible one."""
    width, height = camera.width, camera.height
    fx, fy = float(camera.K[0, 0]), float(camera.K[1, 1])
    cx, cy = float(camera.K[0, 2]), float(camera.K[1, 2])
    given = f'fx {fx:g}, fy {fy:g}, cx {cx:g}, cy {cy:g} of an image of {width}x{height}'
    longer = max(width, height)
    shortest = _SHORTEST_FISHEYE if camera.model == 'equidistant' else _SHORTEST
    if max(fx, fy) < 10.0 and abs(cx) <= 1.0 and abs(cy) <= 1.0 and longer > 16:
        raise CameraError(
            f'{given} seem to be normalized by the size of the image; multiply fx and cx by the '
            'width, fy and cy by the height'
        )
    if min(fx, fy) < shortest * longer:
        raise CameraError(
            f'{given} would see almost everything at once; the focal length seems to be in '
            'millimeters, normalized, or of a smaller image. Give pixels: f_mm * width / '
            'sensor_width_mm'
        )
    if max(fx, fy) > _LONGEST * longer:
        raise CameraError(
            f'{given} would see less than a degree; the focal length seems to be in micrometers '
            'or for larger images; give pixels of this image'
        )
    _check_swaps(given, width, height, fx, fy, cx, cy)
    if not (-0.5 <= cx <= width - 0.5 and -0.5 <= cy <= height - 0.5):
        raise CameraError(
            f'{given}: the principal point lies outside the image; check the order fx, fy, cx, cy, '
            'and that the calibration is of this image size'
        )
    if cx < 0.12 * width and cy < 0.12 * height:
        raise CameraError(
            f'{given}: the principal point lies in the corner of the image; it seems to be counted '
            'from the middle, in millimeters or normalized; give pixels from the upper left corner'
        )
    _check_size(given, width, height, cx, cy)


def _check_swaps(
    given: str, width: int, height: int, fx: float, fy: float, cx: float, cy: float
) -> None:
    """Whether another order of the same numbers is that of a usual camera."""
    if not _is_off(cx, cy, width, height):
        return
    if width != height and _is_central(cx, cy, height, width):
        raise CameraError(
            f'{given}: width and height, or cx and cy, seem to be swapped; give them in order'
        )
    orders = {
        'fx, fy and cx, cy seem to be swapped': (cx, cy, fx, fy),
        'the order seems to be fx, cx, fy, cy': (fx, cx, fy, cy),
        'the order seems to be cx, fx, cy, fy': (fy, cy, fx, cx),
    }
    for mistake, (fx2, fy2, cx2, cy2) in orders.items():
        square = fx2 > 0 and abs(fy2 / fx2 - 1.0) < _SQUARE
        if square and _is_central(cx2, cy2, width, height):
            raise CameraError(f'{given}: {mistake}; give fx, fy, cx, cy')


def _check_size(given: str, width: int, height: int, cx: float, cy: float) -> None:
    """Whether the principal point is the middle of a smaller or larger image of the same shape."""
    right, down = 2.0 * (cx + 0.5) / width, 2.0 * (cy + 0.5) / height
    if abs(right - down) < 0.06 * right and not 0.7 < right < 1.4:
        raise CameraError(
            f'{given} seem to be for an image of {round(width * right)}x{round(height * down)}; '
            'multiply fx, fy, cx and cy by the ratio of the sizes'
        )


def _is_central(cx: float, cy: float, width: int, height: int) -> bool:
    return abs(cx / width - 0.5) < _CLOSE and abs(cy / height - 0.5) < _CLOSE


def _is_off(cx: float, cy: float, width: int, height: int) -> bool:
    return abs(cx / width - 0.5) > _OFF or abs(cy / height - 0.5) > _OFF
