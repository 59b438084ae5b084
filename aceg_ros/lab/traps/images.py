"""What can happen to an image (H, W, 3) uint8 RGB between a place and a localizer.

Functions take the image, an image of another place of the same size, and a generator. The same
generator state always does the same.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Flaw = Callable[[Image, Image, np.random.Generator], Image]

_DROPS = (25, 50)
_DROP_RADIUS = (0.015, 0.05)  # of the image's width
_NOISE = 3.0  # of 255, of a sensor in the dark


def motion_blur(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """Turned while the shutter was open, by 2 to 5 % of the image's width."""
    length = max(int(image.shape[1] * rng.uniform(0.02, 0.05)), 3)
    angle = rng.uniform(0, np.pi)
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    reach = 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
    start, end = (np.rint(length + sign * reach).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def overexposed(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """Two to four times too much light."""
    return _bytes(image * rng.uniform(2.0, 4.0))


def underexposed(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """A tenth of the light, and the noise of a sensor."""
    return _noisy(image * rng.uniform(0.06, 0.15), rng)


def flash(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """A light beside the lens: bright in the middle, dim at the edges, a glare somewhere."""
    distance = _distance_to(image, (0.5, 0.5))
    glare = _distance_to(image, rng.uniform(0.2, 0.8, 2))
    lit = image * (0.25 + 2.0 * np.exp(-((distance / 0.35) ** 2)))[..., None]
    return _bytes(lit + 255 * np.exp(-((glare / 0.08) ** 2))[..., None])


def raindrops(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """Drops on the lens, each of which shows the scene upside down and blurred."""
    height, width = image.shape[:2]
    blurred = cv2.GaussianBlur(image, (0, 0), 0.008 * width)
    wet = image.astype(np.float32)
    for _ in range(rng.integers(*_DROPS)):
        x, y = (rng.uniform(0, 1, 2) * (width, height)).astype(int).tolist()
        radius = int(width * rng.uniform(*_DROP_RADIUS)) + 1
        across = slice(max(x - radius, 0), min(x + radius, width))
        down = slice(max(y - radius, 0), min(y + radius, height))
        rows, columns = np.mgrid[down, across].astype(np.float32)
        seen = cv2.remap(
            blurred,
            x - 4 * (columns - x),
            y - 4 * (rows - y),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        distance = np.hypot(columns - x, rows - y) / radius
        weight = np.clip((1.05 - distance) / 0.1, 0, 1)[..., None]
        wet[down, across] = wet[down, across] * (1 - weight) + seen * weight
    return _bytes(wet)


def rolling_noise(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """A bad cable: rows are shifted sideways and brighter or darker, some are lost."""
    rows, columns = image.shape[:2]
    shifts = np.rint(np.cumsum(rng.normal(0, 0.7, rows)) % (0.03 * columns)).astype(int)
    rolled = np.stack([np.roll(image[row], shifts[row], axis=0) for row in range(rows)])
    bands = 30 * np.sin(np.arange(rows) / rng.uniform(3, 20) + rng.uniform(0, 6))
    lost = np.flatnonzero(rng.random(rows) < 0.03)
    noisy = rolled + bands[:, None, None] + rng.normal(0, 12, image.shape)
    noisy[lost] = rng.uniform(0, 255, (len(lost), columns, 3))
    return _bytes(noisy)


def person(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """Someone in front of the camera, who fills half of the image or more."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    x = int(width * rng.uniform(0.35, 0.65))
    shoulders = int(width * rng.uniform(0.36, 0.46))
    head = int(0.15 * width)
    neck = int(height * rng.uniform(0.3, 0.45))
    cv2.ellipse(mask, (x, height), (shoulders, height - neck), 0, 180, 360, 255, -1)
    cv2.ellipse(mask, (x, max(neck - head // 2, 0)), (head, int(1.35 * head)), 0, 0, 360, 255, -1)
    cloth = cv2.resize(rng.uniform(0, 1, (24, 32, 1)).astype(np.float32), (width, height))
    color = rng.uniform(40, 220, 3)
    weight = cv2.GaussianBlur(mask, (0, 0), 2).astype(np.float32)[..., None] / 255
    dressed = color * (0.6 + 0.5 * cloth[..., None])
    return _noisy(image * (1 - weight) + dressed * weight, rng)


def photograph_before_half(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """A picture of another place, held before one half of the lens."""
    height, width = image.shape[:2]
    left = rng.random() < 0.5
    edge = np.array([0.45, 0.55]) + rng.uniform(-0.05, 0.05, 2)
    near, far = (0.0, edge) if left else (1.0, edge)
    corners = np.array([[near, -0.1], [far[0], -0.1], [far[1], 1.1], [near, 1.1]])
    return _pasted(image, other, corners * (width, height))


def on_a_screen(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """The place on a screen that stands in another place."""
    height, width = image.shape[:2]
    size = rng.uniform(0.55, 0.75)
    low = rng.uniform(0.05, 0.95 - size, 2)
    corners = low + size * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners += rng.uniform(-0.03, 0.03, (4, 2))
    return _pasted(other, image, corners * (width, height))


def poster_elsewhere(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """A thing of the place, as large as there, in another place."""
    height, width = image.shape[:2]
    size = rng.uniform(0.35, 0.45)
    left, top = (int(length * rng.uniform(0.05, 0.95 - size)) for length in (width, height))
    thing = np.s_[top : top + int(size * height), left : left + int(size * width)]
    mixed = other.copy()
    mixed[thing] = image[thing]
    return mixed


def mirrored(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """The place in a mirror."""
    return np.ascontiguousarray(image[:, ::-1])


def blank_wall(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """Nothing but paint, a little brighter at one side."""
    height, width = image.shape[:2]
    shade = cv2.resize(rng.uniform(0.7, 1.0, (2, 2)).astype(np.float32), (width, height))
    return _noisy(rng.uniform(90, 220, 3) * shade[..., None], rng)


def covered_lens(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """A cap on the lens; some light leaks in at the edge."""
    leak = np.clip(_distance_to(image, (0.5, 0.5)) - 0.45, 0, None) * rng.uniform(0, 60)
    return _noisy(np.repeat(leak[..., None], 3, axis=2), rng)


def another_place(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """An image of another place."""
    return other


def _pasted(background: Image, picture: Image, corners: np.ndarray) -> Image:
    """``picture`` drawn into the quadrangle ``corners`` (4, 2) px, clockwise from upper left."""
    height, width = background.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    if corners[0, 0] > corners[1, 0]:  # a picture that enters from the right
        corners = corners[[1, 0, 3, 2]]
    transform = cv2.getPerspectiveTransform(source, corners.astype(np.float32))
    warped = cv2.warpPerspective(picture, transform, (width, height), flags=cv2.INTER_AREA)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(inside, np.rint(corners).astype(np.int32), 1)
    return np.where(inside[..., None] > 0, warped, background).astype(np.uint8)


def _distance_to(image: Image, place: tuple[float, float] | np.ndarray) -> np.ndarray:
    """Distance (H, W) of pixels to a place given in widths and heights, in widths."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(columns / width - place[0], (rows - place[1] * height) / width)


def _noisy(image: np.ndarray, rng: np.random.Generator) -> Image:
    return _bytes(image + rng.normal(0, _NOISE, image.shape))


def _bytes(image: np.ndarray) -> Image:
    return np.clip(image, 0, 255).astype(np.uint8)
