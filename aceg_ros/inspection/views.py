"""The features of posed frames, and the pairs of them that show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import ImageError, PoseError
from aceg_ros.inspection.agreement import Pair, make_pair
from aceg_ros.inspection.looks import Look, look_at
from aceg_ros.inspection.matching import Features, find_features
from aceg_ros.monitor import Monitor
from aceg_ros.threads import side_by_side

Array = NDArray[np.float64]

_NEXT = (1, 2)  # every frame is compared with those so many places on
_WIDE = (8, 4)  # and a few with the first of these that shows the same
_WIDE_PAIRS = 16


@dataclass(frozen=True)
class Views:
    """N frames whose image and pose could be read, in the order of the dataset."""

    frames: list[Frame]
    poses: Array  # (N, 4, 4) world_from_cam
    pairs: list[Pair]  # neighbors that show the same
    wide: list[Pair]  # a few over more frames, by which misread rotations show best
    looks: list[Look]  # N
    skipped: list[str] = field(default_factory=list)  # 'name: reason'


def compare_neighbors(frames: Sequence[Frame], monitor: Monitor) -> Views:
    """Find features in every image, and match each with the next ones.

    Frames without a readable image or a pose are left out and named.
    """
    usable: list[Frame] = []
    poses: list[Array] = []
    features: list[Features] = []
    looks: list[Look] = []
    skipped: list[str] = []
    for index, (frame, seen) in enumerate(zip(frames, side_by_side(_see, frames), strict=True)):
        monitor.report('compare', index / len(frames), frame.name)
        if isinstance(seen, str):
            skipped.append(seen)
            continue
        usable.append(frame)
        poses.append(seen[0])
        features.append(seen[1])
        looks.append(seen[2])
    pairs = []
    for found in side_by_side(partial(_pairs, features, steps=_NEXT), range(len(usable))):
        monitor.check()
        pairs += found
    anchors = np.unique(np.linspace(0, len(usable) - 1, _WIDE_PAIRS).round().astype(int))
    wide = []
    for anchor in anchors.tolist() if usable else []:
        monitor.check()
        found_wide = _pairs(features, anchor, _WIDE, first_only=True)
        wide += found_wide or [pair for pair in pairs if pair.first == anchor][-1:]
    return Views(usable, np.array(poses).reshape(-1, 4, 4), pairs, wide, looks, skipped)


def _see(frame: Frame) -> tuple[Array, Features, Look] | str:
    """Pose, features and look of a frame, or why it is left out."""
    try:
        pose, image = frame.pose(), frame.image()
        return pose, find_features(image, frame.camera), look_at(image)
    except (ImageError, PoseError) as error:
        return f'{frame.name}: {error}'


def _pairs(
    features: Sequence[Features], first: int, steps: Sequence[int], first_only: bool = False
) -> list[Pair]:
    pairs: list[Pair] = []
    for step in steps:
        second = first + step
        if second < len(features):
            pair = make_pair(first, second, (features[first], features[second]))
            if pair is not None:
                pairs.append(pair)
                if first_only:
                    break
    return pairs
