"""Where training pairs come from: folders of pictures, posed datasets, procedural worlds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.datasets.detect import open_dataset
from aceg_ros.datasets.images import list_images, read_image
from aceg_ros.errors import DatasetError, ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.encoder_training.pairs import HomographyPairs, PairSource, PosedPairs
from aceg_ros.lab.worlds import LIGHTS, WorldOptions, make_world, record, tour

LONGEST_SIDE = 800  # px; larger pictures are shrunk, so that a crop shows more than a detail
_POSED_SHARE = 0.3  # of the pairs, per kind of posed source
_POSED_REACH = 10  # frames between the two views of a posed pair


def collect(
    folders: Sequence[Path],
    worlds: int,
    frames_per_world: int,
    seed: int,
    report: Callable[[str], None],
) -> list[tuple[float, PairSource]]:
    """Weighted sources out of dataset folders (or folders of pictures) and procedural worlds.

    Raises DatasetError when there is no picture at all.
    """
    pictures: list[np.ndarray] = []
    posed: list[PosedPairs] = []
    for folder in folders:
        images, frames = read_folder(folder)
        pictures += images
        with_depth = [frame for frame in frames if frame.load_depth is not None]
        pairs = PosedPairs(with_depth, _POSED_REACH)
        if len(pairs):
            posed.append(pairs)
        report(f'{folder}: {len(images)} pictures, {len(pairs)} of them with depth and pose')
    rendered = []
    for index in range(worlds):
        frames = _record_world(seed + index, frames_per_world)
        rendered.append(PosedPairs(frames, _POSED_REACH))
        pictures += [frame.image() for frame in frames[::4]]
        report(f'world {index + 1} of {worlds} rendered')
    if not pictures:
        raise DatasetError('nothing to train on: name dataset folders, or ask for --worlds')
    sources: list[tuple[float, PairSource]] = [(1.0, HomographyPairs(pictures))]
    for kind in (posed, rendered):
        sources += [(_POSED_SHARE / len(kind), pairs) for pairs in kind]
    return sources


def read_folder(folder: Path) -> tuple[list[np.ndarray], list[Frame]]:
    """Pictures (H, W, 3), shrunk, and the frames where the folder is a dataset."""
    try:
        frames = open_dataset(folder).frames
    except DatasetError:
        if not folder.is_dir():
            raise
        return [shrunk(read_image(path)) for path in list_images(folder)], []
    images = []
    for frame in frames:
        try:
            images.append(shrunk(frame.image()))
        except ImageError:
            continue  # one bad picture among many is no loss to training
    return images, frames


def _record_world(seed: int, count: int) -> list[Frame]:
    rng = np.random.default_rng(seed)
    rooms = int(rng.integers(1, 3))
    clutter, plain = rng.uniform(0.4, 0.9), rng.uniform(0.2, 0.6)
    world = make_world(seed, WorldOptions(rooms, clutter, plain, texture_size=256))
    camera = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)
    poses = tour(world, count, seed, kind='walk' if seed % 2 else 'sweep')
    light = LIGHTS[sorted(LIGHTS)[int(rng.integers(len(LIGHTS)))]]
    return record(world, camera, poses, light, name=f'world-{seed}', supersample=1).frames


def shrunk(image: np.ndarray) -> np.ndarray:
    """The picture at `LONGEST_SIDE` px at most."""
    scale = LONGEST_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
