"""Options of localization, by stage. Pixels are those of the working image."""

from __future__ import annotations

from dataclasses import dataclass, field

from aceg_ros.options import Options, option
from aceg_ros.readers.options import ReaderOptions


@dataclass(frozen=True)
class SearchOptions(Options):
    """From patches to a pose."""

    attempts: tuple[float, ...] = option(
        (1.0, 1.7),
        'Factors on the inlier threshold of RANSAC, one for each attempt with its own '
        'samples. The pose that explains most of the image is taken. Two more found none of 487 '
        'development images more.',
        low=0.1,
    )
    sure_inlier_ratio: float = option(
        0.5,
        'No further attempt is made if this part of the matches near the pose are inliers.',
        low=0,
        high=1,
    )
    sure_support_ratio: float = option(
        0.76,
        'No further attempt is made if the pose explains this part of the image.',
        low=0,
        high=1,
    )
    least_support_ratios: tuple[float, ...] = option(
        (0.5, 0.55),
        'No further attempt is made if the best pose explains less than this part of the image '
        'after the first attempt, the second and so on. The last one is for all that follow. In '
        'training such attempts led to none of 277 poses given, and to 134 of 183 refusals.',
        low=0,
        high=1,
    )
    same_px: float = option(
        6.0,
        'An attempt is given up if its pose is within this of the best one so far: it would end '
        'there too.',
        'px',
        low=0,
    )
    rounds: int = option(
        3, 'Highest number of predictions near the pose, each followed by a refinement.', low=1
    )
    settled_px: float = option(
        3.0,
        'No further prediction is made if the last one moved the pose by less than this.',
        'px',
        low=0,
    )
    sure_confidence: float = option(
        0.9,
        'An image is tried once more, at half the size, if its pose has less confidence: things '
        'may be nearer than in mapping. The likelier pose is taken. With 0 it never is.',
        low=0,
        high=1,
    )
    min_turn_gain: float = option(
        0.02,
        'The camera may be rolled. So a refused image is tried once more, turned by a quarter or '
        'half turn, if its patches are then more similar to the map by this. With 1 it never is.',
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class LandmarkOptions(Options):
    """Landmarks are measured in the image, and make the pose exact."""

    count: int = option(
        250, 'Highest number of landmarks to search, the most frontal first.', low=0
    )
    least_support_ratio: float = option(
        0.5,
        'Landmarks are searched if the pose explains this part of the image.',
        low=0,
        high=1,
    )
    max_angle: float = option(
        40.0,
        'Largest angle between the viewing directions of a landmark in the query and in mapping.',
        'deg',
        low=0,
        high=90,
    )
    reach: int = option(3, 'Search radius around the expected position.', 'px', low=1, high=32)
    far_reach: int = option(
        8,
        'First search radius where too few are found within reach. Views from elsewhere and under '
        'other light start farther off.',
        'px',
        low=1,
        high=32,
    )
    sure_redetected: float = option(
        0.5,
        'Part of the landmarks in view that makes a wider search needless. A wider search doubles '
        'the time of this stage.',
        low=0,
        high=1,
    )
    min_similarity: float = option(0.7, 'Least correlation with the template.', low=-1, high=1)
    sigma_px: float = option(
        0.5, 'Standard deviation of the position of a landmark that was found.', 'px', low=0.01
    )
    min_redetected: float = option(
        0.05,
        'Least part of the landmarks in view that must agree. Fewer are found by '
        'chance, and would worsen the pose.',
        low=0,
        high=1,
    )
    threshold_px: float = option(
        6.0, 'Largest reprojection error of an inlier of the final pose.', 'px', low=0.1
    )


@dataclass(frozen=True)
class UncertaintyOptions(Options):
    """Errors that do not show in one image, and so have to be known."""

    keyframe_angle: float = option(
        0.2e-3,
        'Error of the directions in which a mapping image sees its points, the same for all points '
        'of that image. It comes from the pose of the image.',
        'rad',
        low=0,
    )
    common_angle: float = option(
        0.15e-3,
        'The same, for all points of the map. It comes from the calibration of the camera.',
        'rad',
        low=0,
    )
    depth: float = option(
        0.003,
        'Error of the distance from a mapping image to its points, as a part of it, the same for '
        'points side by side. It shows in views from elsewhere.',
        low=0,
    )
    bend: float = option(
        0.01,
        'The same error, but growing evenly across a mapping image, and the same for all of them: '
        'the map is bent. It is that at 30 degrees from the axis. It comes from lenses and paths.',
        low=0,
    )
    patch_part: float = option(
        0.5,
        'Part of the standard deviation of a scene coordinate that is the same for all patches of '
        'one part of the image.',
        low=0,
    )
    chance_redetected: float = option(
        0.2,
        'Part of the landmarks in view that can be found by chance. If no more are found, a pose '
        'is no more certain than its patches make it.',
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class GateOptions(Options):
    """What a pose must show to be given out."""

    min_confidence: float = option(
        0.5,
        'Least probability that the pose is right. The evidence is described in '
        'models/confidence.md.',
        low=0,
        high=1,
    )
    max_rival: float = option(
        0.4,
        'Matches of a pose elsewhere, as a part of those of the pose. With more of them, and a '
        'margin below min_rival_margin, the image could be of either place. Among the poses that '
        'the confidence lets through, this and the margin refused 16 of 3401 right ones and 15 of '
        '90 wrong ones in training.',
        low=0,
    )
    min_rival_margin: float = option(
        0.2, 'How much more of the image the pose must explain than such a pose elsewhere.'
    )
    min_inliers: int = option(
        20, 'Least number of first matches that must agree with the pose.', low=6
    )
    max_position_std: float = option(
        0.12,
        'Largest standard deviation of the position, relative to the distance of the scene.',
        low=0,
    )
    max_rotation_std: float = option(
        5.0, 'Largest standard deviation of the rotation.', 'deg', low=0
    )
    focal_tolerance: float = option(
        0.03,
        'Standard deviation of calibrated focal lengths, as a part of them.',
        low=0,
    )
    center_tolerance: float = option(
        0.05,
        'Standard deviation of calibrated principal points, as a part of the focal length.',
        low=0,
    )
    camera_slack: float = option(
        2.0,
        'How many deviations shorter a focal length may fit, together with the principal point, '
        'at no cost of confidence.',
        low=0,
    )
    camera_weight: float = option(
        2.0,
        'By how much each further deviation lowers the logarithm of the odds. A picture of a place '
        'within an image has a shorter focal length than the place.',
        low=0,
    )
    max_depth_error: float = option(
        0.1,
        'Largest difference between measured depths and those at the pose, relative to the latter: '
        'the median over the inliers. A picture of a place has another depth than the place.',
        low=0,
    )
    min_depth_points: int = option(
        30, 'Least number of inliers with measured depth; fewer say nothing.', low=1
    )


@dataclass(frozen=True)
class SeveralOptions(Options):
    """Which of several maps, or parts of a large place, are asked for an image."""

    asked: int = option(
        3,
        'Highest number of maps asked for an image, those whose keyframes look most like it. Each '
        'costs one query. With more than one, look-alike places are found out.',
        low=1,
    )


@dataclass(frozen=True)
class LocalizationOptions(Options):
    """Options of localization."""

    reader: ReaderOptions = field(default_factory=ReaderOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    landmarks: LandmarkOptions = field(default_factory=LandmarkOptions)
    uncertainty: UncertaintyOptions = field(default_factory=UncertaintyOptions)
    gate: GateOptions = field(default_factory=GateOptions)
    several: SeveralOptions = field(default_factory=SeveralOptions)
