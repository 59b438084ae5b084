"""Options of localization, by stage. Pixels are those of the working image."""

from __future__ import annotations

from dataclasses import dataclass, field

from aceg_ros.options import Options, option
from aceg_ros.readers.options import ReaderOptions


@dataclass(frozen=True)
class SearchOptions(Options):
    """From patches to a pose."""

    attempts: tuple[float, ...] = option(
        (1.0, 1.7, 2.5, 1.0),
        'Factors on the inlier threshold of RANSAC, tried in turn, each with its own samples. '
        'Few or one-sided matches may need another try; the best explained pose is taken.',
        low=0.1,
    )
    sure_inlier_ratio: float = option(
        0.62,
        'No more attempts where such a part of the matches near the pose agrees.',
        low=0,
        high=1,
    )
    sure_support_ratio: float = option(
        0.76, 'No more attempts where the pose explains so much of the image.', low=0, high=1
    )
    rounds: int = option(3, 'Predictions near the pose at most, each with a refinement.', low=1)
    settled_px: float = option(
        3.0, 'A pose that a round moved by less is not read again.', 'px', low=0
    )


@dataclass(frozen=True)
class LandmarkOptions(Options):
    """Landmarks are measured in the image, and make the pose exact."""

    count: int = option(250, 'Landmarks looked for at most, the most frontal first.', low=0)
    max_angle: float = option(
        40.0,
        'Between the directions a landmark is seen from now and in mapping.',
        'deg',
        low=0,
        high=90,
    )
    reach: int = option(3, 'Searched around where the pose expects one.', 'px', low=1, high=32)
    far_reach: int = option(
        8,
        'Searched first where too few are found within reach. Views from elsewhere and under '
        'other light start farther off.',
        'px',
        low=1,
        high=32,
    )
    sure_redetected: float = option(
        0.5,
        'No wider search where such a part of the landmarks in view agrees. It would double the '
        'time of this stage.',
        low=0,
        high=1,
    )
    min_similarity: float = option(0.7, 'Least correlation with the template.', low=-1, high=1)
    sigma_px: float = option(0.5, 'Deviation of a landmark that was found.', 'px', low=0.01)
    min_redetected: float = option(
        0.05,
        'Part of the landmarks in view that must agree; fewer are found by chance, and would pull '
        'the pose away.',
        low=0,
        high=1,
    )
    threshold_px: float = option(
        6.0, 'Reprojection error of an inlier of the final pose.', 'px', low=0.1
    )


@dataclass(frozen=True)
class GateOptions(Options):
    """What a pose must show to be given out."""

    min_confidence: float = option(
        0.3,
        'Probability that a pose must have of being right. What it rests on: models/confidence.md.',
        low=0,
        high=1,
    )
    min_inliers: int = option(20, 'First matches that must agree with the pose.', low=6)
    max_position_std: float = option(
        0.12, 'Deviation of the position, as a part of the distance to the scene.', low=0
    )
    max_rotation_std: float = option(5.0, 'Deviation of the rotation.', 'deg', low=0)


@dataclass(frozen=True)
class LocalizationOptions(Options):
    """All of localization."""

    reader: ReaderOptions = field(default_factory=ReaderOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    landmarks: LandmarkOptions = field(default_factory=LandmarkOptions)
    gate: GateOptions = field(default_factory=GateOptions)
