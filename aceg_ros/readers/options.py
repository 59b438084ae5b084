"""Options of the readers. Pixels are those of the working image."""

from __future__ import annotations

from dataclasses import dataclass, field

from aceg_ros.options import Options, option


@dataclass(frozen=True)
class AnchoredOptions(Options):
    """How an anchored code is read."""

    patches: int = option(
        1000,
        'Number of patches that read the map, the most reliable first. More take more time.',
        low=10,
    )
    matches: int = option(
        500, 'Number of matches for pose estimation, the most certain first.', low=10
    )
    max_sigma_px: float = option(
        40.0, 'Largest sigma of a match, projected into the image.', 'px', low=0.1
    )
    threshold_px: float = option(
        12.0, 'Largest reprojection error of an inlier; a patch is 8 px wide.', 'px', low=0.1
    )
    near_radius_px: float = option(
        24.0, 'Near a pose, a patch reads only tokens within this distance of its ray.', 'px', low=1
    )
    near_tokens: int = option(
        16, 'Near a pose, number of tokens that a patch reads, the closest first.', low=1
    )


@dataclass(frozen=True)
class FreeOptions(Options):
    """How a free code is read; the first two are those of the published ACE-G."""

    quantile: float = option(
        0.1,
        'Quantile of the sigmas of an image; other patches are compared with it.',
        low=0,
        high=1,
    )
    factor: float = option(
        2.0, 'A patch is used if its sigma is less than this factor times that quantile.', low=1
    )
    threshold_px: float = option(10.0, 'Largest reprojection error of an inlier.', 'px', low=0.1)


@dataclass(frozen=True)
class ReaderOptions(Options):
    """One set for each kind of code."""

    anchored: AnchoredOptions = field(default_factory=AnchoredOptions)
    free: FreeOptions = field(default_factory=FreeOptions)
