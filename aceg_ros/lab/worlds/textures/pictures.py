"""Things to look at: posters, paintings, pages, book spines, screens, labels, window views.

Each returns (S, S, 3) in [0, 1], meant to cover one face or a part of it once.
"""

from __future__ import annotations

import cv2
import numpy as np

from aceg_ros.lab.worlds.textures.noise import Rng, blend, color, fractal, shade, value_noise
from aceg_ros.lab.worlds.textures.surfaces import wood

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
_SYLLABLES = [
    'ka',
    'ro',
    'mi',
    'ten',
    'sol',
    'var',
    'ne',
    'lu',
    'pri',
    'do',
    'gra',
    'est',
    'il',
    'on',
    'ber',
    'cha',
    'fo',
    'wen',
    'ti',
    'zur',
    'ash',
    'mo',
    'ex',
    'qua',
]


def word(rng: Rng) -> str:
    """A pronounceable word that means nothing."""
    return ''.join(rng.choice(_SYLLABLES, int(rng.integers(1, 4))))


def _draw_text(
    image: np.ndarray, text: str, x: int, y: int, height: float, ink: np.ndarray, font: int
) -> int:
    """Write `text` with its base line at (x, y), `height` pixels tall; returns its width."""
    scale = height / 22
    thick = max(1, round(height / 11))
    (width, rise), drop = cv2.getTextSize(text, font, scale, thick)
    top, left = max(y - rise - thick, 0), max(x, 0)
    patch = image[top : y + drop + thick, left : x + width + thick]
    if patch.size:
        # Text can only be drawn on bytes; a byte mask also gives it smooth edges.
        mask = np.zeros(patch.shape[:2], np.uint8)
        cv2.putText(mask, text, (x - left, y - top), font, scale, 255, thick, cv2.LINE_AA)
        patch += (ink - patch) * (mask[..., None] * np.float32(1 / 255))
    return int(width)


def _canvas(size: int, ink: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(ink, (size, size, 3)), np.float32)


def page(rng: Rng, size: int) -> np.ndarray:
    """Printed page: title, lines of text in one or two columns, a chart or figure."""
    image = _canvas(size, color(rng, (0.0, 0.12), (0.85, 0.98)))
    ink = color(rng, (0.0, 0.5), (0.02, 0.3))
    font = _FONTS[int(rng.integers(4))]
    margin = size // 14
    title = f'{word(rng)} {word(rng)}'.upper()
    _draw_text(image, title, margin, size // 8, size / 14, ink, font)
    columns = int(rng.integers(1, 3))
    width = (size - (columns + 1) * margin) // columns
    line = size / rng.uniform(22, 40)
    for column in range(columns):
        x0, y = margin + column * (width + margin), size / 8 + 2 * line
        while y < size - margin:
            if rng.random() < 0.06:
                height = int(size * rng.uniform(0.12, 0.3))
                _chart(rng, image, x0, int(y), width, height)
                y += height + line
                continue
            x = x0 + (int(line) if rng.random() < 0.15 else 0)
            while x < x0 + width * 0.9:
                x += _draw_text(image, word(rng), int(x), int(y), line * 0.62, ink, font) + int(
                    line * 0.4
                )
                if rng.random() < 0.02:
                    break
            image[int(size / 8 + line) :, x0 + width : x0 + width + margin] = image[0, 0]
            y += line
    return image


def _chart(rng: Rng, image: np.ndarray, x: int, y: int, width: int, height: int) -> None:
    bottom = min(y + height, image.shape[0] - 4)
    cv2.rectangle(image, (x, y), (x + width, bottom), (0.3, 0.3, 0.3), 1)
    count = int(rng.integers(4, 10))
    if rng.random() < 0.5:
        for k in range(count):
            left = x + 2 + k * width // count
            top = int(bottom - rng.uniform(0.1, 0.95) * (bottom - y))
            ink = color(rng, (0.3, 0.9), (0.3, 0.9)).tolist()
            cv2.rectangle(image, (left, top), (left + width // count - 3, bottom), ink, -1)
        return
    for _ in range(int(rng.integers(1, 4))):
        steps = np.linspace(x, x + width, 12)
        heights = bottom - (bottom - y) * np.clip(
            0.5 + rng.normal(0, 0.12, 12).cumsum(), 0.03, 0.97
        )
        points = np.stack([steps, heights], 1).astype(np.int32)
        cv2.polylines(image, [points], False, color(rng, (0.5, 0.9), (0.2, 0.8)).tolist(), 2)


def poster(rng: Rng, size: int) -> np.ndarray:
    """Graphic poster: graded ground, bold shapes, headline and small print."""
    top, bottom = color(rng, (0.2, 0.9), (0.2, 1.0)), color(rng, (0.2, 0.9), (0.2, 1.0))
    ramp = np.linspace(0, 1, size, dtype=np.float32)
    image = np.ascontiguousarray(blend(top, bottom, np.broadcast_to(ramp[:, None], (size, size))))
    for _ in range(int(rng.integers(5, 16))):
        _shape(rng, image, size)
    ink = (
        color(rng, (0.0, 0.7), (0.9, 1.0)) if rng.random() < 0.6 else color(rng, (0, 0.8), (0, 0.2))
    )
    font = _FONTS[int(rng.integers(4))]
    y = int(size * rng.uniform(0.12, 0.3))
    for _ in range(int(rng.integers(1, 4))):
        height = size * rng.uniform(0.06, 0.14)
        _draw_text(
            image, word(rng).upper(), int(size * rng.uniform(0.04, 0.2)), y, height, ink, font
        )
        y += int(height * 1.6)
    for row in range(int(rng.integers(2, 8))):
        text = ' '.join(word(rng) for _ in range(6))
        _draw_text(image, text, size // 16, int(size * (0.97 - 0.035 * row)), size / 42, ink, font)
    return image


def _shape(rng: Rng, image: np.ndarray, size: int) -> None:
    ink = color(rng, (0.1, 0.95), (0.1, 1.0)).tolist()
    x, y = rng.integers(0, size, 2).tolist()
    r = int(rng.integers(size // 30, size // 4))
    thick = int(rng.choice([-1, -1, max(2, r // 6)]))
    kind = rng.integers(4)
    if kind == 0:
        cv2.circle(image, (x, y), r, ink, thick)
    elif kind == 1:
        cv2.rectangle(image, (x - r, y - int(r * 0.6)), (x + r, y + int(r * 0.6)), ink, thick)
    elif kind == 2:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        reach = r * rng.uniform(0.4, 1.2, len(angles))
        points = np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], 1)
        cv2.fillPoly(image, [points.astype(np.int32)], ink)
    else:
        far = rng.integers(0, size, 2).tolist()
        cv2.line(image, (x, y), far, ink, int(rng.integers(2, max(size // 30, 3))))


def landscape(rng: Rng, size: int) -> np.ndarray:
    """Photograph-like view: clouds, ridges with aerial perspective, trees or houses."""
    warm = float(rng.random()) ** 3
    high = np.array([0.25 + 0.6 * warm, 0.45 + 0.1 * warm, 0.9 - 0.3 * warm], np.float32)
    low = np.array([0.8 + 0.2 * warm, 0.88 - 0.1 * warm, 0.95 - 0.3 * warm], np.float32)
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    image = blend(high, low, np.broadcast_to(np.clip(y * 1.6, 0, 1), (size, size)))
    clouds = np.clip(fractal(rng, size, 3, 6, stretch=2) * 2.4 - 1.1, 0, 1) * np.clip(
        1.2 - 1.6 * y, 0, 1
    )
    image = blend(image, np.full(3, 0.97, np.float32), clouds)
    land = np.array(
        [rng.uniform(0.15, 0.5), rng.uniform(0.25, 0.5), rng.uniform(0.08, 0.25)], np.float32
    )
    ridges = int(rng.integers(3, 6))
    soil = fractal(rng, size, 16, 5, gain=0.7)
    for k in range(ridges):
        near = (k + 1) / ridges
        base = 0.35 + 0.5 * near * rng.uniform(0.8, 1.1)
        profile = value_noise(rng, size, int(rng.integers(3, 9)))[0]
        profile = base - (0.2 - 0.1 * near) * profile - 0.03 * value_noise(rng, size, 60)[0]
        mask = (y > profile[None]).astype(np.float32)
        ground = shade(land, np.roll(soil, rng.integers(0, size, 2).tolist(), (0, 1)), 1.2)
        image = blend(image, ground * near + low * (1 - near) * 0.8, mask)
    image = np.ascontiguousarray(image, np.float32)
    for _ in range(int(rng.integers(3, 18))):
        x, foot = int(rng.integers(0, size)), int(size * rng.uniform(0.6, 0.95))
        height = int(size * rng.uniform(0.05, 0.3))
        if rng.random() < 0.5:
            _tree(rng, image, x, foot, height)
        else:
            _house(rng, image, x, foot, height)
    return image


def _tree(rng: Rng, image: np.ndarray, x: int, foot: int, height: int) -> None:
    trunk = color(rng, (0.2, 0.5), (0.1, 0.3)).tolist()
    cv2.line(image, (x, foot), (x, foot - height), trunk, max(2, height // 14))
    for _ in range(60):
        spot = rng.normal([x, foot - height], height * 0.2, 2).astype(int).tolist()
        ink = (rng.uniform(0.1, 0.4), rng.uniform(0.25, 0.6), rng.uniform(0.05, 0.2))
        cv2.circle(image, spot, max(2, height // 12), ink, -1)


def _house(rng: Rng, image: np.ndarray, x: int, foot: int, height: int) -> None:
    width = int(height * rng.uniform(0.6, 1.6))
    cv2.rectangle(
        image,
        (x, foot - height),
        (x + width, foot),
        color(rng, (0.05, 0.5), (0.4, 0.9)).tolist(),
        -1,
    )
    step = max(6, width // int(rng.integers(3, 7)))
    for wx in range(x + 3, x + width - step // 2, step):
        for wy in range(foot - height + 3, foot - step // 2, step):
            pane = color(rng, (0.0, 0.5), (0.1, 0.9)).tolist()
            cv2.rectangle(image, (wx, wy), (wx + step // 2, wy + step // 2), pane, -1)


def painting(rng: Rng, size: int) -> np.ndarray:
    """Framed picture: a landscape or abstract brushwork inside a wooden frame and mount."""
    if rng.random() < 0.6:
        inner = landscape(rng, size)
    else:
        inner = _canvas(size, color(rng, (0.1, 0.6), (0.3, 0.9)))
        for _ in range(150):
            a = rng.integers(0, size, 2)
            b = a + rng.normal(0, size / 8, 2).astype(int)
            ink = color(rng, (0.2, 0.9), (0.1, 1.0)).tolist()
            cv2.line(inner, a.tolist(), b.tolist(), ink, int(rng.integers(2, size // 20)))
    image = wood(rng, size)
    frame = int(size * rng.uniform(0.03, 0.08))
    mount = frame + int(size * rng.choice([0.0, 0.08]))
    image[frame : size - frame, frame : size - frame] = rng.uniform(0.8, 0.97)
    image[mount : size - mount, mount : size - mount] = cv2.resize(
        inner, (size - 2 * mount, size - 2 * mount), interpolation=cv2.INTER_AREA
    )
    return image


def _clipping(rng: Rng, sheet: np.ndarray, width: int, height: int) -> np.ndarray:
    """(height, width, 3): a random square part of a picture."""
    size = sheet.shape[0]
    part = int(rng.integers(size // 3, size))
    x, y = rng.integers(0, size - part + 1, 2)
    return cv2.resize(
        sheet[y : y + part, x : x + part], (width, height), interpolation=cv2.INTER_AREA
    )


def pinboard(rng: Rng, size: int) -> np.ndarray:
    """Cork board with overlapping notes, pages and photographs."""
    cork = np.array([0.66, 0.48, 0.3], np.float32)
    image = np.ascontiguousarray(shade(cork, rng.random((size, size), dtype=np.float32), 0.5))
    sheets = [page(rng, size), landscape(rng, size // 2), poster(rng, size)]
    for _ in range(int(rng.integers(10, 20))):
        sheet = sheets[int(rng.integers(3))]
        width, height = (size * rng.uniform(0.12, 0.34, 2)).astype(int)
        note = _clipping(rng, sheet, int(width), int(height))
        if rng.random() < 0.3:
            note = note * color(rng, (0.3, 0.6), (0.8, 1.0))
        center = rng.uniform(0.12 * size, 0.88 * size, 2)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 6), 1)
        turn[:, 2] += center - (width / 2, height / 2)
        box = (size, size)
        mask = cv2.warpAffine(np.ones((int(height), int(width)), np.float32), turn, box)
        image = blend(image, cv2.warpAffine(note, turn, box), mask)
        pin = color(rng, (0.7, 1), (0.6, 1)).tolist()
        image = np.ascontiguousarray(image, np.float32)
        cv2.circle(image, (int(center[0]), int(center[1] - height * 0.4)), size // 90, pin, -1)
    return image


def spines(rng: Rng, size: int) -> np.ndarray:
    """A row of book spines side by side."""
    image = _canvas(size, np.full(3, 0.05, np.float32))
    x = 0
    while x < size - 8:
        width = min(int(rng.integers(size // 28, size // 9)), size - x)
        cover = color(rng, (0.05, 0.9), (0.12, 0.95))
        ink = (
            np.float32(1.0) - cover
            if rng.random() < 0.5
            else np.array([0.9, 0.8, 0.45], np.float32)
        )
        strip = np.empty((width, size, 3), np.float32)
        strip[:] = cover
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(0, size - size // 16))
            strip[:, at : at + int(rng.integers(3, size // 16))] = color(rng, (0, 0.9), (0.1, 1.0))
        text = (
            f'{word(rng)} {word(rng)}'.upper() if rng.random() < 0.6 else f'{word(rng)} {word(rng)}'
        )
        font = _FONTS[int(rng.integers(4))]
        _draw_text(
            strip,
            text,
            int(size * rng.uniform(0.08, 0.4)),
            int(width * 0.7),
            width * 0.55,
            ink,
            font,
        )
        curve = 0.55 + 0.45 * np.sin(np.linspace(0.15, np.pi - 0.15, width, dtype=np.float32))
        image[:, x : x + width] = np.rot90(strip * curve[:, None, None], -1)
        x += width
    return image


def screen(rng: Rng, size: int) -> np.ndarray:
    """Monitor picture: windows with text, code or a photograph, between dark bezels."""
    wallpaper = (
        landscape(rng, size)
        if rng.random() < 0.6
        else _canvas(size, color(rng, (0.3, 0.9), (0.15, 0.5)))
    )
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.integers(0, size // 2, 2).tolist()
        w, h = rng.integers(size // 4, size // 2 + 1, 2).tolist()
        dark = rng.random() < 0.5
        cv2.rectangle(
            wallpaper, (x, y), (x + w, y + h), (0.1, 0.1, 0.13) if dark else (0.93, 0.93, 0.93), -1
        )
        cv2.rectangle(wallpaper, (x, y), (x + w, y + size // 30), (0.3, 0.4, 0.6), -1)
        line = size // 36
        for row in range(y + size // 30 + line, y + h - 4, line):
            column = x + 6 + int(rng.integers(0, 4)) * line
            while column < x + w * 0.8 and rng.random() < 0.85:
                ink = (
                    color(rng, (0.2, 0.8), (0.6, 1.0))
                    if dark
                    else color(rng, (0, 0.6), (0.05, 0.4))
                )
                text = word(rng)
                column += (
                    _draw_text(wallpaper, text, int(column), row, line * 0.6, ink, _FONTS[0])
                    + line // 2
                )
    bezel = size // 40
    cv2.rectangle(wallpaper, (0, 0), (size - 1, size - 1), (0.04, 0.04, 0.04), bezel * 2)
    return wallpaper


def keyboard(rng: Rng, size: int) -> np.ndarray:
    """Rows of keys with legends."""
    body, key = rng.uniform(0.05, 0.7), rng.uniform(0.1, 0.9)
    image = _canvas(size, np.full(3, body, np.float32))
    for row in range(5):
        x = size // 40
        while x < size - size // 16:
            width = int(size / 17 * rng.choice([1, 1, 1, 1.5]))
            y = size // 30 + row * size // 5
            cv2.rectangle(image, (x, y), (x + width - 4, y + size // 6), (key, key, key), -1)
            legend = np.full(3, 1.0 if key < 0.5 else 0.0, np.float32)
            letter = chr(65 + int(rng.integers(26)))
            _draw_text(image, letter, x + 4, y + size // 10, size / 24, legend, _FONTS[0])
            x += width
    return image


def cardboard(rng: Rng, size: int) -> np.ndarray:
    """Side of a cardboard box: print, tape, label."""
    tone = np.array([0.68, 0.5, 0.32], np.float32) * rng.uniform(0.75, 1.15)
    image = np.ascontiguousarray(shade(tone, fractal(rng, size, 4, 6), 0.2))
    ink = color(rng, (0.0, 0.8), (0.05, 0.35))
    cv2.rectangle(image, (0, int(size * 0.46)), (size, int(size * 0.54)), (tone * 1.2).tolist(), -1)
    for _ in range(3):
        x, y = int(rng.uniform(0.05, 0.5) * size), int(rng.uniform(0.15, 0.9) * size)
        _draw_text(image, word(rng).upper(), x, y, size * rng.uniform(0.05, 0.12), ink, _FONTS[1])
    x, y = rng.integers(size // 10, size // 2, 2).tolist()
    cv2.rectangle(image, (x, y), (x + size // 3, y + size // 4), (0.93, 0.93, 0.9), -1)
    for bar in range(x + 8, x + size // 3 - 10, 6):
        cv2.line(
            image, (bar, y + 8), (bar, y + size // 10), (0.05, 0.05, 0.05), int(rng.integers(1, 5))
        )
    for row in range(3):
        text = f'{word(rng)} {int(rng.integers(10, 999))}'
        at = y + size // 7 + row * size // 28
        _draw_text(image, text, x + 8, at, size / 40, np.zeros(3, np.float32), _FONTS[0])
    return image


def packaging(rng: Rng, size: int) -> np.ndarray:
    """Bright product pack or book cover."""
    image = poster(rng, size)
    badge = color(rng, (0.6, 1), (0.7, 1))
    center = rng.integers(size // 4, 3 * size // 4, 2).tolist()
    cv2.circle(image, center, size // 7, badge.tolist(), -1)
    _draw_text(image, word(rng), center[0] - size // 9, center[1], size / 14, 1 - badge, _FONTS[1])
    return image


def whiteboard(rng: Rng, size: int) -> np.ndarray:
    """Board with hand-drawn boxes, arrows, curves and notes, half wiped."""
    image = _canvas(size, np.full(3, 0.93, np.float32))
    image = np.ascontiguousarray(
        image - 0.12 * np.clip(fractal(rng, size, 3, 5) - 0.5, 0, 1)[..., None]
    )
    pens = [
        np.array(ink, np.float32)
        for ink in ((0.1, 0.1, 0.12), (0.1, 0.2, 0.7), (0.75, 0.1, 0.1), (0.05, 0.5, 0.2))
    ]
    for _ in range(int(rng.integers(8, 18))):
        pen = pens[int(rng.integers(4))]
        x, y = rng.integers(size // 20, int(size * 0.75), 2).tolist()
        kind = rng.integers(3)
        if kind == 0:
            w, h = rng.integers(size // 12, size // 4, 2).tolist()
            cv2.rectangle(image, (x, y), (x + w, y + h), pen.tolist(), 2)
            _draw_text(image, word(rng), x + 4, y + h // 2, size / 32, pen, _FONTS[4])
        elif kind == 1:
            far = (np.array([x, y]) + rng.integers(-size // 4, size // 4, 2)).tolist()
            cv2.arrowedLine(image, (x, y), far, pen.tolist(), 2)
        else:
            for row in range(int(rng.integers(1, 5))):
                text = f'{word(rng)} {word(rng)}'
                _draw_text(image, text, x, y + row * size // 22, size / 28, pen, _FONTS[4])
    cv2.rectangle(image, (0, 0), (size - 1, size - 1), (0.55, 0.55, 0.57), size // 40)
    return image


def clock(rng: Rng, size: int) -> np.ndarray:
    """Clock face."""
    image = _canvas(size, color(rng, (0, 0.2), (0.85, 1.0)))
    middle, ink = size // 2, color(rng, (0, 0.5), (0.0, 0.3))
    for hour in range(12):
        angle = np.pi * hour / 6
        x = int(middle + 0.38 * size * np.sin(angle) - size * 0.035)
        y = int(middle - 0.38 * size * np.cos(angle) + size * 0.03)
        _draw_text(image, str(hour or 12), x, y, size / 14, ink, _FONTS[1])
    for reach, thick in ((0.22, max(size // 40, 1)), (0.33, max(size // 70, 1))):
        angle = rng.uniform(0, 2 * np.pi)
        tip = (
            int(middle + reach * size * np.sin(angle)),
            int(middle - reach * size * np.cos(angle)),
        )
        cv2.line(image, (middle, middle), tip, ink.tolist(), thick)
    return image


def collage(rng: Rng, size: int) -> np.ndarray:
    """Sheet of small photographs and clippings without gaps."""
    sources = [
        landscape(rng, size // 2),
        poster(rng, size),
        page(rng, size),
        landscape(rng, size // 2),
    ]
    image = np.empty((size, size, 3), np.float32)
    cell = size // int(rng.choice([3, 4, 5]))
    for y in range(0, size, cell):
        for x in range(0, size, cell):
            source = sources[int(rng.integers(4))]
            clip = _clipping(rng, source, cell, cell)
            image[y : y + cell, x : x + cell] = clip[: size - y, : size - x]
    return image
