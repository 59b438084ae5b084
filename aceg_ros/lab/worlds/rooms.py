"""Rooms: shell with windows and doors, furniture, pictures on the walls."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from aceg_ros.lab.worlds.furniture import FRONT, Furnisher
from aceg_ros.lab.worlds.scene import SceneBuilder, Skin, Vec3
from aceg_ros.lab.worlds.textures.palette import Palette

_BACK, _BOTTOM = 3, 5
_THICK = 0.12  # m, of a wall
_DOOR = (0.95, 2.05)  # m, width and height of a doorway
_PANE = (0.15, 0.15, 0.15)  # what is outside hardly shows the light inside
_AT_MOST = {
    'shelf': 3,
    'cabinet': 2,
    'desk': 2,
    'rack': 2,
    'plant': 2,
}  # of a kind in a room, else 1


@dataclass(frozen=True)
class Rect:
    """Axis-aligned rectangle."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        """Its area."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def overlaps(self, other: Rect, margin: float = 0.0) -> bool:
        """Whether the rectangles come nearer than `margin` to each other."""
        return (
            self.x0 < other.x1 + margin
            and other.x0 < self.x1 + margin
            and self.y0 < other.y1 + margin
            and other.y0 < self.y1 + margin
        )

    def within(self, other: Rect) -> bool:
        """Whether this lies inside the other, give or take rounding."""
        return (
            self.x0 >= other.x0 - 1e-6
            and self.x1 <= other.x1 + 1e-6
            and self.y0 >= other.y0 - 1e-6
            and self.y1 <= other.y1 + 1e-6
        )


@dataclass
class Wall:
    """One side of a room. In its frame x runs along the wall, y into the room, z up.

    taken: rectangles (x, z) of the wall that are covered by openings, furniture or pictures.
    """

    x: float
    y: float
    yaw: float
    length: float
    height: float
    taken: list[Rect] = field(default_factory=list)

    def footprint(self, x: float, width: float, depth: float) -> Rect:
        """Floor rectangle, world frame, of a piece whose back middle is at x along the wall."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        corners = [(x - width / 2, 0.0), (x + width / 2, depth)]
        points = [(self.x + cos * u - sin * v, self.y + sin * u + cos * v) for u, v in corners]
        (xa, ya), (xb, yb) = points
        return Rect(min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))

    def free(self, rect: Rect, margin: float) -> bool:
        """Whether a rectangle of the wall is not taken."""
        return not any(rect.overlaps(other, margin) for other in self.taken)


@dataclass(frozen=True)
class RoomStyle:
    """How one room is filled.

    plain: share of walls without pattern. clutter: 0..1, how much stands and hangs about.
    """

    plain: float
    clutter: float


class Room:
    """A rectangular room; build the shell, then furnish it."""

    def __init__(self, floor: Rect, height: float, maker: Furnisher, style: RoomStyle) -> None:
        self.floor = floor
        self.height = height
        self.maker = maker
        self.style = style
        self.occupied: list[Rect] = []
        self._placed: Counter[str] = Counter()
        width, depth = floor.x1 - floor.x0, floor.y1 - floor.y0
        middle_x, middle_y = (floor.x0 + floor.x1) / 2, (floor.y0 + floor.y1) / 2
        self.south = Wall(middle_x, floor.y0, 0.0, width, height)
        self.north = Wall(middle_x, floor.y1, math.pi, width, height)
        self.west = Wall(floor.x0, middle_y, -math.pi / 2, depth, height)
        self.east = Wall(floor.x1, middle_y, math.pi / 2, depth, height)
        palette, rng = maker.palette, maker.rng
        self._wall_scale = float(rng.uniform(0.8, 1.6))
        plain = Skin(palette.pick(rng, 'plain'), 1.5)
        self._looks = {
            id(wall): plain if rng.random() < style.plain else self._pattern()
            for wall in self.walls
        }
        self._trim = (
            maker.skin('wood', 1.0, along=True) if rng.random() < 0.5 else maker.skin('plain', 1.0)
        )

    @property
    def walls(self) -> tuple[Wall, Wall, Wall, Wall]:
        """South, north, west, east."""
        return self.south, self.north, self.west, self.east

    def look(self, wall: Wall) -> Skin:
        """The wall's covering."""
        return self._looks[id(wall)]

    def _pattern(self) -> Skin:
        return self.maker.skin('wall', self._wall_scale)

    def keep_clear(self, wall: Wall, x: float) -> None:
        """Reserve wall and floor for a doorway at x."""
        width, height = _DOOR
        wall.taken.append(Rect(x - width / 2 - 0.1, 0.0, x + width / 2 + 0.1, height + 0.1))
        self.occupied.append(wall.footprint(x, width + 0.1, 0.9))

    def build_floor_and_ceiling(self) -> None:
        """Slabs below and above, and the lamps under the ceiling."""
        scene, maker, floor = self.maker.scene, self.maker, self.floor
        width, depth = floor.x1 - floor.x0, floor.y1 - floor.y0
        with scene.at((floor.x0 + floor.x1) / 2, (floor.y0 + floor.y1) / 2):
            size = (width + _THICK, depth + _THICK, 0.1)
            ground = maker.skin('floor', float(maker.rng.uniform(1.0, 1.8)))
            scene.box((0, 0, -0.05), size, ground)
            sky = Skin(maker.palette.pick(maker.rng, 'ceiling'), 1.8, tint=(0.95, 0.95, 0.93))
            scene.box((0, 0, self.height + 0.05), size, sky)
            warmth = float(maker.rng.uniform(0.0, 1.0))
            tone = (1.0 + 0.25 * warmth, 1.0, 1.0 - 0.3 * warmth)
            for x in (-width / 4, width / 4) if width > 4.2 else (0.0,):
                shell = maker.skin('metal', 0.5)
                glow = {
                    _BOTTOM: Skin(
                        maker.palette.pick(maker.rng, 'plain'),
                        1.0,
                        tint=tone,
                        glow=3.0,
                        glow_from='ceiling',
                    )
                }
                scene.box((x, 0, self.height - 0.02), (0.6, 0.6, 0.04), shell, glow)
                edges = ((0.28, 0.0, 0.0), (0.0, 0.28, 0.0))
                scene.lamp((x, 0, self.height - 0.06), (0, 0, -1), edges, tone, 'ceiling')

    def build_wall(
        self,
        wall: Wall,
        back: Skin | None = None,
        doorway: float | None = None,
        sunny: bool = False,
    ) -> None:
        """Wall with its openings: a doorway at x if given, else windows or a closed door or none.

        sunny: surely windows. back: look of the other side.
        """
        maker, rng = self.maker, self.maker.rng
        openings: list[Rect] = []
        with maker.scene.at(wall.x, wall.y, 0.0, wall.yaw):
            if doorway is not None:
                width, height = _DOOR
                openings = [Rect(doorway - width / 2, 0.0, doorway + width / 2, height)]
            elif sunny or rng.random() < 0.25:
                openings = self._windows(wall)
            elif rng.random() < 0.5:
                self._closed_door(wall)
            self._slabs(wall, openings, back)
            self.build_baseboard(wall)

    def _slabs(self, wall: Wall, openings: list[Rect], back: Skin | None) -> None:
        start, end = -wall.length / 2 - _THICK, wall.length / 2 + _THICK
        pieces, x = [], start
        for hole in sorted(openings, key=lambda hole: hole.x0):
            pieces.append(Rect(x, 0.0, hole.x0, wall.height))
            pieces.append(Rect(hole.x0, 0.0, hole.x1, hole.y0))
            pieces.append(Rect(hole.x0, hole.y1, hole.x1, wall.height))
            x = hole.x1
        pieces.append(Rect(x, 0.0, end, wall.height))
        front = self.look(wall)
        for piece in pieces:
            size = (piece.x1 - piece.x0, _THICK, piece.y1 - piece.y0)
            if min(size) <= 0:
                continue
            center = ((piece.x0 + piece.x1) / 2, -_THICK / 2, (piece.y0 + piece.y1) / 2)
            drop = wall.height - piece.y1
            faces = {FRONT: _anchored(front, -piece.x1, drop)}
            if back is not None:
                faces[_BACK] = _anchored(back, piece.x0, drop)
            self.maker.scene.box(center, size, self._trim, faces)

    def build_baseboard(self, wall: Wall) -> None:
        """Skirting between the wall's doors; the scene's frame is the wall's."""
        doors = [hole for hole in wall.taken if hole.y0 == 0.0]
        x = -wall.length / 2
        for door in [*sorted(doors, key=lambda door: door.x0), None]:
            end = door.x0 if door else wall.length / 2
            if end > x:
                size = (end - x, 0.016, 0.09)
                self.maker.scene.box(((x + end) / 2, 0.008, 0.045), size, self._trim)
            x = door.x1 if door else end

    def _windows(self, wall: Wall) -> list[Rect]:
        maker, rng = self.maker, self.maker.rng
        count = 2 if wall.length > 3.8 and rng.random() < 0.5 else 1
        width = float(rng.uniform(0.9, 1.5))
        sill, head = float(rng.uniform(0.75, 1.0)), float(rng.uniform(1.9, 2.15))
        holes = []
        for k in range(count):
            x = (k - (count - 1) / 2) * wall.length / 2 + float(rng.uniform(-0.2, 0.2))
            hole = Rect(x - width / 2, sill, x + width / 2, head)
            holes.append(hole)
            wall.taken.append(Rect(hole.x0 - 0.15, sill - 0.1, hole.x1 + 0.15, head + 0.15))
            self._window(x, width, sill, head)
            if rng.random() < 0.6:
                maker.radiator(x, width * 0.8, sill - 0.25)
                wall.taken.append(Rect(x - width * 0.4, 0.02, x + width * 0.4, sill))
                self.occupied.append(wall.footprint(x, width * 0.8, 0.15))
            curtain = maker.skin('cloth', 0.8)
            if rng.random() < 0.5:
                wall.taken[-1] = Rect(hole.x0 - 0.4, 0.0, hole.x1 + 0.4, head + 0.2)
                for side in (-1, 1):
                    for fold in range(4):
                        at = (
                            x + side * (width / 2 + 0.06 + 0.1 * fold),
                            0.055 + 0.01 * (fold % 2),
                            head / 2 + 0.1,
                        )
                        maker.scene.box(at, (0.1, 0.05, head), curtain)
        return holes

    def _window(self, x: float, width: float, sill: float, head: float) -> None:
        maker, scene = self.maker, self.maker.scene
        height, middle = head - sill, (head + sill) / 2
        view = {
            FRONT: Skin(
                maker.palette.pick(maker.rng, 'outside'), tint=_PANE, glow=9.0, glow_from='window'
            )
        }
        scene.box((x, -_THICK + 0.01, middle), (width, 0.02, height), self._trim, view)
        bar = maker.skin('plain', 0.8)
        for side in (-1, 0, 1):
            scene.box((x + side * (width / 2 - 0.02), -0.06, middle), (0.04, 0.03, height), bar)
        for side in (-1, 1):
            scene.box(
                (x, -0.059, middle + side * (height / 2 - 0.02)), (width - 0.08, 0.028, 0.04), bar
            )
        scene.box((x, 0.0, sill - 0.012), (width + 0.1, 0.2, 0.024), self._trim)
        edges: tuple[Vec3, Vec3] = ((0.48 * width, 0.0, 0.0), (0.0, 0.0, 0.48 * height))
        scene.lamp((x, -0.035, middle), (0, 1, 0), edges, (0.9, 1.0, 1.15), 'window')

    def _closed_door(self, wall: Wall) -> None:
        maker, rng = self.maker, self.maker.rng
        width, height = _DOOR
        x = float(rng.uniform(-0.5, 0.5)) * (wall.length - width - 0.4)
        self.keep_clear(wall, x)
        leaf = maker.timber()
        maker.scene.box((x, 0.012, height / 2), (width - 0.1, 0.024, height), leaf)
        for side in (-1, 1):
            maker.scene.box(
                (x + side * (width / 2), 0.02, height / 2), (0.1, 0.04, height), self._trim
            )
        maker.scene.box((x, 0.021, height + 0.05), (width + 0.1, 0.042, 0.1), self._trim)
        for z in (0.55, 1.5):
            maker.scene.box((x, 0.03, z), (width - 0.4, 0.012, 0.65), leaf)
        handle = maker.skin('metal', 0.3)
        maker.scene.box((x + width / 2 - 0.13, 0.05, 1.02), (0.12, 0.052, 0.025), handle)
        if rng.random() < 0.5:
            maker.scene.box(
                (x, 0.04, 1.55), (0.3, 0.008, 0.4), self._trim, {FRONT: maker.skin('poster')}
            )

    def furnish(self) -> None:
        """Pieces along the walls, something in the middle, pictures on the walls."""
        rng = self.maker.rng
        area = self.floor.area
        share = 0.1 + 0.3 * self.style.clutter
        for _ in range(150):
            if sum(piece.area for piece in self.occupied) > share * area:
                break
            self._place_at_wall(self.walls[int(rng.integers(4))])
        self._place_in_middle()
        for wall in self.walls:
            with self.maker.scene.at(wall.x, wall.y, 0.0, wall.yaw):
                for _ in range(4 + int(40 * self.style.clutter)):
                    self._hang(wall)

    def _place_at_wall(self, wall: Wall) -> None:
        maker, rng = self.maker, self.maker.rng
        loose = int(rng.integers(1, 3 + int(3 * self.style.clutter)))
        kind = str(
            rng.choice(
                [
                    'shelf',
                    'cabinet',
                    'desk',
                    'sofa',
                    'bed',
                    'rack',
                    'crates',
                    'counter',
                    'lamp',
                    'plant',
                ],
                p=[0.22, 0.16, 0.16, 0.08, 0.05, 0.09, 0.08, 0.05, 0.05, 0.06],
            )
        )
        if self._placed[kind] >= _AT_MOST.get(kind, 1):
            return
        sizes: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
            'shelf': ((0.7, 1.3), (0.24, 0.34), (0.9, min(2.1, self.height - 0.2))),
            'cabinet': ((0.6, 1.5), (0.35, 0.5), (0.5, 1.9)),
            'desk': ((1.1, 1.7), (0.65, 0.8), (1.25, 1.25)),
            'sofa': ((1.5, 2.1), (0.9, 0.95), (0.9, 0.9)),
            'bed': ((1.0, 1.6), (2.0, 2.0), (1.0, 1.0)),
            'rack': ((0.9, 1.4), (0.4, 0.5), (1.4, 2.0)),
            'crates': ((0.6, 0.6), (0.6, 0.6), (1.3, 1.3)),
            'counter': ((1.4, 2.2), (0.64, 0.64), (2.1, 2.1)),
            'lamp': ((0.4, 0.4), (0.4, 0.4), (1.8, 1.8)),
            'plant': ((0.6, 0.6), (0.6, 0.6), (1.2, 1.2)),
        }
        width, depth, height = (float(rng.uniform(*span)) for span in sizes[kind])
        reach = wall.length / 2 - width / 2 - 0.03
        if reach <= 0:
            return
        x = float(rng.uniform(-reach, reach))
        swept = depth + (0.45 if kind == 'desk' else 0.0)
        ground = wall.footprint(x, width, swept)
        cover = Rect(x - width / 2, 0.0, x + width / 2, height + 0.02)
        if not wall.free(cover, 0.02) or not ground.within(self.floor):
            return
        if any(ground.overlaps(other, 0.04) for other in self.occupied):
            return
        self.occupied.append(ground)
        wall.taken.append(cover)
        self._placed[kind] += 1
        # Baseboards are 1.6 cm deep; pieces stand just before them.
        with maker.scene.at(wall.x, wall.y, 0.0, wall.yaw), maker.scene.at(x, 0.018):
            if kind == 'shelf':
                maker.bookshelf(width, depth, height)
            elif kind == 'cabinet':
                maker.cabinet(width, depth - 0.05, height, loose)
            elif kind == 'desk':
                maker.desk(width, depth, loose)
            elif kind == 'sofa':
                maker.sofa(width)
            elif kind == 'bed':
                maker.bed(width, depth)
            elif kind == 'rack':
                maker.rack(width, depth, height)
            elif kind == 'crates':
                maker.crates()
            elif kind == 'counter':
                maker.counter(width, loose + 1)
            elif kind == 'lamp':
                maker.floor_lamp()
            else:
                maker.plant(0, depth / 2, 0, 0.55)

    def _place_in_middle(self) -> None:
        maker, rng, floor = self.maker, self.maker.rng, self.floor
        for _ in range(12):
            width, depth = float(rng.uniform(0.9, 1.6)), float(rng.uniform(0.6, 0.9))
            turned = rng.random() < 0.5
            low = rng.random() < 0.4
            span = (width, depth) if low else (width, depth + 0.6)
            dx, dy = (span[1] / 2, span[0] / 2) if turned else (span[0] / 2, span[1] / 2)
            x = float(rng.uniform(floor.x0 + dx, max(floor.x1 - dx, floor.x0 + dx)))
            y = float(rng.uniform(floor.y0 + dy, max(floor.y1 - dy, floor.y0 + dy)))
            ground = Rect(x - dx, y - dy, x + dx, y + dy)
            room = Rect(floor.x0 + 0.7, floor.y0 + 0.7, floor.x1 - 0.7, floor.y1 - 0.7)
            if not ground.within(room) or any(ground.overlaps(o, 0.6) for o in self.occupied):
                continue
            self.occupied.append(ground)
            loose = 2 + int(3 * self.style.clutter)
            with maker.scene.at(x, y, 0.0, math.pi / 2 if turned else 0.0):
                if low:
                    maker.coffee_table(width, depth, loose)
                else:
                    maker.dining(width, depth, loose)
            return

    def _hang(self, wall: Wall) -> None:
        maker, rng = self.maker, self.maker.rng
        role = str(
            rng.choice(
                ['poster', 'painting', 'board', 'page', 'clock', 'screen'],
                p=[0.28, 0.3, 0.16, 0.16, 0.05, 0.05],
            )
        )
        widths = {
            'board': (0.8, 1.4),
            'page': (0.2, 0.3),
            'clock': (0.25, 0.35),
            'screen': (0.8, 1.2),
        }
        width = float(rng.uniform(*widths.get(role, (0.3, 0.8))))
        ratios = {
            'page': (1.4, 1.4),
            'clock': (1.0, 1.0),
            'screen': (0.57, 0.57),
            'board': (0.6, 0.8),
        }
        height = width * float(rng.uniform(*ratios.get(role, (0.7, 1.45))))
        x = float(rng.uniform(-0.5, 0.5)) * (wall.length - width - 0.1)
        z = float(rng.uniform(1.05, 1.9))
        cover = Rect(x - width / 2, z - height / 2, x + width / 2, z + height / 2)
        crowded = role in ('clock', 'screen') and self._placed[role] > 0
        if crowded or cover.y1 > wall.height - 0.1 or not wall.free(cover, 0.04):
            return
        self._placed[role] += 1
        wall.taken.append(cover)
        thick = 0.01 if role in ('poster', 'page') else 0.03
        glow = 0.25 if role == 'screen' else 0.0
        picture = {FRONT: Skin(maker.palette.pick(rng, role), glow=glow)}
        maker.scene.box((x, thick / 2, z), (width, thick, height), maker.solid_color(), picture)


def build_rooms(
    scene: SceneBuilder,
    palette: Palette,
    rng: np.random.Generator,
    loose: np.random.Generator,
    count: int,
    style: RoomStyle,
) -> list[tuple[Rect, float]]:
    """One room, or two joined by a doorway. Returns each room's floor and height (m)."""
    maker = Furnisher(scene, palette, rng, loose)
    height, depth = float(rng.uniform(2.4, 2.9)), float(rng.uniform(3.4, 4.8))
    rooms, x = [], 0.0
    for _ in range(count):
        width = float(rng.uniform(3.6, 5.4))
        rooms.append(Room(Rect(x, 0.0, x + width, depth), height, maker, style))
        x += width + _THICK
    doorway = float(rng.uniform(-0.5, 0.5)) * (depth - 1.6)
    for left, right in pairwise(rooms):
        # The wall between two rooms is the left one's; x runs the other way on its other side.
        left.keep_clear(left.east, doorway)
        right.keep_clear(right.west, -doorway)
    for k, room in enumerate(rooms):
        room.build_floor_and_ceiling()
        # Every room has daylight from the south or the north.
        sunny = rng.random() < 0.5
        room.build_wall(room.south, sunny=sunny)
        room.build_wall(room.north, sunny=not sunny)
        if k == 0:
            room.build_wall(room.west)
        else:
            with scene.at(room.west.x, room.west.y, 0.0, room.west.yaw):
                room.build_baseboard(room.west)
        if k + 1 < count:
            following = rooms[k + 1]
            room.build_wall(room.east, following.look(following.west), doorway)
        else:
            room.build_wall(room.east)
    for room in rooms:
        room.furnish()
    return [(room.floor, room.height) for room in rooms]


def _anchored(skin: Skin, left: float, above: float) -> Skin:
    return Skin(skin.texture, skin.meters, tint=skin.tint, origin=(left, above))
