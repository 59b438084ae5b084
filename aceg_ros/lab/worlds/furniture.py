"""Pieces of furniture.

In a piece's frame its back is the plane y = 0, its front looks to +y, and x = 0 is its middle.

The visible front is therefore face 2 (+y), the top face 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from aceg_ros.lab.worlds.scene import SceneBuilder, Skin, Vec3
from aceg_ros.lab.worlds.textures.palette import Palette

FRONT, TOP = 2, 4


class Furnisher:
    """Adds pieces to a scene, drawing looks from a palette and sizes from a random generator.

    What people move about (things on surfaces, chairs, crates) is drawn from a generator of its
    own, `loose`.
    """

    def __init__(
        self,
        scene: SceneBuilder,
        palette: Palette,
        rng: np.random.Generator,
        loose: np.random.Generator,
    ) -> None:
        self.scene = scene
        self.palette = palette
        self.rng = rng
        self._loose = loose

    @contextmanager
    def loosely(self) -> Iterator[np.random.Generator]:
        """Within the block, draw from the generator of movable things."""
        fixed, self.rng = self.rng, self._loose
        try:
            yield self.rng
        finally:
            self.rng = fixed

    def skin(self, role: str, meters: float | None = None, **look: object) -> Skin:
        """Skin of a role with a random slight tint."""
        tint: Vec3 = tuple(self.rng.uniform(0.75, 1.0, 3).tolist())
        return Skin(self.palette.pick(self.rng, role), meters, **{'tint': tint, **look})  # type: ignore[arg-type]

    def timber(self) -> Skin:
        """Wood with the grain along each part."""
        return self.skin('wood', float(self.rng.uniform(0.5, 1.0)), along=True)

    def solid_color(self) -> Skin:
        """Strong even color, for small things."""
        tint: Vec3 = tuple(self.rng.uniform(0.05, 1.0, 3).tolist())
        return Skin(self.palette.pick(self.rng, 'plain'), 0.5, tint=tint)

    def book_block(
        self, x: float, y: float, z: float, width: float, depth: float, height: float
    ) -> None:
        """Upright books side by side, standing at the back-left corner (x, y, z)."""
        share = min(width / 0.75, 1.0)
        start = float(self.rng.uniform(0, 1 - share)) if share < 1 else 0.0
        front = self.skin('spines', part=(start, 0.0, start + share, 1.0))
        top = self.skin('page', 0.3)
        self.scene.box(
            (x + width / 2, y + depth / 2, z + height / 2),
            (width, depth, height),
            top,
            {FRONT: front},
        )

    def small_thing(self, x: float, y: float, z: float, room: float) -> None:
        """One of many small objects at (x, y, z), within a circle of diameter `room`."""
        rng, scene = self.rng, self.scene
        size = min(float(rng.uniform(0.08, 0.25)), room)
        kind = rng.integers(6)
        if kind == 0:
            look = self.skin('pack') if rng.random() < 0.7 else self.skin('cloth', 0.4)
            height = size * float(rng.uniform(0.9, 1.8))
            scene.cylinder((x, y, z + height / 2), size / 2.5, height, look, self.solid_color())
        elif kind == 1:
            scene.ellipsoid((x, y, z + size / 2), (size, size, size), self.skin('pack'))
        elif kind == 2:
            self.plant(x, y, z, size)
        elif kind == 3:
            thickness = 0.0
            for _ in range(int(rng.integers(1, 4))):
                height = float(rng.uniform(0.02, 0.05))
                cover = {
                    TOP: self.skin('pack'),
                    FRONT: self.skin('spines', part=(0.0, 0.0, 0.1, 1.0)),
                }
                at = (x, y, z + thickness + height / 2)
                yaw = float(rng.uniform(-0.3, 0.3))
                scene.box(at, (size, size * 0.7, height), self.skin('page', 0.3), cover, yaw)
                thickness += height
        elif kind == 4:
            height = size * float(rng.uniform(0.6, 1.3))
            yaw = float(rng.uniform(-0.6, 0.6))
            role = 'pack' if rng.random() < 0.7 else 'cardboard'
            scene.box(
                (x, y, z + height / 2), (size * 0.7, size * 0.6, height), self.skin(role), None, yaw
            )
        else:
            height = size * 1.3
            picture = {FRONT: self.skin('painting')}
            frame = self.solid_color()
            scene.box((x, y, z + height * 0.49), (size, 0.02, height), frame, picture, tilt=0.15)

    def plant(self, x: float, y: float, z: float, size: float) -> None:
        """Pot with foliage, `size` across."""
        rng = self.rng
        pot = size * 0.6
        self.scene.cylinder(
            (x, y, z + pot / 2), pot / 2, pot, self.solid_color(), self.skin('foliage', 0.2)
        )
        for _ in range(4):
            dx, dy = rng.uniform(-0.25, 0.25, 2) * size
            up = z + pot + size * float(rng.uniform(0.1, 0.9))
            shape = rng.uniform(0.4, 0.9, 3) * size
            self.scene.ellipsoid(
                (x + dx, y + dy, up), tuple(shape.tolist()), self.skin('foliage', 0.5)
            )

    def things_on(self, width: float, depth: float, z: float, count: int) -> None:
        """Small objects in a row on a surface of the piece, each in its own share of the width."""
        if count <= 0:
            return
        share = width / count
        room = min(share, depth) * 0.8
        with self.loosely() as rng:
            for place in (np.arange(count) + 0.5) * share - width / 2:
                if rng.random() < 0.85:
                    self.small_thing(float(place), depth * float(rng.uniform(0.45, 0.6)), z, room)

    def bookshelf(self, width: float, depth: float, height: float) -> None:
        """Open shelf with books and things."""
        scene, rng, board = self.scene, self.rng, self.timber()
        thick = 0.025
        scene.box(
            (0, 0.006, height / 2), (width - 2 * thick, 0.012, height), self.skin('plain', 1.0)
        )
        for side in (-1, 1):
            scene.box(
                (side * (width - thick) / 2, depth / 2, height / 2), (thick, depth, height), board
            )
        rows = max(2, round(height / 0.36))
        pitch = (height - thick) / rows
        for row in range(rows + 1):
            z = thick / 2 + row * pitch
            inset = 0.004 if row < rows else 0.0
            scene.box(
                (0, depth / 2 - inset / 2, z), (width - 2 * thick, depth - inset, thick), board
            )
        inner = width - 2 * thick - 0.02
        for row in range(rows):
            z = thick + row * pitch
            x = -inner / 2
            while x < inner / 2 - 0.1:
                block = min(float(rng.uniform(0.12, 0.5)), inner / 2 - x)
                style = rng.random()
                if style < 0.7:
                    tall = (pitch - thick) * float(rng.uniform(0.65, 0.95))
                    deep = depth * float(rng.uniform(0.6, 0.85))
                    self.book_block(x, 0.02, z, block, deep, tall)
                elif style < 0.9:
                    room = min(block, depth * 0.8, (pitch - thick) * 0.5)
                    with self.loosely():
                        self.small_thing(x + block / 2, depth * 0.5, z, room)
                x += block + float(rng.uniform(0.0, 0.05))

    def cabinet(self, width: float, depth: float, height: float, loose: int) -> None:
        """Chest or cupboard with fronts, handles and things on top."""
        scene, rng, body = self.scene, self.rng, self.timber()
        scene.box((0, depth / 2, height / 2), (width, depth, height), body)
        columns = max(1, round(width / float(rng.uniform(0.4, 0.7))))
        rows = max(1, round(height / float(rng.uniform(0.25, 0.9))))
        front = self.timber() if rng.random() < 0.6 else self.skin('plain', 0.8)
        grip = self.skin('metal', 0.3)
        for column in range(columns):
            for row in range(rows):
                x = -width / 2 + (column + 0.5) * width / columns
                z = (row + 0.5) * height / rows
                size = (width / columns - 0.02, 0.018, height / rows - 0.02)
                scene.box((x, depth + 0.009, z), size, front)
                scene.box((x, depth + 0.03, z + size[2] * 0.3), (0.12, 0.024, 0.02), grip)
        if height < 1.5:
            self.things_on(width * 0.9, depth, height, loose)

    def table(self, width: float, depth: float, height: float) -> None:
        """Plain table."""
        scene, board = self.scene, self.timber()
        scene.box((0, depth / 2, height - 0.015), (width, depth, 0.03), board)
        leg = self.skin('metal', 0.5) if self.rng.random() < 0.5 else board
        for x in (-width / 2 + 0.06, width / 2 - 0.06):
            for y in (0.06, depth - 0.06):
                scene.box((x, y, (height - 0.03) / 2), (0.05, 0.05, height - 0.03), leg)

    def monitor(self, x: float, y: float, z: float, width: float) -> None:
        """Screen on a stand."""
        scene, shell = (
            self.scene,
            Skin(self.palette.pick(self.rng, 'metal'), 0.4, tint=(0.2, 0.2, 0.22)),
        )
        height = width * 0.6
        yaw = float(self.rng.uniform(-0.25, 0.25))
        with scene.at(x, y, z, yaw):
            scene.box((0, 0, 0.008), (width * 0.45, 0.18, 0.016), shell)
            scene.box((0, -0.02, 0.1), (0.05, 0.03, 0.18), shell)
            picture = {FRONT: self.skin('screen', glow=0.25)}
            scene.box((0, 0.01, 0.12 + height / 2), (width, 0.03, height), shell, picture)

    def desk(self, width: float, depth: float, loose: int) -> None:
        """Desk with monitors, keyboard, papers and a chair before it."""
        scene, rng = self.scene, self.rng
        top = 0.74
        self.table(width, depth, top)
        screens = 2 if width > 1.4 and rng.random() < 0.5 else 1
        for k in range(screens):
            x = (k - (screens - 1) / 2) * 0.62 + float(rng.uniform(-0.05, 0.05))
            self.monitor(x, 0.2, top, float(rng.uniform(0.45, 0.58)))
        keys = {TOP: self.skin('keyboard')}
        scene.box((0, depth * 0.7, top + 0.01), (0.44, 0.15, 0.02), self.solid_color(), keys)
        self.things_on(width * 0.9, depth * 0.3, top, min(loose, 3) if width > 1.2 else 1)
        with self.loosely() as rng:
            for k in range(int(rng.integers(1, 4))):
                x = float(rng.uniform(-0.5, 0.5)) * (width - 0.3)
                sheet = {TOP: self.skin('page')}
                # Each sheet lies on its own level, so that overlapping ones never share a plane.
                at = (x, depth * float(rng.uniform(0.35, 0.8)), top + 0.002 + 0.004 * k)
                yaw = float(rng.uniform(-0.5, 0.5))
                scene.box(at, (0.21, 0.297, 0.003), self.skin('plain', 0.5), sheet, yaw)
            place = float(rng.uniform(-0.2, 0.2)), depth + 0.1, 0, float(rng.uniform(2.5, 3.8))
        with scene.at(*place):
            self.chair()

    def chair(self) -> None:
        """Chair around (0, 0), back rest at -y."""
        scene, frame = self.scene, self.timber()
        seat = self.skin('cloth', 0.4) if self.rng.random() < 0.6 else frame
        scene.box((0, 0, 0.44), (0.42, 0.42, 0.04), seat)
        scene.box((0, -0.2, 0.72), (0.42, 0.03, 0.32), seat, tilt=0.1)
        for x in (-0.18, 0.18):
            for y in (-0.18, 0.18):
                scene.box((x, y, 0.21), (0.035, 0.035, 0.42), frame)
            scene.box((x, -0.185, 0.55), (0.03, 0.03, 0.2), frame)

    def sofa(self, width: float) -> None:
        """Sofa with cushions."""
        scene, rng, cloth = (
            self.scene,
            self.rng,
            self.skin('cloth', float(self.rng.uniform(0.4, 1.0))),
        )
        scene.box((0, 0.45, 0.2), (width - 0.3, 0.86, 0.32), cloth)
        scene.box((0, 0.12, 0.5), (width - 0.3, 0.24, 0.72), cloth)
        for side in (-1, 1):
            scene.box((side * (width / 2 - 0.09), 0.44, 0.3), (0.17, 0.88, 0.56), cloth)
        for k in range(int(rng.integers(1, 4))):
            x = (k - 1) * (width - 0.7) / 3
            cushion = self.skin('cloth') if rng.random() < 0.5 else self.skin('rug')
            scene.box((x, 0.36, 0.54), (0.4, 0.12, 0.38), cushion, tilt=0.25)

    def bed(self, width: float, length: float) -> None:
        """Bed, head end at the back."""
        scene, cover = self.scene, self.skin('cloth', 1.2)
        scene.box((0, length / 2, 0.15), (width, length, 0.3), self.timber())
        scene.box((0, length / 2 + 0.02, 0.4), (width - 0.04, length - 0.1, 0.2), cover)
        scene.box((0, 0.03, 0.5), (width + 0.04, 0.06, 0.98), self.timber())
        pillow = self.skin('cloth', 0.5)
        for x in (-width / 4, width / 4):
            scene.box((x, 0.32, 0.56), (width * 0.38, 0.4, 0.12), pillow, tilt=-0.2)

    def rack(self, width: float, depth: float, height: float) -> None:
        """Metal rack with cardboard boxes and packs."""
        scene, rng, steel = self.scene, self.rng, self.skin('metal', 0.6)
        for x in (-width / 2 + 0.02, width / 2 - 0.02):
            for y in (0.02, depth - 0.02):
                scene.box((x, y, height / 2), (0.04, 0.04, height), steel)
        rows = max(2, round(height / 0.5))
        for row in range(rows):
            z = 0.12 + row * (height - 0.14) / (rows - 1)
            scene.box((0, depth / 2, z), (width - 0.09, depth - 0.01, 0.03), steel)
            if row == rows - 1:
                break
            x = -width / 2 + 0.08
            while x < width / 2 - 0.2:
                size = min(float(rng.uniform(0.15, 0.4)), width / 2 - 0.06 - x)
                tall = float(rng.uniform(0.12, 0.3))
                if rng.random() < 0.85:
                    look = self.skin('cardboard' if rng.random() < 0.5 else 'pack')
                    deep = depth * float(rng.uniform(0.5, 0.9))
                    at = (x + size / 2, depth / 2, z + 0.015 + tall / 2)
                    scene.box(at, (size, deep, tall), look)
                x += size + 0.03

    def crates(self) -> None:
        """A stack of cardboard boxes."""
        z = 0.0
        with self.loosely() as rng:
            for _ in range(int(rng.integers(1, 4))):
                size = rng.uniform(0.25, 0.45, 3).tolist()
                yaw = float(rng.uniform(-0.2, 0.2))
                at = (0.0, 0.3, z + size[2] / 2)
                self.scene.box(at, tuple(size), self.skin('cardboard'), None, yaw)
                z += size[2]

    def counter(self, width: float, loose: int) -> None:
        """Kitchen counter with a tiled wall and hanging cupboards."""
        scene = self.scene
        self.cabinet(width, 0.56, 0.86, 0)
        slab = self.skin('floor', 0.6)
        scene.box((0, 0.3, 0.88), (width, 0.62, 0.04), slab)
        scene.box((0, 0.006, 1.17), (width, 0.012, 0.52), self.skin('tiles', 0.6))
        self.things_on(width * 0.9, 0.4, 0.9, loose)
        with scene.at(0, 0, 1.45):
            self.cabinet(width, 0.32, 0.6, 0)

    def radiator(self, x: float, width: float, height: float) -> None:
        """Ribbed radiator on the wall."""
        enamel = self.skin('plain', 0.6)
        for z in (0.12, height - 0.02):
            self.scene.box((x, 0.07, z), (width, 0.05, 0.05), enamel)
        ribs = int(width / 0.1)
        for k in range(ribs):
            at = (x + (k + 0.5) * width / ribs - width / 2, 0.07, height / 2 + 0.05)
            self.scene.box(at, (0.06, 0.09, height - 0.1), enamel)

    def floor_lamp(self) -> None:
        """Standard lamp; gives light."""
        scene, steel = self.scene, self.skin('metal', 0.4)
        scene.cylinder((0, 0.2, 0.015), 0.14, 0.03, steel)
        scene.cylinder((0, 0.2, 0.75), 0.012, 1.44, steel)
        scene.cylinder(
            (0, 0.2, 1.58), 0.17, 0.28, self.skin('cloth', 0.5, glow=1.2, glow_from='lamp')
        )
        scene.lamp((0, 0.2, 1.75), (0, 0, 1), ((0.1, 0, 0), (0, 0.1, 0)), (1.5, 1.15, 0.75), 'lamp')
        scene.lamp(
            (0, 0.2, 1.42), (0, 0, -1), ((0.1, 0, 0), (0, 0.1, 0)), (1.5, 1.15, 0.75), 'lamp'
        )

    def dining(self, width: float, depth: float, loose: int) -> None:
        """Table with chairs around, its middle at (0, 0)."""
        with self.scene.at(0, -depth / 2):
            self.table(width, depth, 0.74)
            self.things_on(width * 0.8, depth, 0.74, loose)
        for x in (-width / 4, width / 4):
            for side in (-1, 1):
                if self.rng.random() < 0.75:
                    with self.loosely() as rng:
                        turn = float(rng.uniform(-0.4, 0.4))
                        out = float(rng.uniform(0.1, 0.2))
                    yaw = (math.pi if side > 0 else 0.0) + turn
                    with self.scene.at(x, side * (depth / 2 + out), 0, yaw):
                        self.chair()

    def coffee_table(self, width: float, depth: float, loose: int) -> None:
        """Low table on a rug, its middle at (0, 0)."""
        rug = {TOP: self.skin('rug')}
        self.scene.box((0, 0, 0.005), (width + 0.9, depth + 0.8, 0.01), self.solid_color(), rug)
        with self.scene.at(0, -depth / 2, 0.01):
            self.table(width, depth, 0.42)
            self.things_on(width * 0.8, depth, 0.42, loose)
