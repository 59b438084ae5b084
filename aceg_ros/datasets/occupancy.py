"""Occupancy grids as ROS's map_server and slam_toolbox save them: an image and a YAML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml

from aceg_ros.datasets.text import TextError, read_text
from aceg_ros.errors import DatasetError


@dataclass(frozen=True)
class OccupancyGrid:
    """A plan of the floor, seen from above, with level axes."""

    image: np.ndarray  # (H, W) uint8, the top row is the one with the greatest y
    resolution: float  # meters of a pixel
    origin: tuple[float, float]  # x and y of the lower left corner

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Least and greatest x, least and greatest y, meters."""
        height, width = self.image.shape
        x, y = self.origin
        return x, x + width * self.resolution, y, y + height * self.resolution


def read_occupancy_grid(path: Path) -> OccupancyGrid:
    """Read the YAML file of a grid and its image; raises DatasetError when it is no such file."""
    try:
        values = yaml.safe_load(read_text(path))
        image = str(values['image'])
        resolution = float(values['resolution'])
        x, y, turn = (float(number) for number in values['origin'])
    except (TextError, yaml.YAMLError, RecursionError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f'{path}: is no grid of map_server, with image, resolution and origin ({error})'
        ) from error
    if not np.isfinite([resolution, x, y]).all() or resolution <= 0 or abs(turn) > 1e-6:
        raise DatasetError(f'{path}: the resolution is no length, or the origin is turned')
    pixels = cv2.imread(str(path.parent / image), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise DatasetError(f'{path}: its image {image} cannot be read')
    return OccupancyGrid(np.asarray(pixels, np.uint8), resolution, (x, y))
