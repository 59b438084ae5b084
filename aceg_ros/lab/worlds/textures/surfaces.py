"""Tileable materials: paint, wood, masonry, floors, cloth. Each returns (S, S, 3) in [0, 1]."""

from __future__ import annotations

import cv2
import numpy as np

from aceg_ros.lab.worlds.textures.noise import Rng, blend, color, fractal, shade, value_noise

WOODS = (
    (0.55, 0.36, 0.20),
    (0.72, 0.53, 0.33),
    (0.36, 0.22, 0.13),
    (0.80, 0.66, 0.46),
    (0.46, 0.25, 0.16),
    (0.62, 0.55, 0.47),
)


def paint(rng: Rng, size: int) -> np.ndarray:
    """Wall paint: nearly even, with roller texture, faint stains and a few scuffs."""
    base = color(rng, (0.02, 0.3), (0.72, 0.95))
    image = shade(base, fractal(rng, size, 3, 4), 0.10)
    image = shade(1.0, value_noise(rng, size, size // 3), 0.05) * image
    return _specks(rng, image, count=int(rng.integers(10, 50)), darkest=0.6)


def plaster(rng: Rng, size: int) -> np.ndarray:
    """Rough plaster or concrete with blotches and pores."""
    base = color(rng, (0.02, 0.15), (0.5, 0.8))
    image = shade(base, fractal(rng, size, 4, 7, gain=0.7), 0.55)
    return _specks(rng, image, count=400, darkest=0.45)


def wallpaper(rng: Rng, size: int) -> np.ndarray:
    """Stripes or repeated motifs on a tinted ground."""
    ground, ink = color(rng, (0.05, 0.4), (0.65, 0.95)), color(rng, (0.1, 0.6), (0.3, 0.9))
    image = shade(ground, fractal(rng, size, 8, 4), 0.06)
    if rng.random() < 0.4:
        stripes = int(rng.choice([4, 8, 16]))
        phase = (np.arange(size) * stripes / size) % 1
        mask = np.broadcast_to((phase < rng.uniform(0.2, 0.6)).astype(np.float32), (size, size))
        return blend(image, ink, mask * 0.8)
    cell = size // int(rng.choice([3, 4, 6]))
    motif = np.zeros((cell, cell), np.float32)
    center = (cell // 2, cell // 2)
    for _ in range(int(rng.integers(2, 5))):
        axes = (int(rng.integers(2, cell // 2)), int(rng.integers(2, cell // 3)))
        for turn in range(int(rng.integers(1, 4))):
            angle = 180.0 * turn / 3 + float(rng.uniform(0, 60))
            thick = int(rng.choice([-1, 1, 2, 3]))
            cv2.ellipse(motif, center, axes, angle, 0, 360, float(rng.uniform(0.3, 1)), thick)
    repeats = -(-size // cell)
    motifs = cv2.resize(np.tile(motif, (repeats, repeats)), (size, size))
    return blend(image, ink, motifs * 0.8)


def wood(rng: Rng, size: int) -> np.ndarray:
    """Grain along x with a few knots, for furniture."""
    base = np.array(WOODS[int(rng.integers(len(WOODS)))], np.float32)
    return _grain(rng, size, base * rng.uniform(0.8, 1.15), rings=int(rng.integers(6, 16)))


def planks(rng: Rng, size: int) -> np.ndarray:
    """Floor boards of varying tone laid along x, with joints."""
    base = np.array(WOODS[int(rng.integers(len(WOODS)))], np.float32) * rng.uniform(0.7, 1.1)
    image = _grain(rng, size, base, rings=24)
    rows = int(rng.choice([4, 8]))
    height = size // rows
    for row in range(rows):
        band = slice(row * height, (row + 1) * height)
        joints = np.sort(rng.choice(np.arange(16, size - 16), 2, replace=False))
        tones = rng.uniform(0.72, 1.2, 3)
        image[band] *= np.select(
            [np.arange(size) < joints[0], np.arange(size) < joints[1]], tones[:2], tones[2]
        ).astype(np.float32)[None, :, None]
        image[band] = np.roll(image[band], int(rng.integers(size)), axis=1)
        for joint in joints:
            image[band, joint : joint + 2] *= 0.45
        image[band.start : band.start + 2] *= 0.45
    return np.clip(image, 0, 1)


def parquet(rng: Rng, size: int) -> np.ndarray:
    """Basket-weave parquet: blocks of short strips in turned directions."""
    base = np.array(WOODS[int(rng.integers(len(WOODS)))], np.float32)
    grain = _grain(rng, size, base, rings=40)
    block = size // 4
    strips = int(rng.choice([4, 5]))
    image = np.empty_like(grain)
    for row in range(4):
        for column in range(4):
            y, x = row * block, column * block
            tile = grain[y : y + block, x : x + block].copy()
            tone = np.repeat(rng.uniform(0.75, 1.2, strips), -(-block // strips))[:block]
            tile *= tone.astype(np.float32)[:, None, None]
            tile[:: -(-block // strips)] *= 0.5
            if (row + column) % 2:
                tile = tile.transpose(1, 0, 2)
            image[y : y + block, x : x + block] = tile
    return np.clip(image, 0, 1)


def bricks(rng: Rng, size: int) -> np.ndarray:
    """Running-bond bricks, each with its own tone, in lighter mortar."""
    base = np.array([rng.uniform(0.5, 0.75), rng.uniform(0.28, 0.4), rng.uniform(0.2, 0.32)])
    if rng.random() < 0.3:
        base = np.full(3, rng.uniform(0.6, 0.9))
    rows, columns = 16, 8
    return _masonry(rng, size, rows, columns, base.astype(np.float32), 0.5, 0.35, gap=0.07)


def tiles(rng: Rng, size: int) -> np.ndarray:
    """Square floor or wall tiles; sometimes a chequerboard, sometimes marbled."""
    base = color(rng, (0.03, 0.35), (0.5, 0.95))
    count = int(rng.choice([2, 4, 8]))
    image = _masonry(rng, size, count, count, base, 0.0, float(rng.uniform(0.05, 0.2)), gap=0.02)
    if rng.random() < 0.4:
        other = color(rng, (0.03, 0.4), (0.15, 0.6))
        cell = np.arange(size) * count // size
        checks = ((cell[:, None] + cell[None]) % 2).astype(np.float32)
        image = blend(image, image * other / max(float(base.mean()), 0.2), checks)
    if rng.random() < 0.6:
        veins = 1 - np.abs(2 * fractal(rng, size, 4, 5) - 1)
        image = image * (1 - 0.5 * np.clip(veins - 0.85, 0, 1) / 0.15)[..., None]
    return np.clip(image, 0, 1)


def terrazzo(rng: Rng, size: int) -> np.ndarray:
    """Chips of stone in a plain ground."""
    image = np.ascontiguousarray(
        shade(color(rng, (0.02, 0.2), (0.5, 0.85)), fractal(rng, size, 8, 3), 0.08)
    )
    for _ in range(size):
        points = rng.integers(0, size, 2) + rng.integers(-size // 50, size // 50 + 1, (5, 2))
        chip = color(rng, (0.0, 0.5), (0.15, 1.0))
        cv2.fillConvexPoly(image, cv2.convexHull(points.astype(np.int32)), chip.tolist())
    return image


def carpet(rng: Rng, size: int) -> np.ndarray:
    """Short-pile carpet: strong fine speckle over soft blotches."""
    first, second = color(rng, (0.1, 0.6), (0.25, 0.6)), color(rng, (0.1, 0.6), (0.25, 0.7))
    speckle = rng.random((size, size), dtype=np.float32)
    image = blend(first, second, (speckle > rng.uniform(0.5, 0.8)).astype(np.float32))
    return shade(1.0, fractal(rng, size, 3, 4), 0.35) * cv2.GaussianBlur(image, (3, 3), 0.7)


def rug(rng: Rng, size: int) -> np.ndarray:
    """Woven rug with borders and rows of lozenges (a whole rug, not for tiling)."""
    inks = [color(rng, (0.3, 0.85), (0.2, 0.85)) for _ in range(4)]
    image = np.empty((size, size, 3), np.float32)
    image[:] = inks[0]
    for ring in range(int(rng.integers(3, 6))):
        inset = ring * size // 28
        ink = inks[(ring + 1) % 4].tolist()
        cv2.rectangle(image, (inset, inset), (size - inset, size - inset), ink, size // 50)
    step = size // int(rng.integers(5, 9))
    for y in range(size // 5, size - size // 6, step):
        for x in range(size // 5, size - size // 6, step):
            for k, scale in enumerate((0.48, 0.32, 0.16)):
                r = int(step * scale)
                points = np.array([(x - r, y), (x, y - r), (x + r, y), (x, y + r)], np.int32)
                ink = inks[int(rng.integers(4)) if k else (x // step + y // step) % 3 + 1]
                cv2.fillConvexPoly(image, points, ink.tolist())
    weave = rng.random((size, size), dtype=np.float32)
    return shade(1.0, weave, 0.35) * shade(1.0, fractal(rng, size, 4, 3), 0.2) * image


def cloth(rng: Rng, size: int) -> np.ndarray:
    """Upholstery: plain weave, checks or stripes."""
    base = color(rng, (0.05, 0.7), (0.25, 0.8))
    threads = np.sin(np.arange(size) * (2 * np.pi * size / 6 / size)) * 0.5 + 0.5
    weave = (threads[:, None] * threads[None]).astype(np.float32)
    image = shade(base, weave, 0.3) * shade(1.0, fractal(rng, size, 4, 6), 0.35)
    style = rng.random()
    if style < 0.6:
        ink, bands = color(rng, (0.2, 0.8), (0.2, 0.9)), int(rng.choice([4, 8]))
        stripe = (((np.arange(size) * bands / size) % 1) < rng.uniform(0.15, 0.5)).astype(
            np.float32
        )
        mask = np.broadcast_to(stripe, (size, size)) * 0.7
        mask = np.maximum(mask, mask.T) if style < 0.35 else mask
        image = blend(image, image * 0.2 + ink * 0.8, mask)
    return np.clip(image, 0, 1)


def metal(rng: Rng, size: int) -> np.ndarray:
    """Brushed or painted sheet metal with scratches."""
    base = color(rng, (0.0, 0.25), (0.35, 0.8))
    image = np.ascontiguousarray(shade(base, fractal(rng, size, 64, 3, stretch=16), 0.2))
    for _ in range(int(rng.integers(5, 30))):
        a, b = rng.integers(0, size, 2), rng.integers(-size // 8, size // 8, 2)
        ink = (base * rng.uniform(0.6, 1.3)).tolist()
        cv2.line(image, a.tolist(), (a + b).tolist(), ink, 1, cv2.LINE_AA)
    return np.clip(image, 0, 1)


def foliage(rng: Rng, size: int) -> np.ndarray:
    """Overlapping leaves."""
    image = np.empty((size, size, 3), np.float32)
    image[:] = (0.06, 0.14, 0.05)
    for k in range(500):
        tone = 0.3 + 0.7 * k / 500
        ink = (
            np.array([rng.uniform(0.1, 0.4), rng.uniform(0.35, 0.7), rng.uniform(0.08, 0.25)])
            * tone
        )
        center = rng.integers(0, size, 2).tolist()
        axes = (
            int(rng.integers(size // 40, size // 14)),
            int(rng.integers(size // 90, size // 40)),
        )
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(image, center, axes, angle, 0, 360, ink.tolist(), -1, cv2.LINE_AA)
        cv2.ellipse(
            image, center, (axes[0], 0), angle, 0, 360, (ink * 0.6).tolist(), 1, cv2.LINE_AA
        )
    return image


def _grain(rng: Rng, size: int, base: np.ndarray, rings: int) -> np.ndarray:
    """Wood grain along x: rings bent by stretched noise, pores on top."""
    field = fractal(rng, size, 4, 3, stretch=4)
    waves = np.sin(2 * np.pi * rings * (np.arange(size)[:, None] / size + 0.35 * field))
    image = shade(base, (0.5 + 0.5 * waves).astype(np.float32), 0.28)
    pores = fractal(rng, size, 64, 3, stretch=32)
    return np.clip(image * shade(1.0, pores, 0.5), 0, 1)


def _masonry(
    rng: Rng,
    size: int,
    rows: int,
    columns: int,
    base: np.ndarray,
    stagger: float,
    variety: float,
    gap: float,
) -> np.ndarray:
    y = np.arange(size, dtype=np.float32)[:, None] * rows / size
    row = y.astype(np.int64)
    x = np.arange(size, dtype=np.float32)[None] * columns / size + stagger * (row % 2)
    column = np.floor(x).astype(np.int64) % columns
    tone = (1 + variety * (rng.random((rows, columns)) * 2 - 1)).astype(np.float32)
    tint = (1 + 0.4 * variety * (rng.random((rows, columns, 3)) * 2 - 1)).astype(np.float32)
    image = base * tone[row, column][..., None] * tint[row, column]
    image = image * shade(1.0, fractal(rng, size, 16, 5, gain=0.7), 0.5)
    gap_x = gap * columns / rows if stagger else gap
    joint = ((y % 1) < gap) | ((x % 1) < gap_x)
    mortar = shade(float(rng.uniform(0.45, 0.8)), fractal(rng, size, 32, 3), 0.3)
    return np.clip(np.where(joint[..., None], mortar, image), 0, 1).astype(np.float32)


def _specks(rng: Rng, image: np.ndarray, count: int, darkest: float) -> np.ndarray:
    size = image.shape[0]
    image = np.ascontiguousarray(image)
    for _ in range(count):
        center = rng.integers(0, size, 2).tolist()
        axes = rng.integers(1, max(size // 120, 2) + 1, 2).tolist()
        ink = image[center[1], center[0]] * rng.uniform(darkest, 1.0)
        cv2.ellipse(
            image, center, axes, float(rng.uniform(0, 180)), 0, 360, ink.tolist(), -1, cv2.LINE_AA
        )
    return image
