"""Options of the readers. Pixels are those of the working image."""

from __future__ import annotations

from dataclasses import dataclass, field

from aceg_ros.options import Options, option


@dataclass(frozen=True)
class AnchoredOptions(Options):
    """How an anchored code is read."""

    patches: int = option(
        1000, 'Most reliable patches of an image that ask the map; more cost time.', low=10
    )
    matches: int = option(500, 'Most certain of the patches, which pose estimation gets.', low=10)
    max_sigma_px: float = option(
        40.0, 'Patches less certain than this say nothing about a pose.', 'px', low=0.1
    )
    threshold_px: float = option(
        12.0, 'Reprojection error of an inlier; patches are 8 px wide.', 'px', low=0.1
    )
    near_radius_px: float = option(
        24.0, 'At a pose, a patch reads only tokens this close to its ray.', 'px', low=1
    )
    near_tokens: int = option(16, 'Tokens that a patch reads at a pose, the nearest.', low=1)


@dataclass(frozen=True)
class FreeOptions(Options):
    """How a free code is read; the first two are those of the published ACE-G."""

    quantile: float = option(
        0.1, 'Quantile of the sigmas of an image that the others are held against.', low=0, high=1
    )
    factor: float = option(
        2.0, 'Patches of less sigma than so many times that quantile are kept.', low=1
    )
    threshold_px: float = option(10.0, 'Reprojection error of an inlier.', 'px', low=0.1)


@dataclass(frozen=True)
class ReaderOptions(Options):
    """One set for each kind of code."""

    anchored: AnchoredOptions = field(default_factory=AnchoredOptions)
    free: FreeOptions = field(default_factory=FreeOptions)
