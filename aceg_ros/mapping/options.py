"""Options of mapping, by stage. Defaults map a room in well under a minute on two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass, field

from aceg_ros.mapping.ace_g.schedule import SCHEDULES, AceGSchedule
from aceg_ros.options import Options, option

MIN_KEYFRAMES = 5  # fewer do not make a map
# A room of up to 190 keyframes has as many tokens as one of 190; a map of 300 stays below 1.5 MB.
_LEAST_TOKENS, _TOKENS_PER_KEYFRAME = 6144, 32


@dataclass(frozen=True)
class SweepOptions(Options):
    """First depths: measured ones, others by plane sweep."""

    planes: int = option(128, 'Number of depths tried along a ray.', low=8)
    views: int = option(10, 'Number of other keyframes that test a depth.', low=2)
    coarse_planes: int = option(
        160,
        'Number of depths, over three decades, of the first estimate of the scene depth.',
        low=8,
    )
    coarse_patches: int = option(
        2400, 'Number of patches, from all keyframes, of that first estimate.', low=1
    )
    min_agreeing: float = option(
        0.04,
        'Least part of these patches that must find a depth. Hardly any do with wrong '
        'poses, a tenth do if the camera turns on the spot.',
        low=0,
        high=1,
    )
    min_parallax: float = option(
        0.4,
        'Least parallax of the typical keyframe with its neighbors. A camera that '
        'only turns has less.',
        'deg',
        low=0,
    )
    good_parallax: float = option(
        14.0,
        'Parallax by which other keyframes are chosen: enough for depth, small enough to match.',
        'deg',
        low=0.1,
    )
    depth_noise: float = option(
        0.0025,
        'Standard deviation of a depth of 1 m. It grows with the square of the depth, as in all '
        'sensors that triangulate. Measured for the Kinect: 0.0014 (Khoshelham and Elberink, '
        'Sensors 2012). For a RealSense D435, 0.08 px of disparity make 0.0025.',
        '1/m',
        low=1e-5,
    )


@dataclass(frozen=True)
class AdjustmentOptions(Options):
    """Poses of keyframes, adjusted where images show that they do not fit each other."""

    enabled: bool = option(True, 'Adjust poses; otherwise they stay as given.')
    corners: int = option(
        4000,
        'Number of corners, of all keyframes, that the poses are adjusted by. Long recordings have '
        'more, so that each keyframe has 25.',
        low=1,
    )
    views: int = option(10, 'Number of other keyframes in which a corner is searched.', low=2)
    pose_deviation: float = option(
        0.5,
        'Standard deviation of the poses given, relative to what their reprojection errors would '
        'be by themselves. A smaller one keeps the shape of the map where images tell little.',
        low=0.001,
    )
    mount_turn: float = option(
        1.0,
        'Standard deviation of how the camera is turned in what the poses given are of.',
        'deg',
        low=0.001,
    )
    mount_shift: float = option(
        0.005,
        'The same of where the camera is there, relative to the distance of the scene.',
        low=0.00001,
    )
    mount_worth: float = option(
        0.75,
        'The mounting is adjusted too if that lowers the sum of squared steps of the poses to '
        'this part or less.',
        low=0,
        high=1,
    )
    worth: float = option(
        0.7,
        'Poses are adjusted if that lowers the median reprojection error to this part or less.',
        low=0,
        high=1,
    )
    calibration_worth: float = option(
        0.95,
        'The calibration is adjusted too if that lowers the error to this part or less.',
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class TokenOptions(Options):
    """Which patches become tokens."""

    min_score: float = option(0.3, 'Least agreement of the views on the depth.', low=0, high=1)
    max_ambiguity: float = option(
        0.97, 'Highest score of the second best depth, relative to the best.', low=0, high=1
    )
    voxel: float = option(
        0.07,
        'Side of a voxel, relative to the median depth. Patches compete within a '
        'voxel, so that places seen by few keyframes get tokens too.',
        low=0.001,
    )
    start_sigma: float = option(
        0.03,
        'Standard deviation of a token before the fit, relative to the median depth.',
        low=0.0001,
    )


@dataclass(frozen=True)
class LandmarkOptions(Options):
    """Landmarks: corners whose depth other keyframes confirm to a fraction of a pixel."""

    count: int = option(2500, 'Highest number of landmarks; one takes 82 bytes.', low=0)
    views: int = option(10, 'Number of other keyframes in which a landmark is searched.', low=2)
    min_confirming: int = option(2, 'Number of keyframes that must confirm its position.', low=1)
    confirmed_px: float = option(
        1.5, 'Largest reprojection error of a keyframe that confirms it.', 'px', low=0.1
    )
    max_depth_std: float = option(
        0.03,
        'Largest standard deviation of its depth for an error of one pixel, relative to the depth.',
        low=0.001,
    )
    min_corner: float = option(
        20.0,
        'Least strength of the corner: the smaller eigenvalue of the gradient matrix '
        'of gray values. It holds for the corners that poses are adjusted by as well.',
        low=0,
    )


@dataclass(frozen=True)
class ValidationOptions(Options):
    """The map's test on keyframes that it did not see."""

    held_out: float = option(0.08, 'Part of the keyframes that is held out.', low=0, high=0.999)
    min_held_out: int = option(
        5,
        'Least number of held-out keyframes, if there are 24 keyframes or more. Fewer say little.',
        low=0,
    )
    max_held_out: int = option(
        12, 'Highest number of held-out keyframes. The map lacks these views.', low=0
    )
    close: float = option(
        0.025,
        'Largest error of a view that counts as well localized, relative to the median depth.',
        low=0,
    )
    close_deg: float = option(
        2.0, 'Largest rotation error of a view that counts as well localized.', 'deg', low=0
    )
    many_inliers: int = option(
        200, 'Number of inliers in a view that counts as well localized.', low=1
    )
    usual_angle: float = option(
        0.002,
        'Prior for the error of the whole map. A few held-out views say little, so '
        'the measured error is averaged with this one.',
        'rad',
        low=0,
    )
    usual_weight: float = option(2.0, 'Weight of that prior, as a number of held-out views.', low=0)


@dataclass(frozen=True)
class FitOptions(Options):
    """The fit of an anchored code to the patches of all keyframes."""

    epochs: int = option(
        4,
        'Highest number of passes over the buffer. More make no map better at views that were not '
        'mapped.',
        low=1,
    )
    batch: int = option(4096, 'Number of patches in a step.', low=1)
    buffer_patches: int = option(
        160_000, 'Number of patches in memory, for any number of keyframes.', low=1
    )
    augmented: float = option(
        0.2,
        'Part of the buffer taken from turned, scaled and relit copies. They teach '
        'the code to be read from afar and under other light.',
        low=0,
        high=0.999,
    )
    rivals: int = option(16, 'Number of candidate tokens of a patch between two searches.', low=1)
    search_every: int = option(
        2, 'Number of passes between two searches for similar tokens.', low=1
    )
    embedding_rate: float = option(1e-2, 'Learning rate of embeddings.', low=0)
    sigma_rate: float = option(3e-2, 'Learning rate of the logarithm of sigma.', low=0)
    prior_rate: float = option(
        3e-2, 'Learning rate of the prior, which is added to the logit.', low=0
    )
    near_view_angle: float = option(
        4.0,
        'Copies do not read tokens of views within this parallax. So they learn to be '
        'recognized from afar.',
        'deg',
        low=0,
        high=180,
    )


@dataclass(frozen=True)
class FreeOptions(Options):
    """The fit of a free code, as the published ACE-G's."""

    schedule: AceGSchedule = field(default_factory=lambda: SCHEDULES['ace-g-5min'])
    memory: float = option(0.0, 'Device memory that may be used; 0 means all.', 'GB', low=0)


@dataclass(frozen=True)
class MappingOptions(Options):
    """Options of mapping."""

    budget: float = option(
        60.0,
        'Time for all of mapping, which mostly ends earlier. The fit gets a fifth of it at least, '
        'and finishes one pass: a slow computer takes longer.',
        's',
        low=0.001,
    )
    extension_budget: float = option(
        20.0, 'The same for images that join a map, by "aceg map --extend".', 's', low=0.001
    )
    max_keyframes: int = option(
        400,
        'Highest number of keyframes. Of a longer recording half are chosen evenly in time, half '
        'for the views that they add.',
        low=1,
    )
    part_keyframes: int = option(
        200,
        'Highest number of different views in a part of a place that is too large for one map. '
        'A place is split where it has more of them than max_keyframes.',
        low=2 * MIN_KEYFRAMES,
    )
    tokens: int = option(
        0,
        'Number of tokens of the code; one takes about 120 bytes. 0 chooses it by the '
        'number of keyframes.',
        low=0,
    )
    use_depth: bool = option(
        False, 'Take the points of the map from depth images, and triangulate where they have none.'
    )
    seed: int = option(0, 'Seed of all random numbers.', low=0)
    sweep: SweepOptions = field(default_factory=SweepOptions)
    adjustment: AdjustmentOptions = field(default_factory=AdjustmentOptions)
    choice: TokenOptions = field(default_factory=TokenOptions)
    landmarks: LandmarkOptions = field(default_factory=LandmarkOptions)
    fit: FitOptions = field(default_factory=FitOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)
    free: FreeOptions = field(default_factory=FreeOptions)

    def code_size(self, keyframes: int) -> int:
        """Tokens of an anchored code of so many keyframes."""
        return self.tokens or max(_LEAST_TOKENS, _TOKENS_PER_KEYFRAME * keyframes)
