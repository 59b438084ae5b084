"""Collects solids, their skins and the lamps of a scene, and turns them into tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from aceg_ros.lab.worlds.primitives import FACES, Kind, Primitives

Vec3 = tuple[float, float, float]
WHITE: Vec3 = (1.0, 1.0, 1.0)
LAMP_KINDS = ('window', 'ceiling', 'lamp')
GLOW_SOURCES = ('self', *LAMP_KINDS)


@dataclass(frozen=True)
class Skin:
    """How a face looks.

    texture: layer of the atlas. meters: length of wall one texture covers when repeated, None to
    fit it to the face once. part: (u0, v0, u1, v1), the part of the texture that is fitted. tint:
    multiplies the color. glow: light the face sends out, glow_from: 'self', or the kind of lamp it
    goes on and off with. along: turn a repeated texture so that its x runs along the face's longer
    side. origin: meters of texture left of and above the face's corner, None for an arbitrary
    place.
    """

    texture: int
    meters: float | None = None
    part: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    tint: Vec3 = WHITE
    glow: float = 0.0
    glow_from: str = 'self'
    along: bool = False
    origin: tuple[float, float] | None = None


@dataclass(frozen=True)
class Skins:
    """Looks of F = 6 N faces, face f of solid n at 6 n + f.

    texture: (F,). mapping: (F, 2, 3) from face coordinates (u, v, 1) to texture coordinates. tint:
    (F, 3). glow: (F,) light sent out, glow_from: (F,) index into `GLOW_SOURCES`. density: (F,)
    texture lengths per meter.
    """

    texture: Tensor
    mapping: Tensor
    tint: Tensor
    glow: Tensor
    glow_from: Tensor
    density: Tensor


@dataclass(frozen=True)
class Lamp:
    """A rectangle that gives light.

    center, unit normal, the two half edges: (3,) world frame. color: linear. kind: of `LAMP_KINDS`.
    """

    center: np.ndarray
    normal: np.ndarray
    edges: tuple[np.ndarray, np.ndarray]
    color: Vec3
    kind: str


@dataclass
class SceneBuilder:
    """Solids are added in the frame that `at` sets: a place and a turn about the vertical."""

    lamps: list[Lamp] = field(default_factory=list)
    _solids: list[tuple[Kind, np.ndarray, np.ndarray, np.ndarray, list[Skin]]] = field(
        default_factory=list
    )
    _frame: np.ndarray = field(default_factory=lambda: np.eye(4))

    @contextmanager
    def at(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Iterator[None]:
        """In the block, coordinates are relative to (x, y, z) turned by yaw, in the outer frame."""
        outer = self._frame
        inner = np.eye(4)
        inner[:3, :3] = _turn(yaw)
        inner[:3, 3] = (x, y, z)
        self._frame = outer @ inner
        try:
            yield
        finally:
            self._frame = outer

    def box(
        self,
        center: Vec3,
        size: Vec3,
        skin: Skin,
        faces: dict[int, Skin] | None = None,
        yaw: float = 0.0,
        tilt: float = 0.0,
    ) -> None:
        """Box of full `size`, turned by yaw, then leaned by tilt (rad) about its own x.

        faces: looks of single faces, where they differ from `skin`.
        """
        self._add(Kind.BOX, center, size, skin, faces, yaw, tilt)

    def cylinder(
        self, center: Vec3, radius: float, height: float, skin: Skin, cap: Skin | None = None
    ) -> None:
        """Upright cylinder."""
        caps = {4: cap, 5: cap} if cap else None
        self._add(Kind.CYLINDER, center, (2 * radius, 2 * radius, height), skin, caps)

    def ellipsoid(self, center: Vec3, size: Vec3, skin: Skin, yaw: float = 0.0) -> None:
        """Ellipsoid with full axes `size`."""
        self._add(Kind.ELLIPSOID, center, size, skin, None, yaw)

    def lamp(
        self, center: Vec3, normal: Vec3, edges: tuple[Vec3, Vec3], color: Vec3, kind: str
    ) -> None:
        """Light-giving rectangle; it is not seen itself, so goes before a glowing face."""
        turn = self._frame[:3, :3]
        placed = turn @ np.array(center) + self._frame[:3, 3]
        self.lamps.append(
            Lamp(placed, turn @ np.array(normal), (turn @ edges[0], turn @ edges[1]), color, kind)
        )

    def _add(
        self,
        kind: Kind,
        center: Vec3,
        size: Vec3,
        skin: Skin,
        faces: dict[int, Skin] | None,
        yaw: float = 0.0,
        tilt: float = 0.0,
    ) -> None:
        cos, sin = math.cos(tilt), math.sin(tilt)
        lean = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        turn = self._frame[:3, :3] @ _turn(yaw) @ lean
        placed = self._frame[:3, :3] @ np.array(center) + self._frame[:3, 3]
        looks = [(faces or {}).get(face, skin) for face in range(FACES)]
        self._solids.append((kind, placed, turn.T, np.array(size) / 2, looks))

    def build(self) -> tuple[Primitives, Skins]:
        """Tensors of all that was added, on the CPU."""
        solids = sorted(self._solids, key=lambda solid: solid[0])
        counts = tuple(sum(solid[0] == kind for solid in solids) for kind in Kind)
        primitives = Primitives(
            torch.tensor(np.stack([s[1] for s in solids]), dtype=torch.float32),
            torch.tensor(np.stack([s[2] for s in solids]), dtype=torch.float32),
            torch.tensor(np.stack([s[3] for s in solids]), dtype=torch.float32),
            counts,  # type: ignore[arg-type]
        )
        looks = [skin for solid in solids for skin in solid[4]]
        sides = [side for solid in solids for side in face_sizes(solid[0], solid[3])]
        places = [solid[1] for solid in solids for _ in range(FACES)]
        mapping = np.stack([_mapping(*face) for face in zip(looks, sides, places, strict=True)])
        # Texture area per meter squared of face, as a length.
        stretch = np.abs(np.linalg.det(mapping[:, :, :2]))
        density = np.sqrt(stretch / np.prod(np.array(sides), axis=1))
        return primitives, Skins(
            torch.tensor([skin.texture for skin in looks], dtype=torch.int32),
            torch.tensor(mapping, dtype=torch.float32),
            torch.tensor([skin.tint for skin in looks]),
            torch.tensor([skin.glow for skin in looks]),
            torch.tensor([GLOW_SOURCES.index(skin.glow_from) for skin in looks]),
            torch.tensor(density, dtype=torch.float32),
        )


def _mapping(skin: Skin, side: tuple[float, float], center: np.ndarray) -> np.ndarray:
    """(2, 3) from face to texture coordinates of a face of the given sides (m)."""
    if skin.meters is None:
        u0, v0, u1, v1 = skin.part
        # Half a texel of a 256-texel texture is kept off, so that opposite edges do not bleed in.
        inset = 1 / 512
        return np.array(
            [[u1 - u0 - 2 * inset, 0, u0 + inset], [0, v1 - v0 - 2 * inset, v0 + inset]]
        )
    if skin.origin is None:
        # From the place, so that what else is in the scene does not change it.
        shift = np.modf(np.abs(center[[0, 2]]) * (7.31, 5.77) + np.abs(center[1]) * 3.97)[0]
    else:
        shift = np.array(skin.origin) / skin.meters
    width, height = side[0] / skin.meters, side[1] / skin.meters
    if skin.along and height > width:
        return np.array([[0, height, shift[0]], [width, 0, shift[1]]])
    return np.array([[width, 0, shift[0]], [0, height, shift[1]]])


def face_sizes(kind: Kind, half: np.ndarray) -> list[tuple[float, float]]:
    """Width and height in meters of the six faces of a solid, along their u and v."""
    x, y, z = (2 * half).tolist()
    sizes = [(y, z), (y, z), (x, z), (x, z), (x, y), (x, y)]
    if kind != Kind.BOX:
        around = math.pi * (x + y) / 2
        sizes[0] = (around, z if kind == Kind.CYLINDER else math.pi * z / 2)
    return sizes


def _turn(yaw: float) -> np.ndarray:
    cos, sin = math.cos(yaw), math.sin(yaw)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
