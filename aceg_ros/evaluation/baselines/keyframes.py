"""The frames of a recording that a baseline can map."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import numpy as np

from aceg_ros.datasets import Frame
from aceg_ros.errors import ImageError

_LOG = logging.getLogger(__name__)


def posed_images(frames: Iterable[Frame]) -> Iterator[tuple[Frame, np.ndarray, np.ndarray]]:
    """Each frame that has a pose and a readable image, with that image and world_from_cam.

    Frames without pose are passed over; an image that cannot be read is named in the log.
    """
    for frame in frames:
        if frame.world_from_cam is None:
            continue
        try:
            image = frame.image()
        except ImageError as error:
            _LOG.warning('%s is not mapped: %s', frame.name, error)
            continue
        yield frame, image, frame.world_from_cam
