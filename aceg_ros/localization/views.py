"""The images of a query, of one camera or of several on a rig."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aceg_ros.pose.matches import Matches, RigMatches
from aceg_ros.readers.base import CodeReader, ImagePatches, Prediction

# First matches of a view that agree with a pose it has a part in, or this part of the most that a
# view has. Fewer agree by chance.
_LEAST_AGREEING, _PART_OF_MOST = 20, 0.5


@dataclass(frozen=True)
class View:
    """One image of a query, and what the map says of it."""

    image: np.ndarray  # (H, W, 3) uint8 RGB, the working image
    patches: ImagePatches
    first: Prediction
    rig_from_cam: np.ndarray  # (4, 4)

    def world_from_cam(self, world_from_rig: np.ndarray) -> np.ndarray:
        """Pose (4, 4) of this camera."""
        return np.asarray(world_from_rig @ self.rig_from_cam)


@dataclass(frozen=True)
class Near:
    """What the map says of all views if the rig is near a pose."""

    matches: RigMatches
    support_ratio: float | None  # see `Prediction`; the mean over the views' patches
    # (V,) how much of the map is there to be seen in each view: patches that have any of it near
    # their rays
    weights: np.ndarray
    agreeing: np.ndarray  # (V,) bool, which views the matches are of


def first_matches(views: Sequence[View]) -> RigMatches:
    """What the map says of all views, whatever the pose."""
    return together(views, [view.first.matches for view in views])


def near(reader: CodeReader, views: Sequence[View], world_from_rig: np.ndarray) -> Near:
    """Where readers add nothing near a pose, the first matches.

    What is predicted near a pose agrees with it to some degree, right or wrong. So a view of a rig
    whose first matches disagree with the pose has no part in it: it would hold a wrong pose where
    it is, and have it look certain.
    """
    matches, ratios, weights = [], [], []
    for view in views:
        read = reader.predict_near(view.patches, view.world_from_cam(world_from_rig), view.first)
        matches.append((read or view.first).matches)
        weights.append(read.near_count if read else len(view.first.matches))
        if read is not None and read.support_ratio is not None:
            ratios.append(read.support_ratio)
    counted = np.array(weights, np.float64)
    support = weighted_mean(np.array(ratios), counted) if len(ratios) == len(views) else None
    first = first_matches(views)
    inliers = first.rows(first.errors(world_from_rig) < reader.threshold_px)
    counts = np.bincount(inliers.mounting.camera, minlength=len(views))
    agreeing = counts >= min(_LEAST_AGREEING, _PART_OF_MOST * counts.max())
    chosen = [
        each.rows(np.full(len(each), agrees))
        for each, agrees in zip(matches, agreeing, strict=True)
    ]
    return Near(together(views, chosen), support, counted, agreeing)


def together(views: Sequence[View], matches: Sequence[Matches]) -> RigMatches:
    """The matches of each view, in their order."""
    return RigMatches.of(
        matches,
        np.stack([view.rig_from_cam for view in views]),
        np.array([view.patches.focal for view in views]),
    )


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Of values (V,); 0 where all weights are."""
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0 else 0.0
