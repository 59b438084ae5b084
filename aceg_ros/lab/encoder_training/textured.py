"""Textured triangle worlds drawn by OpenGL, under light that changes and with things moved.

Reads folders with a `world.npz` and `textures/*.jpg`. Needs moderngl (extra ``train``) and an EGL
driver, such as Mesa's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse

_LAMPS = 8  # at most
_NEAR, _FAR = 0.05, 80.0  # m
_TEXTURE = 512  # px, side of all textures
_SHIFT, _TURN = 0.4, 40.0  # m and degrees that a moved thing moves at most

_VERTEX = """#version 330
uniform mat4 clip_from_world;
in vec3 position; in vec2 at; in vec4 paint; in vec3 facing;
out vec3 place; out vec2 texel; flat out vec4 look; flat out vec3 normal;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    place = position; texel = at; look = paint; normal = facing;
}"""
_FRAGMENT = """#version 330
uniform sampler2DArray textures;
uniform vec3 eye, ahead, ambient[6], lamp_place[8], lamp_color[8];
uniform float gloss;
in vec3 place; in vec2 texel; flat in vec4 look; flat in vec3 normal;
layout(location = 0) out vec4 color; layout(location = 1) out float depth;
void main() {
    vec3 albedo = look.a < 0.0 ? look.rgb : texture(textures, vec3(texel, look.a)).rgb;
    albedo = pow(albedo, vec3(2.2));
    vec3 view = normalize(eye - place);
    vec3 n = dot(normal, view) < 0.0 ? -normal : normal;
    vec3 share = n * n;
    vec3 light = share.x * (n.x > 0.0 ? ambient[0] : ambient[1])
        + share.y * (n.y > 0.0 ? ambient[2] : ambient[3])
        + share.z * (n.z > 0.0 ? ambient[4] : ambient[5]);
    vec3 shine = vec3(0.0);
    for (int i = 0; i < 8; i++) {
        vec3 way = lamp_place[i] - place;
        float square = dot(way, way);
        way *= inversesqrt(square);
        vec3 arriving = lamp_color[i] / (0.3 + square);
        light += arriving * max(dot(n, way), 0.0);
        shine += arriving * gloss * pow(max(dot(n, normalize(way + view)), 0.0), 40.0);
    }
    color = vec4(albedo * light + shine, 1.0);
    depth = dot(place - eye, ahead);
}"""


@dataclass(frozen=True)
class LampLight:
    """Light of a textured world; linear, exposure follows the image."""

    ambient: np.ndarray  # (6, 3) from +x, -x, +y, -y, +z, -z
    places: np.ndarray  # (N, 3) m, at most 8 lamps
    colors: np.ndarray  # (N, 3)
    gloss: float = 0.0
    key: float = 0.18  # mean of the exposed image, linear


class TexturedWorld:
    """A world of triangles that can be looked at from anywhere; lengths in meters, z up."""

    def __init__(self, folder: Path, width: int, height: int):
        """``width`` and ``height`` of all pictures; raises DatasetError when it is no world."""
        try:
            import moderngl
        except ImportError as error:
            raise DatasetError(
                'drawing textured worlds needs moderngl: pip install "aceg_ros[train]"'
            ) from error
        try:
            with np.load(folder / 'world.npz') as arrays:
                self._world = {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, MemoryError) as error:
            raise DatasetError(f'{folder} holds no textured world ({error})') from error
        self.width, self.height = width, height
        self._context = moderngl.create_context(standalone=True, backend='egl', require=330)
        self._program = self._context.program(_VERTEX, _FRAGMENT)
        self._textures = self._load_textures(folder, moderngl)
        self._buffer = self._context.buffer(reserve=len(self._world['faces']) * 3 * 12 * 4)
        self._triangles = self._context.vertex_array(
            self._program,
            [(self._buffer, '3f 2f 4f 3f', 'position', 'at', 'paint', 'facing')],
        )
        self._color = self._context.texture((width, height), 4, dtype='f2')
        self._depth = self._context.texture((width, height), 1, dtype='f4')
        self._target = self._context.framebuffer(
            [self._color, self._depth], self._context.depth_renderbuffer((width, height))
        )
        self.arrange(np.random.default_rng(0), share=0.0)

    @property
    def corners(self) -> np.ndarray:
        """Lowest and highest corner (2, 3) of the world."""
        vertices = self._world['vertices']
        return np.stack([vertices.min(axis=0), vertices.max(axis=0)])

    @property
    def lamps(self) -> np.ndarray:
        """Places (L, 3) of the lamps that the world has."""
        return np.asarray(self._world['light_position']).reshape(-1, 3)

    def arrange(self, rng: np.random.Generator, share: float) -> None:
        """Put ``share`` of the things that are not fixed to other places, at random."""
        vertices = self._world['vertices'].copy()
        faces, part = self._world['faces'], self._world['part']
        for index in np.flatnonzero(~self._world['part_fixed']):
            if rng.random() >= share:
                continue
            own = np.unique(faces[part == index])
            angle = np.radians(rng.uniform(-_TURN, _TURN))
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            center = vertices[own, :2].mean(axis=0)
            moved = (vertices[own, :2] - center) @ turn.T + center
            vertices[own, :2] = moved + rng.uniform(-_SHIFT, _SHIFT, 2)
        self._upload(vertices)

    def view(
        self, camera: Camera, world_from_cam: np.ndarray, light: LampLight
    ) -> tuple[np.ndarray, np.ndarray]:
        """Picture (H, W, 3) uint8 and depth (H, W) float32 m, 0 where nothing is seen."""
        import moderngl

        program: Any = self._program
        self._context.__enter__()  # another world may have drawn last
        eye, ahead = world_from_cam[:3, 3], world_from_cam[:3, 2]
        program['clip_from_world'].write(
            clip_from_world(camera, world_from_cam).T.astype('f4').tobytes()
        )
        program['eye'].value = tuple(eye)
        program['ahead'].value = tuple(ahead)
        program['ambient'].write(light.ambient.astype('f4').tobytes())
        program['gloss'].value = light.gloss
        for name, values in (('lamp_place', light.places), ('lamp_color', light.colors)):
            filled = np.zeros((_LAMPS, 3), 'f4')
            filled[: len(values)] = values[:_LAMPS]
            program[name].write(filled.tobytes())
        self._target.use()
        self._context.enable(moderngl.DEPTH_TEST)
        self._target.clear(0.0, 0.0, 0.0, 0.0)
        self._textures.use(0)
        self._triangles.render()
        shape = (self.height, self.width)
        linear = np.frombuffer(self._color.read(), 'f2').reshape(*shape, 4)[::-1, :, :3]
        depth = np.frombuffer(self._depth.read(), 'f4').reshape(shape)[::-1]
        return _exposed(linear.astype(np.float32), light.key), np.ascontiguousarray(depth)

    def _load_textures(self, folder: Path, moderngl: Any) -> Any:
        pictures = []
        for path in sorted((folder / 'textures').glob('*.jpg')):
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if picture is None:
                raise DatasetError(f'{path} is no picture')
            resized = cv2.resize(picture, (_TEXTURE, _TEXTURE), interpolation=cv2.INTER_AREA)
            pictures.append(resized[::-1, :, ::-1])
        stack = np.stack(pictures or [np.zeros((_TEXTURE, _TEXTURE, 3), np.uint8)])
        size = (_TEXTURE, _TEXTURE, len(stack))
        textures = self._context.texture_array(size, 3, np.ascontiguousarray(stack).tobytes())
        textures.build_mipmaps()
        textures.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        return textures

    def _upload(self, vertices: np.ndarray) -> None:
        world = self._world
        corners = vertices[world['faces']].astype('f4')
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
        material = world['material']
        paint = np.concatenate(
            [world['material_color'] / 255.0, world['material_texture'][:, None]], axis=1
        )[material]
        data = np.concatenate(
            [
                corners,
                world['uv'].astype('f4'),
                np.repeat(paint[:, None], 3, axis=1),
                np.repeat(normal[:, None], 3, axis=1),
            ],
            axis=2,
        )
        self._buffer.write(np.ascontiguousarray(data, 'f4').tobytes())


def environment_light(picture: np.ndarray) -> np.ndarray:
    """Ambient light (6, 3) of an environment map (H, W, 3), linear RGB with the sky on top.

    Scaled to a mean of 1.
    """
    height, width = picture.shape[:2]
    latitude = np.pi * (0.5 - (np.arange(height) + 0.5) / height)
    longitude = 2 * np.pi * (np.arange(width) + 0.5) / width
    flat, up = np.cos(latitude)[:, None], np.sin(latitude)[:, None]
    ways = np.stack(
        [flat * np.cos(longitude), flat * np.sin(longitude), up * np.ones(width)], axis=2
    )
    area = flat[..., None]
    # a sun of a few pixels would be all there is
    capped = np.minimum(picture, 8 * np.median(picture.mean(axis=2)) + 1e-6)
    found = []
    for axis in range(3):
        for sign in (1, -1):
            weight = np.clip(sign * ways[..., axis : axis + 1], 0, None) * area
            found.append((capped * weight).sum(axis=(0, 1)) / weight.sum())
    ambient = np.stack(found)
    return ambient / ambient.mean()


def random_lamp_light(
    rng: np.random.Generator,
    environments: Sequence[np.ndarray],
    lamps: np.ndarray,
    around: np.ndarray,
) -> LampLight:
    """Light of a day or a night around the place (3,): environment, lamps (L, 3) on or off."""
    ambient = environments[int(rng.integers(len(environments)))].copy()
    for _ in range(rng.integers(4)):  # turned by quarters
        ambient[:4] = ambient[[2, 3, 1, 0]]
    ambient *= np.exp(rng.normal(0, 0.15, 3))
    extra = around + rng.uniform([-3, -3, -0.3], [3, 3, 1.0], (3, 3))
    places = np.concatenate([lamps, extra])
    places = places[np.argsort(np.linalg.norm(places - around, axis=1))][:_LAMPS]
    warmth = rng.uniform(0, 1, (len(places), 1))
    color = (1 - warmth) * np.array([0.95, 1.0, 1.05]) + warmth * np.array([1.35, 0.95, 0.5])
    power = 2.5 * np.exp(rng.normal(0, 0.9, (len(places), 1)))
    power *= rng.random((len(places), 1)) < rng.uniform(0.2, 0.9)
    level = float(np.exp(rng.normal(-0.6, 1.2)))
    return LampLight(
        ambient=ambient * level + 0.02,
        places=places,
        colors=color * power,
        gloss=float(rng.uniform(0, 0.35)) * (rng.random() < 0.6),
        key=0.18 * float(2 ** rng.uniform(-1.4, 0.7)),
    )


def _exposed(linear: np.ndarray, key: float) -> np.ndarray:
    """(H, W, 3) uint8 of a linear picture, its mean brought to ``key``."""
    # bright spots do not decide
    mean = float(np.minimum(linear, 3 * np.median(linear) + 1e-4).mean())
    exposed = np.clip(linear * (key / max(mean, 1e-6)), 0, 1)
    return (exposed ** (1 / 2.2) * 255).round().astype(np.uint8)


def clip_from_world(camera: Camera, world_from_cam: np.ndarray) -> np.ndarray:
    """(4, 4) from the world to OpenGL's clip space, for a camera without distortion."""
    k = camera.K
    width, height = camera.width, camera.height
    depth = _FAR - _NEAR
    # x to the right, y down, z ahead; pixel (0, 0) is the middle of the first one
    projection = np.array(
        [
            [2 * k[0, 0] / width, 0, 2 * (k[0, 2] + 0.5) / width - 1, 0],
            [0, -2 * k[1, 1] / height, 1 - 2 * (k[1, 2] + 0.5) / height, 0],
            [0, 0, (_FAR + _NEAR) / depth, -2 * _FAR * _NEAR / depth],
            [0, 0, 1, 0],
        ]
    )
    return projection @ inverse(world_from_cam)
